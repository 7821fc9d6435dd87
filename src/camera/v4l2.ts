/** V4L2 devices: the native capture as a Camera. Errors name the process that holds a device and the group that may use it. */
import { readdir, readFile, readlink, stat, realpath } from 'node:fs/promises'
import type { CapturedFrame, NativeCapture, VideoDevice } from '../addon-capture.js'
import { loadAddon } from '../addon.js'
import { errorTable, GapcamError, messageOf, type ErrorCode } from '../errors.js'
import type { Frame, PixelFormat } from '../frame.js'
import type { Camera, CameraDescription, CameraOptions } from './camera.js'
import { smallestMode, scaleNeeded, type Size } from './decode-size.js'
import { decodeFitting } from './fitting.js'

/** V4L2's four-character codes for the formats that the pixel path reads. */
const formats: Readonly<Record<string, PixelFormat>> = {
  YUYV: 'yuyv',
  UYVY: 'uyvy',
  NV12: 'nv12',
  YU12: 'i420',
  RGB3: 'rgb24',
  BGR3: 'bgr24',
  GREY: 'grey',
}

/** A camera by device path, such as /dev/video0 or /dev/v4l/by-id/…. */
export function openV4l2(path: string, options: CameraOptions): Camera {
  return new V4l2Camera(path, options)
}

class V4l2Camera implements Camera {
  readonly isLive = true
  readonly #path: string
  readonly #options: CameraOptions
  #capture: NativeCapture | null = null
  #format: PixelFormat | 'jpeg' = 'yuyv'
  #geometry = { width: 0, height: 0, stride: 0 }
  #reclaimed = 0
  #undecodable = 0
  onWarning?: (error: Error) => void

  constructor(path: string, options: CameraOptions) {
    this.#path = path
    this.#options = options
  }

  get dropped(): number {
    return (this.#capture?.dropped ?? 0) + this.#undecodable
  }

  async open(): Promise<CameraDescription> {
    const loaded = loadAddon()
    if ('reason' in loaded)
      throw new GapcamError(
        'CAMERA_TOOL_MISSING',
        `camera ${this.#path}: V4L2 needs the native addon; ${loaded.reason}`,
      )
    const { fps } = this.#options
    const { width, height, full } = this.#size()
    const isSmaller = full !== undefined && width !== undefined && width < full.width
    // The addon reads absent sizes as its own defaults.
    const wanted = { ...(width ? { width } : {}), ...(height ? { height } : {}), ...(fps ? { fps } : {}) }
    const capture = new loaded.addon.Capture(this.#path, wanted)
    try {
      const opened = await capture.open()
      this.#format = opened.fourcc === 'MJPG' || opened.fourcc === 'JPEG' ? 'jpeg' : (formats[opened.fourcc] ?? 'yuyv')
      this.#geometry = { width: opened.width, height: opened.height, stride: opened.stride }
      this.#capture = capture
      return {
        uri: `v4l2://${this.#path}`,
        name: opened.name,
        width: opened.width,
        height: opened.height,
        format: this.#format,
        fps: opened.fps,
        ...(isSmaller ? { fullSize: full } : {}),
      }
    } catch (error) {
      capture.close()
      throw await explained(error, this.#path)
    }
  }

  /** The wanted size, or a smaller mode of the device that serves the zones as well: then with the wanted one as `full`. */
  #size(): Partial<Size> & { readonly full?: Size } {
    const { width, height, needs } = this.#options
    const loaded = loadAddon()
    if (!width || !height || !needs || 'reason' in loaded)
      return { ...(width ? { width } : {}), ...(height ? { height } : {}) }
    const full = { width, height }
    const modes = modesOf(this.#path, loaded.addon.describeVideoDevice)
    return { ...smallestMode(modes, full, scaleNeeded(full, needs())), full }
  }

  async next(signal: AbortSignal): Promise<Frame | null> {
    const capture = this.#capture
    if (!capture || signal.aborted) throw new GapcamError('CAMERA_LOST', `camera ${this.#path} is closed`)
    this.#warnOfReclaimed(capture)
    try {
      return this.#format === 'jpeg'
        ? await this.#nextDecoded(capture)
        : this.#frameOf(await capture.next(), this.#format)
    } catch (error) {
      throw await explained(error, this.#path)
    }
  }

  async close(): Promise<void> {
    this.#capture?.close()
  }

  #warnOfReclaimed({ reclaimed }: NativeCapture): void {
    if (reclaimed > this.#reclaimed)
      this.onWarning?.(new Error(`camera ${this.#path}: ${reclaimed} frames were not released in time and taken back`))
    this.#reclaimed = reclaimed
  }

  #frameOf(captured: CapturedFrame, format: PixelFormat): Frame {
    const { seq, capturedNs } = captured
    return {
      seq,
      capturedNs,
      wallTime: Date.now(),
      format,
      ...this.#geometry,
      pixels: captured,
      copyTo: (target) => captured.copyTo(target),
      release: () => captured.release(),
    }
  }

  /**
   * The newest picture that can be decoded. USB cameras send damaged pictures now and then, often as the first one. They
   * count as dropped; the camera is not lost. If no picture can be decoded, the supervisor's stall deadline ends the wait.
   */
  async #nextDecoded(capture: NativeCapture): Promise<Frame> {
    for (let isFirst = true; ; isFirst = false) {
      try {
        return await this.#decoded(await capture.next())
      } catch (error) {
        if (!(error instanceof GapcamError) || error.code !== 'PICTURE_INVALID') throw error
        this.#undecodable++
        if (isFirst) this.onWarning?.(error)
      }
    }
  }

  async #decoded(captured: CapturedFrame): Promise<Frame> {
    const jpeg = new Uint8Array(captured.bytes)
    captured.copyTo(jpeg)
    const { seq, capturedNs } = captured
    captured.release()
    const name = `frame ${seq} of ${this.#path}`
    return decodeFitting({ bytes: jpeg, name, facts: { seq, capturedNs } }, this.#options.needs?.() ?? [])
  }
}

/** The sizes of a device; none where it cannot be asked, which opening it explains. */
function modesOf(path: string, describeDevice: (path: string) => VideoDevice): readonly Size[] {
  try {
    return describeDevice(path).formats.flatMap(({ sizes }) => sizes.map(([width, height]) => ({ width, height })))
  } catch {
    return []
  }
}

/** The addon's error as a GapcamError, with the holder or the group of the device where that is the cause. */
async function explained(error: unknown, path: string): Promise<Error> {
  if (error instanceof GapcamError) return error
  const given = (error as { code?: unknown }).code
  const code: ErrorCode = typeof given === 'string' && given in errorTable ? (given as ErrorCode) : 'CAMERA_LOST'
  const message = messageOf(error)
  if (code === 'CAMERA_BUSY') {
    const holder = await holderOf(path)
    return new GapcamError(
      code,
      holder ? `camera ${path}: held by another process (pid ${holder.pid}, ${holder.name})` : message,
      { cause: error },
    )
  }
  if (code === 'CAMERA_PERMISSION') {
    const group = await groupOf(path)
    const hint = `sudo usermod -aG ${group} $USER, then log in again.`
    return new GapcamError(code, `camera ${path}: no permission; the device belongs to group ${group}`, {
      cause: error,
      hint,
    })
  }
  return new GapcamError(code, message, { cause: error })
}

/** The process that has a device open; null where /proc shows none to our user. */
async function holderOf(path: string): Promise<{ pid: number; name: string } | null> {
  const device = await realpath(path).catch(() => path)
  const pids = (await readdir('/proc').catch(() => [])).filter(
    (name) => /^\d+$/.test(name) && Number(name) !== process.pid,
  )
  for (const pid of pids) {
    const fds = await readdir(`/proc/${pid}/fd`).catch(() => [])
    for (const fd of fds) {
      if ((await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')) !== device) continue
      const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'unknown')).trim()
      return { pid: Number(pid), name }
    }
  }
  return null
}

async function groupOf(path: string): Promise<string> {
  const gid = await stat(path).then(
    ({ gid: id }) => id,
    () => -1,
  )
  const groups = await readFile('/etc/group', 'utf8').catch(() => '')
  const line = groups.split('\n').find((entry) => entry.split(':')[2] === String(gid))
  return line?.split(':')[0] ?? 'video'
}

/** A video device of this machine. */
export interface ListedDevice {
  readonly path: string
  readonly device: VideoDevice | null
  /** Why the device cannot be used; null if it can. */
  readonly problem: string | null
  readonly hint: string | null
}

/** The capture devices of this machine, without metadata and output nodes. */
export async function listV4l2Devices(): Promise<ListedDevice[]> {
  const names = (await readdir('/dev').catch(() => []))
    .filter((name) => /^video\d+$/.test(name))
    .sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)))
  const listed = await Promise.all(names.map((name) => describe(`/dev/${name}`)))
  return listed.filter((entry) => entry.device === null || entry.device.isCapture)
}

async function describe(path: string): Promise<ListedDevice> {
  const loaded = loadAddon()
  if ('reason' in loaded)
    return { path, device: null, problem: loaded.reason, hint: 'npm run build builds the native addon.' }
  try {
    const device = loaded.addon.describeVideoDevice(path)
    const holder = await holderOf(path)
    const readable = device.formats.some(({ fourcc }) => fourcc in formats || fourcc === 'MJPG' || fourcc === 'JPEG')
    if (device.isCapture && !readable)
      return { path, device, problem: 'it offers no pixel format that gapcam reads', hint: null }
    return {
      path,
      device,
      problem: null,
      hint: holder ? `open in another process (pid ${holder.pid}, ${holder.name}); it may be busy` : null,
    }
  } catch (error) {
    const explanation = await explained(error, path)
    return {
      path,
      device: null,
      problem: explanation.message,
      hint: explanation instanceof GapcamError ? explanation.hint : null,
    }
  }
}
