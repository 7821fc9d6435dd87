/**
 * Pictures as a camera: one file, or all files of a folder in order of name. Each picture is delivered repeatedly for a
 * while, so that smoothing settles. A picture that cannot be read is reported and skipped. With `loop` each round lists
 * the folder again, so a folder or file that another program writes to works as a camera.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileFaultOf, GapcamError, messageOf } from '../errors.js'
import { frameOf, type Frame } from '../frame.js'
import type { Camera, CameraDescription, CameraOptions } from './camera.js'
import { decodeFile } from '../pixels/decode.js'
import type { RgbImage } from '../pixels/image.js'

const pictureEndings = /\.(jpe?g|png|webp|gif|tiff?|avif|bmp)$/i
const defaults = { holdMs: 1000, fps: 10 } as const

/** True for a path that ends like a picture's. */
export function isPicture(path: string): boolean {
  return pictureEndings.test(path)
}

/**
 * The pictures in a folder, in order of name. Folders and pipes that are named like pictures are left out; reading a pipe
 * would block. A broken link stays in the list, so that reading it reports the error. Rejects with the error of readdir.
 */
export async function picturesIn(folder: string): Promise<string[]> {
  const entries = (await readdir(folder, { withFileTypes: true })).filter(({ name }) => isPicture(name))
  const isFile = await Promise.all(
    entries.map((entry) => (entry.isSymbolicLink() ? leadsToFile(join(folder, entry.name)) : entry.isFile())),
  )
  return entries
    .filter((_, i) => isFile[i])
    .map(({ name }) => join(folder, name))
    .sort()
}

function leadsToFile(link: string): Promise<boolean> {
  return stat(link).then(
    (target) => target.isFile(),
    () => true,
  )
}

/** A camera over a picture or a folder of pictures. */
export function openPictures(path: string, options: CameraOptions): Camera {
  return new PictureCamera(path, options)
}

class PictureCamera implements Camera {
  readonly dropped = 0
  onWarning?: (error: Error) => void
  readonly #path: string
  readonly #loop: boolean
  readonly #holdMs: number
  readonly #periodMs: number
  #files: readonly string[] = []
  #at = -1
  #shown: { picture: RgbImage; file: string; version: string; untilMs: number } | null = null
  #nextMs = 0
  #seq = 0
  #goodInRound = 0
  #wake: (() => void) | null = null
  #isClosed = false

  constructor(path: string, { loop = false, holdMs = defaults.holdMs, fps }: CameraOptions) {
    this.#path = path
    this.#loop = loop
    this.#holdMs = holdMs
    this.#periodMs = 1000 / (fps && fps > 0 ? fps : defaults.fps)
  }

  async open(): Promise<CameraDescription> {
    this.#files = await this.#list()
    const first = await this.#advance()
    if (!first) throw this.#nothingGood()
    const { width, height } = first
    return {
      uri: `file://${this.#path}`,
      name: `${this.#files.length === 1 ? 'picture' : `${this.#files.length} pictures in`} ${this.#path}`,
      width,
      height,
      format: 'rgb24',
    }
  }

  #nothingGood(): GapcamError {
    return new GapcamError('PICTURE_INVALID', `none of the pictures in ${this.#path} can be read`)
  }

  async #list(): Promise<string[]> {
    try {
      if (!(await stat(this.#path)).isDirectory()) return [this.#path]
      const files = await picturesIn(this.#path)
      if (files.length > 0) return files
    } catch (error) {
      throw new GapcamError('CAMERA_NOT_FOUND', `pictures ${this.#path}: ${fileFaultOf(error)}`)
    }
    throw new GapcamError('CAMERA_NOT_FOUND', `pictures ${this.#path}: the folder holds none`, {
      hint: 'JPEG, PNG, WebP, GIF, TIFF, AVIF and BMP are read.',
    })
  }

  async next(signal: AbortSignal): Promise<Frame | null> {
    await this.#wait(Math.max(0, this.#nextMs - performance.now()), signal)
    if (this.#isClosed || signal.aborted) return null
    if ((!this.#shown || performance.now() >= this.#shown.untilMs) && !(await this.#advance())) return null
    this.#nextMs = Math.max(this.#nextMs + this.#periodMs, performance.now())
    return this.#shown ? this.#frameOf(this.#shown) : null
  }

  /** Decodes the next picture that can be read; null at the end. Rejects when a looped folder has no readable picture left. */
  async #advance(): Promise<RgbImage | null> {
    for (;;) {
      if (++this.#at >= this.#files.length) {
        if (!this.#loop) return (this.#shown = null)
        // Without this, a folder of unreadable pictures would loop without end.
        if (this.#goodInRound === 0) throw this.#nothingGood()
        this.#at = 0
        this.#goodInRound = 0
        this.#files = await this.#list()
      }
      const file = this.#files[this.#at]!
      const version = await versionOf(file)
      if (this.#shown?.file === file && this.#shown.version === version) {
        this.#goodInRound++
        this.#shown = { ...this.#shown, untilMs: performance.now() + this.#holdMs }
        return this.#shown.picture
      }
      try {
        const picture = await decodeFile(file)
        this.#goodInRound++
        this.#shown = { picture, file, version, untilMs: performance.now() + this.#holdMs }
        return picture
      } catch (error) {
        this.onWarning?.(error instanceof Error ? error : new Error(messageOf(error)))
      }
    }
  }

  #frameOf({ picture, file }: { picture: RgbImage; file: string }): Frame {
    return frameOf(picture, { seq: ++this.#seq, file })
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    if (ms <= 0 || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#wake = null
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done, { once: true })
      this.#wake = done
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#wake?.()
  }
}

/** Changes when the file is written to or replaced; '' for a missing file, which decoding then reports. */
async function versionOf(file: string): Promise<string> {
  try {
    const { ino, mtimeNs, size } = await stat(file, { bigint: true })
    return `${ino} ${mtimeNs} ${size}`
  } catch {
    return ''
  }
}
