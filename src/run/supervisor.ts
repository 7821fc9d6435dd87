/**
 * Keeps one camera running: opens it, hands on its frames, and when it is lost or silent closes it and opens it again,
 * for ever, with growing pauses. What it cannot mend is said once and tried again.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Camera, CameraDescription } from '../camera/camera.js'
import type { Clock } from '../clock.js'
import { GapcamError, messageOf } from '../errors.js'
import type { Frame } from '../frame.js'
import type { Loop, Stage } from './progress.js'

export interface Supervision {
  /** A camera of the same source, not opened. */
  readonly make: () => Camera
  /** It has delivered frames before, so that it is tried for ever from the start. */
  readonly hasWorked?: boolean
  readonly clock: Clock
  /** A camera without a frame for so long is opened again. */
  readonly stallMs: number
  /** Hears where this loop is. */
  readonly loop: Loop
  /** How long `onFrame` may take before the program hangs. */
  readonly frameMs: number
  /** Whether a camera that does not get as far as a frame the first time is waited for, where waiting can help. */
  readonly isPatient: boolean
  /** A camera has opened and its first frame is there: a program may start well and never deliver one. */
  readonly onOpen: (description: CameraDescription, isRecovery: boolean) => void
  /** Takes the frame over. The next one is asked for when this resolves. */
  readonly onFrame: (frame: Frame) => Promise<void>
  readonly onLost: (error: GapcamError) => void
  readonly onWarning: (error: Error) => void
  /** Frames that a camera dropped since the last time, told with each frame and when it is closed. */
  readonly onDropped: (frames: number) => void
}

const firstPauseMs = 500
const longestPauseMs = 30_000
/** A camera that has delivered for so long was a good one: the next pause is short again. Opening costs memory of some drivers. */
const stableMs = 10_000
/** An RTSP camera that wakes up answers within this; ffprobe itself gives up after 15 s. */
const openMs = 20_000
/** A child that does not end is killed after 1 s; a device that does not let go for longer never will. */
const closeMs = 2500
/** What this loop can give up by itself it waits for in steps; each is a sign that the loop lives. */
const stepMs = 1000

/**
 * Runs until the source ends, or until `signal`. Rejects with a GapcamError when the camera does not deliver a frame the
 * first time, since nobody knows then that it ever will, unless it is patient.
 */
export async function superviseCamera(supervision: Supervision, signal: AbortSignal): Promise<void> {
  const { clock } = supervision
  let pauseMs = firstPauseMs
  let hasWorked = supervision.hasWorked ?? false
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
      if (
        await stream(camera, supervision, signal, () => {
          if (firstMs === null) supervision.onOpen(description, hasWorked)
          firstMs ??= clock.now()
          hasWorked = true
          if (clock.now() - firstMs >= stableMs) pauseMs = firstPauseMs
          tellDropped()
        })
      )
        return
    } catch (error) {
      if (signal.aborted) return
      const fault = asFault(error)
      if (!hasWorked && !(supervision.isPatient && fault.retryable)) throw fault
      supervision.onLost(fault)
    } finally {
      signal.removeEventListener('abort', stop)
      supervision.loop.enter('closing the camera', closeMs)
      await camera.close()
      tellDropped()
    }
    await pause(pauseMs * (0.75 + Math.random() / 2), supervision.loop, signal)
    pauseMs = Math.min(pauseMs * 2, longestPauseMs)
  }
}

/** Frames until the source ends (true) or the signal comes (true as well); throws when the camera is lost. */
async function stream(
  camera: Camera,
  supervision: Supervision,
  signal: AbortSignal,
  onGood: () => void,
): Promise<boolean> {
  for (;;) {
    const frame = await beforeStall(camera, supervision, signal)
    if (frame === null || signal.aborted) {
      frame?.release()
      return true
    }
    onGood()
    supervision.loop.enter('waiting for its frame', supervision.frameMs)
    await supervision.onFrame(frame)
    if (signal.aborted) return true
  }
}

/** The next frame, or CAMERA_STALLED: a source may be silent without saying so, as RTSP cameras are. */
function beforeStall(camera: Camera, { stallMs, loop }: Supervision, signal: AbortSignal): Promise<Frame | null> {
  const stalled = (): GapcamError =>
    new GapcamError('CAMERA_STALLED', `the camera has delivered no frame for ${stallMs / 1000} s`)
  return within(camera.next(signal), { limitMs: stallMs, stage: 'waiting for a frame', loop, fault: stalled })
}

function openWithin(camera: Camera, { loop }: Supervision, signal: AbortSignal): Promise<CameraDescription> {
  const silent = (): GapcamError =>
    new GapcamError('CAMERA_STALLED', `the camera has not opened within ${openMs / 1000} s`)
  return within(camera.open(signal), { limitMs: openMs, stage: 'opening the camera', loop, fault: silent })
}

interface Patience {
  readonly limitMs: number
  readonly stage: Stage
  readonly loop: Loop
  readonly fault: () => GapcamError
}

/** The work's outcome, or the fault once the limit has passed. Steps are counted, so time in which we were stopped is not. */
function within<T>(work: Promise<T>, { limitMs, stage, loop, fault }: Patience): Promise<T> {
  loop.enter(stage, 3 * stepMs)
  return new Promise((resolve, reject) => {
    const everyMs = Math.min(stepMs, limitMs)
    let waitedMs = 0
    const timer = setInterval(() => {
      waitedMs += everyMs
      loop.enter(stage, 3 * stepMs)
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
