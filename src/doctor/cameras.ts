/** The cameras: rights, who holds them, formats; then one is opened, and its pictures are looked at. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Camera } from '../camera/camera.js'
import { findFirstCamera, listCsiCameras } from '../camera/find.js'
import { openCamera } from '../camera/sources.js'
import { listV4l2Devices } from '../camera/v4l2.js'
import type { CameraConfig } from '../config/schema.js'
import type { Frame } from '../frame.js'
import { createPreprocessor } from '../pixels/preprocess.js'
import type { Preprocessor } from '../pixels/spec.js'
import { checksOf, failureOf, type Check, type DoctorContext, type Examination } from './check.js'

const { ok, warn, fail, skip } = checksOf('camera')
const openMs = 12_000
const framesToSee = 4
const side = 64

export const examineCameras: Examination = async (context) => {
  const configured = context.config.cameras.filter(({ source }) => source !== '')
  const checks = [...(await devices(configured.length > 0)), ...(await argus())]
  if (configured.length === 0) {
    const found = await findFirstCamera(context.signal)
    if ('uri' in found) configured.push({ id: 'cam0', source: found.uri })
    else
      checks.push(
        fail(
          'camera',
          `no camera works: ${found.reasons.join('; ')}`,
          'Connect one and look at gapcam cameras; a network camera is given as rtsp://…, a test picture as gapcam doctor PICTURE.',
        ),
      )
  }
  for (const camera of configured) checks.push(...(await look(camera, context)))
  return checks
}

async function devices(hasOthers: boolean): Promise<Check[]> {
  const [listed, csi] = await Promise.all([listV4l2Devices(), listCsiCameras()])
  if (listed.length + csi.length === 0)
    return [
      hasOthers
        ? skip('devices', 'no V4L2 or CSI camera is connected')
        : warn(
            'devices',
            'no V4L2 or CSI camera is connected: /dev has no video device that captures',
            'Check the cable; for a ribbon camera also its overlay in /boot/firmware/config.txt.',
          ),
    ]
  return [
    ...listed.map(({ path, device, problem, hint }) => {
      const formats = device?.formats
        .map(
          ({ fourcc, sizes }) =>
            `${fourcc}${sizes[0] ? ` up to ${sizes.reduce((a, b) => (b[0] > a[0] ? b : a)).join('x')}` : ''}`,
        )
        .join(', ')
      const evidence = `${device?.name ?? 'unknown device'}${formats ? `: ${formats}` : ''}`
      if (problem !== null) return warn(path, problem, hint ?? 'gapcam cameras lists what it offers.')
      return hint === null
        ? ok(path, evidence)
        : warn(path, `${evidence}; ${hint}`, 'Stop that program, or take another camera.')
    }),
    ...csi.map(({ uri, name }) => ok(uri, name)),
  ]
}

/** Jetson's camera service: without it nothing comes from a ribbon camera. */
async function argus(): Promise<Check[]> {
  if (!existsSync('/etc/nv_tegra_release') && !existsSync('/usr/sbin/nvargus-daemon')) return []
  const isActive = await new Promise<boolean>((resolve) => {
    execFile('systemctl', ['is-active', 'nvargus-daemon'], { timeout: 5000 }, (error) => resolve(!error))
  })
  if (!isActive) return [fail('Argus', 'nvargus-daemon does not run', 'sudo systemctl restart nvargus-daemon')]
  return [
    existsSync('/tmp/argus_socket')
      ? ok('Argus', 'nvargus-daemon runs')
      : warn(
          'Argus',
          'nvargus-daemon runs, but /tmp/argus_socket is not to be seen',
          'Under systemd set PrivateTmp=no; in a container mount /tmp/argus_socket.',
        ),
  ]
}

/** Opens a camera as a run would, and sees a few frames. */
async function look({ id, source, width, height, fps }: CameraConfig, { signal }: DoctorContext): Promise<Check[]> {
  const timeout = AbortSignal.any([signal, AbortSignal.timeout(openMs)])
  let camera: Camera
  try {
    camera = openCamera(source, {
      ...(width ? { width } : {}),
      ...(height ? { height } : {}),
      ...(fps ? { fps } : {}),
      loop: true,
      holdMs: 50,
    })
  } catch (error) {
    return [failureOf('camera', id, error)]
  }
  const stop = (): void => void camera.close()
  timeout.addEventListener('abort', stop, { once: true })
  const eye = new Eye()
  try {
    const opened = await camera.open(timeout)
    const start = performance.now()
    while (eye.seen < framesToSee && !timeout.aborted) {
      const frame = await camera.next(timeout)
      if (!frame) break
      await eye.look(frame)
    }
    const rate =
      eye.seen > 1 ? ` ${((eye.seen - 1) / ((eye.lastMs - eye.firstMs) / 1000)).toFixed(1)} frames a second` : ''
    const evidence = `${opened.name}, ${opened.width} x ${opened.height} ${opened.format}, first frame after ${Math.round(eye.firstMs - start)} ms,${rate}`
    return eye.seen === 0
      ? [noFrame(id, source)]
      : [ok(id, evidence), eye.verdict(id, /^(v4l2|csi|rtsps?|https?|gst)/.test(source) || source.startsWith('/dev/'))]
  } catch (error) {
    return [timeout.aborted ? noFrame(id, source) : failureOf('camera', id, error)]
  } finally {
    timeout.removeEventListener('abort', stop)
    await camera.close()
    eye.close()
  }
}

function noFrame(id: string, source: string): Check {
  return fail(
    id,
    `${source} opens and delivers no frame within ${openMs / 1000} s`,
    'Check the cable and the supply; for a network camera look at its stream with another program.',
  )
}

/** Sees whether pictures can be of anything: not black, not white, not flat, not always the same. */
class Eye {
  seen = 0
  firstMs = 0
  lastMs = 0
  #isMoving = false
  #mean = 0
  #deviation = 0
  #last: Uint8Array | null = null
  readonly #pass: Preprocessor = createPreprocessor({
    width: side,
    height: side,
    layout: 'nhwc',
    type: 'uint8',
    order: 'rgb',
    mean: [0, 0, 0],
    std: [1, 1, 1],
    resize: 'stretch',
  })

  async look(frame: Frame): Promise<void> {
    const pixels = new Uint8Array(side * side * 3)
    try {
      await this.#pass.run(frame, pixels)
    } finally {
      frame.release()
    }
    this.lastMs = performance.now()
    if (this.seen++ === 0) this.firstMs = this.lastMs
    this.#mean = pixels.reduce((sum, level) => sum + level, 0) / pixels.length
    this.#deviation = Math.sqrt(pixels.reduce((sum, level) => sum + (level - this.#mean) ** 2, 0) / pixels.length)
    if (this.#last && pixels.some((level, i) => level !== this.#last![i])) this.#isMoving = true
    this.#last = pixels
  }

  /** A sensor's noise alone changes some pixel from frame to frame; a file does not. */
  verdict(id: string, isLive: boolean): Check {
    const name = `${id} picture`
    const evidence = `mean level ${this.#mean.toFixed(0)}, spread ${this.#deviation.toFixed(0)}`
    if (this.#mean < 8)
      return warn(
        name,
        `the picture is black (${evidence})`,
        'Take the lens cap off, give it light, or raise the exposure on the page.',
      )
    if (this.#mean > 247)
      return warn(
        name,
        `the picture is white (${evidence})`,
        'Lower the exposure on the page, or turn the camera out of the light.',
      )
    if (this.#deviation < 4)
      return warn(name, `the picture is flat (${evidence})`, 'Something covers the lens, or it is badly out of focus.')
    if (isLive && this.seen > 1 && !this.#isMoving)
      return warn(
        name,
        `${this.seen} frames are the same to the last bit`,
        'The camera is frozen: power it off and on.',
      )
    return ok(name, evidence)
  }

  close(): void {
    this.#pass.close()
  }
}
