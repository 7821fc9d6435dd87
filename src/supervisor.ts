/**
 * Keeps one camera running: opens it, hands on its frames, and when it is lost or silent closes it and opens it again,
 * for ever, with growing pauses. What it cannot mend is said once and tried again.
 */
import type { Camera, CameraDescription } from './camera/camera.js'
import type { Clock } from './clock.js'
import { GapcamError, messageOf } from './errors.js'
import type { Frame } from './frame.js'

export interface Supervision {
  /** A camera of the same source, not opened. */
  readonly make: () => Camera
  /** It has worked before, so that it is tried for ever from the start. */
  readonly hasWorked?: boolean
  readonly clock: Clock
  /** A camera without a frame for so long is opened again. */
  readonly stallMs: number
  readonly onOpen: (description: CameraDescription, isRecovery: boolean) => void
  /** Takes the frame over. The next one is asked for when this resolves. */
  readonly onFrame: (frame: Frame) => Promise<void>
  readonly onLost: (error: GapcamError) => void
  readonly onWarning: (error: Error) => void
  /** Frames that a camera dropped, told when it is closed. */
  readonly onDropped: (frames: number) => void
}

const firstPauseMs = 500
const longestPauseMs = 30_000

/**
 * Runs until the source ends, or until `signal`. Rejects with a GapcamError when the camera cannot be opened the first
 * time, since nobody knows then that it ever will.
 */
export async function superviseCamera(supervision: Supervision, signal: AbortSignal): Promise<void> {
  let pauseMs = firstPauseMs
  let hasWorked = supervision.hasWorked ?? false
  while (!signal.aborted) {
    const camera = supervision.make()
    camera.onWarning = supervision.onWarning
    const stop = (): void => void camera.close()
    signal.addEventListener('abort', stop, { once: true })
    try {
      supervision.onOpen(await camera.open(signal), hasWorked)
      hasWorked = true
      if (await stream(camera, supervision, signal, () => { pauseMs = firstPauseMs })) return
    } catch (error) {
      if (signal.aborted) return
      const fault = asFault(error)
      if (!hasWorked) throw fault
      supervision.onLost(fault)
    } finally {
      signal.removeEventListener('abort', stop)
      await camera.close()
      supervision.onDropped(camera.dropped)
    }
    await pause(pauseMs * (0.75 + Math.random() / 2), signal)
    pauseMs = Math.min(pauseMs * 2, longestPauseMs)
  }
}

/** Frames until the source ends (true) or the signal comes (true as well); throws when the camera is lost. */
async function stream(camera: Camera, supervision: Supervision, signal: AbortSignal, onGood: () => void): Promise<boolean> {
  for (;;) {
    const frame = await beforeStall(camera, supervision, signal)
    if (frame === null || signal.aborted) {
      frame?.release()
      return true
    }
    onGood()
    await supervision.onFrame(frame)
    if (signal.aborted) return true
  }
}

/** The next frame, or CAMERA_STALLED: a source may be silent without saying so, as RTSP cameras are. */
function beforeStall(camera: Camera, { stallMs }: Supervision, signal: AbortSignal): Promise<Frame | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new GapcamError('CAMERA_STALLED', `the camera has delivered no frame for ${stallMs / 1000} s`)), stallMs)
    camera.next(signal).then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function asFault(error: unknown): GapcamError {
  return error instanceof GapcamError ? error : new GapcamError('CAMERA_LOST', messageOf(error), { cause: error })
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}
