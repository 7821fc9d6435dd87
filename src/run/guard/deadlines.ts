/**
 * Finds loops that hang. Each loop of the program reports the activity it begins and the longest time it may take. Only
 * that counts as progress: the service manager's watchdog is fed by the loops and not by a timer.
 */
export type Activity =
  | 'opening the camera'
  | 'waiting for a frame'
  | 'closing the camera'
  | 'pausing'
  | 'switched off'
  | 'in an inference'
  | 'waiting for its frame'
  | 'idle'

export interface Loop {
  /** The loop begins `activity`, which may take `deadlineMs`; Infinity for no deadline. */
  enter(activity: Activity, deadlineMs: number): void
  /** The loop has ended and is no longer watched. */
  end(): void
}

export interface Hang {
  readonly loop: string
  readonly activity: Activity
  readonly deadlineMs: number
}

export interface Deadlines {
  /** Starts to watch a loop. It has no deadline before its first activity. */
  loop(name: string): Loop
  close(): void
}

export interface DeadlineOptions {
  /** A loop began an activity while no loop was late. */
  readonly onProgress: (activity: Activity) => void
  /** Called once for each activity that exceeds its deadline. */
  readonly onHang: (hang: Hang) => void
}

/**
 * Lateness is counted in ticks and not read from a clock: after SIGSTOP, a suspended board or a blocked main thread the
 * loops were not late, they did not run either.
 */
const tickMs = 500

interface State {
  readonly name: string
  activity: Activity
  deadlineMs: number
  lateMs: number
  hasHung: boolean
}

/**
 * Starts to watch loops.
 *
 *     const loop = createDeadlines({ onProgress, onHang }).loop('camera cam0')
 *     loop.enter('waiting for a frame', 5000)
 */
export function createDeadlines({ onProgress, onHang }: DeadlineOptions): Deadlines {
  const states = new Set<State>()
  const isLate = (state: State): boolean => state.lateMs > state.deadlineMs

  const timer = setInterval(() => {
    for (const state of states) {
      state.lateMs += tickMs
      if (!isLate(state) || state.hasHung) continue
      state.hasHung = true
      onHang({ loop: state.name, activity: state.activity, deadlineMs: state.deadlineMs })
    }
  }, tickMs).unref()

  function isAnyLate(): boolean {
    for (const state of states) if (isLate(state)) return true
    return false
  }

  return {
    loop(name) {
      const state: State = { name, activity: 'idle', deadlineMs: Infinity, lateMs: 0, hasHung: false }
      states.add(state)
      return {
        enter(activity, deadlineMs) {
          state.activity = activity
          state.deadlineMs = deadlineMs
          state.lateMs = 0
          state.hasHung = false
          if (activity !== 'idle' && !isAnyLate()) onProgress(activity)
        },
        end() {
          states.delete(state)
        },
      }
    },
    close() {
      clearInterval(timer)
    },
  }
}

/** Watches nothing; for runs without a watchdog, such as `gapcam record`. */
export const noDeadlines: Deadlines = { loop: () => ({ enter() {}, end() {} }), close() {} }
