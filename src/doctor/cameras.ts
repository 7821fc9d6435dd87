/** Checks the cameras: devices, permissions, formats; then opens each camera and checks a few pictures. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Camera } from '../camera/camera.js'
import { findFirstCamera, listCsiCameras } from '../camera/find.js'
import { openCamera } from '../camera/sources.js'
import { listV4l2Devices } from '../camera/v4l2.js'
import type { CameraConfig } from '../config/schema.js'
import type { Frame } from '../frame.js'
import { createPreprocessor } from '../pixels/preprocess.js'
import { rgbLevels, type Preprocessor } from '../pixels/spec.js'
import { redact } from '../secrets.js'
import { checksOf, failureOf, type Check, type DoctorContext, type Examination } from './check.js'

const { ok, warn, fail, skip } = checksOf('camera')
/** Longest time for opening a camera and receiving the frames. */
const openMs = 12_000
const wantedFrames = 4
/** Frames are compared as squares of this many pixels. */
const side = 64

/** The checks of the area `camera`: the configured cameras, else the first one that works. */
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
          'Connect a camera and run gapcam cameras. For a network camera run gapcam doctor rtsp://…, for a test picture gapcam doctor FILE.',
        ),
      )
  }
  for (const camera of configured) checks.push(...(await probe(camera, context)))
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
            'no V4L2 or CSI camera is connected: there is no capture device in /dev',
            'Check the cable. On a Raspberry Pi check the overlay of a ribbon camera in /boot/firmware/config.txt too.',
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
      if (problem !== null) return warn(path, problem, hint ?? 'gapcam cameras lists its formats.')
      return hint === null
        ? ok(path, evidence)
        : warn(path, `${evidence}; ${hint}`, 'Stop that program, or choose another camera.')
    }),
    ...csi.map(({ uri, name }) => ok(uri, name)),
  ]
}

/** The camera service of a Jetson, which ribbon cameras need. */
async function argus(): Promise<Check[]> {
  if (!existsSync('/etc/nv_tegra_release') && !existsSync('/usr/sbin/nvargus-daemon')) return []
  const isActive = await new Promise<boolean>((resolve) => {
    execFile('systemctl', ['is-active', 'nvargus-daemon'], { timeout: 5000 }, (error) => resolve(!error))
  })
  if (!isActive) return [fail('Argus', 'nvargus-daemon does not run', 'Run sudo systemctl restart nvargus-daemon.')]
  return [
    existsSync('/tmp/argus_socket')
      ? ok('Argus', 'nvargus-daemon runs')
      : warn(
          'Argus',
          'nvargus-daemon runs, but its socket /tmp/argus_socket does not exist here',
          'Under systemd set BindPaths=/tmp/argus_socket. In a container mount that file.',
        ),
  ]
}

/** Opens a camera as a run would, and checks a few frames. */
async function probe(
  { id, source, width, height, fps, ffmpegOptions }: CameraConfig,
  { signal }: DoctorContext,
): Promise<Check[]> {
  const timeout = AbortSignal.any([signal, AbortSignal.timeout(openMs)])
  let camera: Camera
  try {
    camera = openCamera(source, {
      width,
      height,
      fps,
      ffmpegOptions,
      loop: true,
      holdMs: 50,
    })
  } catch (error) {
    return [failureOf('camera', id, error)]
  }
  const stop = (): void => void camera.close()
  timeout.addEventListener('abort', stop, { once: true })
  const frames = new FrameStatistics()
  try {
    const opened = await camera.open(timeout)
    const start = performance.now()
    while (frames.count < wantedFrames && !timeout.aborted) {
      const frame = await camera.next(timeout)
      if (!frame) break
      await frames.add(frame)
    }
    const { count, firstMs, lastMs } = frames
    const rate = count > 1 ? `, ${((count - 1) / ((lastMs - firstMs) / 1000)).toFixed(1)} frames per second` : ''
    const evidence = `${opened.name}, ${opened.width} x ${opened.height} ${opened.format}, first frame after ${Math.round(firstMs - start)} ms${rate}`
    // A pipeline cannot say that it is live. Doctor expects it to be, since a warning costs nothing.
    const isLive = camera.isLive === true || /^gst:/i.test(source)
    return count === 0 ? [noFrame(id, source)] : [ok(id, evidence), frames.verdict(id, isLive)]
  } catch (error) {
    return [timeout.aborted ? noFrame(id, source) : failureOf('camera', id, error)]
  } finally {
    timeout.removeEventListener('abort', stop)
    await camera.close()
    frames.close()
  }
}

function noFrame(id: string, source: string): Check {
  return fail(
    id,
    `${redact(source)} delivers no frame within ${openMs / 1000} s`,
    'Check the cable and the power supply. For a network camera, try its stream in another program.',
  )
}

/** Brightness, contrast and change of a few frames, which reveal a black, white, flat or frozen picture. */
class FrameStatistics {
  count = 0
  firstMs = 0
  lastMs = 0
  #isChanging = false
  #mean = 0
  #deviation = 0
  #last: Uint8Array | null = null
  readonly #pass: Preprocessor = createPreprocessor(rgbLevels(side, side))

  /** Measures a frame and releases it. */
  async add(frame: Frame): Promise<void> {
    const pixels = new Uint8Array(side * side * 3)
    try {
      await this.#pass.run(frame, pixels)
    } finally {
      frame.release()
    }
    this.lastMs = performance.now()
    if (this.count++ === 0) this.firstMs = this.lastMs
    this.#mean = pixels.reduce((sum, level) => sum + level, 0) / pixels.length
    this.#deviation = Math.sqrt(pixels.reduce((sum, level) => sum + (level - this.#mean) ** 2, 0) / pixels.length)
    if (this.#last && pixels.some((level, i) => level !== this.#last![i])) this.#isChanging = true
    this.#last = pixels
  }

  /** The noise of a live sensor changes some pixels in every frame, so identical frames are only allowed for files. */
  verdict(id: string, isLive: boolean): Check {
    const name = `${id} picture`
    const evidence = `mean level ${this.#mean.toFixed(0)}, deviation ${this.#deviation.toFixed(0)}`
    if (this.#mean < 8)
      return warn(
        name,
        `the picture is black (${evidence})`,
        'Remove the lens cap, add light, or raise the exposure of the camera.',
      )
    if (this.#mean > 247)
      return warn(
        name,
        `the picture is white (${evidence})`,
        'Lower the exposure of the camera, or turn it away from the light.',
      )
    if (this.#deviation < 4)
      return warn(
        name,
        `the picture has no contrast (${evidence})`,
        'Check that nothing covers the lens, and that it is in focus.',
      )
    if (isLive && this.count > 1 && !this.#isChanging)
      return warn(
        name,
        `${this.count} frames are identical, bit for bit`,
        'The camera is frozen: switch it off and on.',
      )
    return ok(name, evidence)
  }

  close(): void {
    this.#pass.close()
  }
}
