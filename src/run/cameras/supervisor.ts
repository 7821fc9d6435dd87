/**
 * Keeps one camera running: opens it, hands on its frames, and when it is lost or silent closes it and opens it again,
 * without end, with growing pauses. A reason is reported once and retried. A fault in
 * `onFrame`, such as the engine's, is not the camera's: it ends the supervision.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Camera, CameraDescription } from '../../camera/camera.js'
import type { Clock } from '../../clock.js'
import { GapcamError, messageOf } from '../../errors.js'
import type { Frame } from '../../frame.js'
import type { Activity, Loop } from '../guard/deadlines.js'
import { Rhythm } from './rhythm.js'

export interface Opening {
  /** The camera has delivered frames before. */
  readonly isRecovery: boolean
  /** See `Camera.isLive`. */
  readonly isLive: boolean
}

export interface Supervision {
  /** Makes a camera of the same source, not opened. */
  readonly make: () => Camera
  /** The camera has delivered frames before, so it is retried without end from the start. */
  readonly hasWorked?: boolean
  readonly clock: Clock
  /** A camera that delivers no frame for this long is opened again. */
  readonly stallMs: number
  /** Reports what this loop does. */
  readonly loop: Loop
  /** Deadline of `onFrame`. */
  readonly frameMs: number
  /** Wait for a camera that is not there at the start, where waiting can help. */
  readonly isPatient: boolean
  /** The first frame since opening has come. Opening alone proves nothing: some programs start and never deliver. */
  readonly onOpen: (description: CameraDescription, opening: Opening) => void
  /** Takes the frame over. The next frame is requested when this resolves; a rejection ends the supervision. */
  readonly onFrame: (frame: Frame) => Promise<void>
  readonly onLost: (error: GapcamError) => void
  readonly onWarning: (error: Error) => void
  /** Frames dropped since the last call. Called with each frame and when the camera is closed. */
  readonly onDropped: (frames: number) => void
}

const firstPauseMs = 500
const longestPauseMs = 30_000
/** After this long with frames the pauses start short again. Earlier they keep growing: each opening costs memory in some drivers. */
const stableMs = 10_000
/** Long enough for an RTSP camera that wakes up and for the first picture of a slow one. */
const openMs = 30_000
/** A child that does not end is killed after 1 s. A device that needs longer than this never closes. */
const closeMs = 2500
/** Waits that this loop can abandon are made in steps; each step shows that the loop lives. */
const stepMs = 1000

/**
 * Runs until the source ends or `signal` comes. Rejects with the camera's GapcamError when no frame ever came (a wrong
 * address would be retried without end) unless `isPatient`, and with the error of `onFrame`.
 */
export async function superviseCamera(supervision: Supervision, signal: AbortSignal): Promise<void> {
  const { clock } = supervision
  let pauseMs = firstPauseMs
  let hasWorked = supervision.hasWorked ?? false
  const rhythm = new Rhythm()
  while (!signal.aborted) {
    const camera = supervision.make()
    camera.onWarning = supervision.onWarning
    let told = 0
    const tellDropped = (): void => {
      const { dropped } = camera
      if (dropped > told) supervision.onDropped(dropped - told)
      told = dropped
    }
    const stop = (): void => void camera.close()
    signal.addEventListener('abort', stop, { once: true })
    try {
      const description = await openWithin(camera, supervision, signal)
      let firstMs: number | null = null
      await stream(camera, { ...supervision, rhythm }, signal, () => {
        if (firstMs === null) supervision.onOpen(description, { isRecovery: hasWorked, isLive: camera.isLive ?? false })
        firstMs ??= clock.now()
        hasWorked = true
        if (clock.now() - firstMs >= stableMs) pauseMs = firstPauseMs
        tellDropped()
      })
      return
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof FrameFault) throw error.cause
      const fault = asFault(error)
      if (!hasWorked && !(supervision.isPatient && fault.retryable)) throw fault
      supervision.onLost(fault)
    } finally {
      signal.removeEventListener('abort', stop)
      supervision.loop.enter('closing the camera', closeMs)
      rhythm.interrupt()
      await camera.close()
      tellDropped()
    }
    await pause(pauseMs * (0.75 + Math.random() / 2), supervision.loop, signal)
    pauseMs = Math.min(pauseMs * 2, longestPauseMs)
  }
}

/** Marks an error of `onFrame` on its way past the handling of camera faults. */
class FrameFault extends Error {
  constructor(cause: unknown) {
    super('', { cause })
  }
}

/** Hands on frames until the source ends or the signal comes. Throws when the camera is lost. */
async function stream(
  camera: Camera,
  supervision: Supervision & { readonly rhythm: Rhythm },
  signal: AbortSignal,
  onGood: () => void,
): Promise<void> {
  for (;;) {
    const limitMs = supervision.rhythm.limitMs(supervision.stallMs)
    const frame = await beforeStall(camera, limitMs, supervision.loop, signal)
    if (frame === null || signal.aborted) {
      frame?.release()
      return
    }
    supervision.rhythm.frame(supervision.clock.now())
    onGood()
    supervision.loop.enter('waiting for its frame', supervision.frameMs)
    await supervision.onFrame(frame).catch((cause: unknown) => {
      throw new FrameFault(cause)
    })
    if (signal.aborted) return
  }
}

/** The next frame, or CAMERA_STALLED: an RTSP camera may fall silent without an error. */
function beforeStall(camera: Camera, limitMs: number, loop: Loop, signal: AbortSignal): Promise<Frame | null> {
  const stalled = (): GapcamError =>
    new GapcamError('CAMERA_STALLED', `the camera has delivered no frame for ${Math.round(limitMs / 100) / 10} s`)
  return within(camera.next(signal), { limitMs, activity: 'waiting for a frame', loop, fault: stalled })
}

function openWithin(camera: Camera, { loop }: Supervision, signal: AbortSignal): Promise<CameraDescription> {
  const silent = (): GapcamError =>
    new GapcamError('CAMERA_STALLED', `the camera has not opened within ${openMs / 1000} s`)
  return within(camera.open(signal), { limitMs: openMs, activity: 'opening the camera', loop, fault: silent })
}

interface Wait {
  readonly limitMs: number
  readonly activity: Activity
  readonly loop: Loop
  readonly fault: () => GapcamError
}

/** The work's outcome, or the fault once the limit has passed. Steps are counted, so time while the process was stopped is not. */
function within<T>(work: Promise<T>, { limitMs, activity, loop, fault }: Wait): Promise<T> {
  loop.enter(activity, 3 * stepMs)
  return new Promise((resolve, reject) => {
    const everyMs = Math.min(stepMs, limitMs)
    let waitedMs = 0
    const timer = setInterval(() => {
      waitedMs += everyMs
      loop.enter(activity, 3 * stepMs)
      if (waitedMs >= limitMs) reject(fault())
    }, everyMs)
    work.then(resolve, reject).finally(() => clearInterval(timer))
  })
}

function asFault(error: unknown): GapcamError {
  return error instanceof GapcamError ? error : new GapcamError('CAMERA_LOST', messageOf(error), { cause: error })
}

async function pause(ms: number, loop: Loop, signal: AbortSignal): Promise<void> {
  for (let left = ms; left > 0 && !signal.aborted; left -= stepMs) {
    loop.enter('pausing', 3 * stepMs)
    await wait(Math.min(left, stepMs), undefined, { signal }).catch(() => undefined)
  }
}
