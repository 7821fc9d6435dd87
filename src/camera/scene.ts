/**
 * `test://`: a camera with known content. The photographs of models/photos move over a background of changing brightness;
 * each frame carries the label of its photograph in `truth`. In `test://?scene=clips` they come, go, pass and stay; `truth` is
 * what they do.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { GapcamError } from '../errors.js'
import type { Frame } from '../frame.js'
import { loadSharp } from '../pixels/sharp.js'
import type { Camera, CameraDescription, CameraOptions } from './camera.js'
import { paintAction, runningScene } from './clip-scene.js'

/** A photograph that moves over the scene. */
interface Actor {
  readonly data: Uint8Array
  readonly width: number
  readonly height: number
  readonly label: string
  readonly file: string
}

const framesEach = 50
const folder = new URL('../../models/photos/', import.meta.url)

/** A camera over `test://?seed=1&fps=10`; the seed shifts the paths of the photographs. */
export function openScene(uri: string, options: CameraOptions): Camera {
  return new SceneCamera(uri, options)
}

class SceneCamera implements Camera {
  readonly dropped = 0
  readonly #uri: string
  readonly #width: number
  readonly #height: number
  readonly #periodMs: number
  readonly #seed: number
  readonly #hasActions: boolean
  #actors: readonly Actor[] = []
  #seq = 0
  #nextMs = 0
  #isClosed = false
  #wake: (() => void) | null = null

  constructor(uri: string, { width = 640, height = 480, fps }: CameraOptions) {
    this.#uri = uri
    this.#width = width
    this.#height = height
    const query = new URL(uri).searchParams
    this.#periodMs = 1000 / (fps && fps > 0 ? fps : Number(query.get('fps')) || 10)
    this.#seed = Number(query.get('seed')) || 0
    const scene = query.get('scene')
    if (scene !== null && scene !== 'clips')
      throw new GapcamError('CONFIG_INVALID', `camera ${uri}: there is no scene ${scene}, only clips`)
    this.#hasActions = scene === 'clips'
  }

  async open(): Promise<CameraDescription> {
    const list = JSON.parse(await readFile(new URL('photos.json', folder), 'utf8')) as { file: string; label: string }[]
    const sharp = await loadSharp()
    const side = Math.round(Math.min(this.#width, this.#height) * 0.85)
    this.#actors = await Promise.all(
      list.map(async ({ file, label }): Promise<Actor> => {
        const { data, info } = await sharp(fileURLToPath(new URL(file, folder)))
          .resize(side, side, { fit: 'cover' })
          .removeAlpha()
          .raw()
          .toBuffer({ resolveWithObject: true })
        return { data, width: info.width, height: info.height, label, file }
      }),
    )
    if (this.#actors.length === 0) throw new GapcamError('CAMERA_NOT_FOUND', 'the test scene has no photographs')
    return {
      uri: this.#uri,
      name: 'test scene',
      width: this.#width,
      height: this.#height,
      format: 'rgb24',
      fps: 1000 / this.#periodMs,
    }
  }

  async next(signal: AbortSignal): Promise<Frame | null> {
    const ms = this.#nextMs - performance.now()
    if (ms > 0)
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        const timer = setTimeout(wake, ms)
        this.#wake = wake
        signal.addEventListener('abort', wake, { once: true })
      })
    if (this.#isClosed || signal.aborted) return null
    this.#nextMs = Math.max(this.#nextMs + this.#periodMs, performance.now())
    return this.#paint(++this.#seq)
  }

  #paint(seq: number): Frame {
    const pixels = new Uint8Array(this.#width * this.#height * 3)
    const shown = this.#hasActions ? this.#paintAction(seq, pixels) : this.#paintPhoto(seq, pixels)
    return {
      seq,
      capturedNs: process.hrtime.bigint(),
      wallTime: Date.now(),
      width: this.#width,
      height: this.#height,
      format: 'rgb24',
      stride: this.#width * 3,
      pixels,
      ...shown,
      copyTo: (target) => target.set(pixels),
      release: () => undefined,
    }
  }

  #paintAction(seq: number, pixels: Uint8Array): Pick<Frame, 'truth' | 'file'> {
    const { photo, play, time } = runningScene(seq - 1, this.#actors.length)
    const { data, width: side, file } = this.#actors[photo]!
    const light = { phase: this.#seed, speed: 0.04, bar: 0.08 }
    const size = { width: this.#width, height: this.#height }
    paintAction(pixels, size, { photo: { data, side }, play, light, frame: seq, time })
    return { truth: play.action, file }
  }

  #paintPhoto(seq: number, pixels: Uint8Array): Pick<Frame, 'truth' | 'file'> {
    const actor = this.#actors[Math.floor((seq - 1) / framesEach) % this.#actors.length]!
    const time = (seq + this.#seed * 17) / 25
    for (let y = 0; y < this.#height; y++) {
      const level = 110 + 40 * Math.sin(time) + 30 * Math.sin(y / 37 + time)
      pixels.fill(level, y * this.#width * 3, (y + 1) * this.#width * 3)
    }
    const left = Math.round(((this.#width - actor.width) / 2) * (1 + Math.sin(time * 0.7)))
    const top = Math.round(((this.#height - actor.height) / 2) * (1 + Math.cos(time * 0.9)))
    for (let y = 0; y < actor.height; y++) {
      pixels.set(
        actor.data.subarray(y * actor.width * 3, (y + 1) * actor.width * 3),
        ((top + y) * this.#width + left) * 3,
      )
    }
    return { truth: actor.label, file: actor.file }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#wake?.()
  }
}
