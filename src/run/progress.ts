/**
 * Who is where, and since when: each loop of the program says which stage it has come to and how long that may take. A
 * stage that takes longer hangs. Coming to a stage is what counts as progress, and nothing else: the service manager's
 * watchdog hears of the pipeline, not of a timer.
 */
export type Stage =
  | 'opening the camera'
  | 'waiting for a frame'
  | 'closing the camera'
  | 'pausing'
  | 'switched off'
  | 'in an inference'
  | 'waiting for its frame'
  | 'idle'

export interface Loop {
  /** The loop has come to `stage`, which may take `deadlineMs`; Infinity for one that has no deadline. */
  enter(stage: Stage, deadlineMs: number): void
  /** The loop is over: it is no longer looked at. */
  end(): void
}

export interface Hang {
  readonly loop: string
  readonly stage: Stage
  readonly deadlineMs: number
}

export interface Progress {
  /** A loop to look at; nothing is expected of it before its first stage. */
  loop(name: string): Loop
  close(): void
}

export interface ProgressOptions {
  /** A loop came to a stage while no loop was late. */
  readonly onProgress: (stage: Stage) => void
  /** Called once for a stage that hangs. */
  readonly onHang: (hang: Hang) => void
}

/**
 * Lateness is counted in looks, not in time: after SIGSTOP, a suspended board, or a main thread that had no turn, the
 * stages have not been late, only nobody looked.
 */
const lookEveryMs = 500

interface State {
  readonly name: string
  stage: Stage
  deadlineMs: number
  lateMs: number
  hasHung: boolean
}

export function createProgress({ onProgress, onHang }: ProgressOptions): Progress {
  const states = new Set<State>()
  const isLate = (state: State): boolean => state.lateMs > state.deadlineMs

  const timer = setInterval(() => {
    for (const state of states) {
      state.lateMs += lookEveryMs
      if (!isLate(state) || state.hasHung) continue
      state.hasHung = true
      onHang({ loop: state.name, stage: state.stage, deadlineMs: state.deadlineMs })
    }
  }, lookEveryMs).unref()

  function isAnyLate(): boolean {
    for (const state of states) if (isLate(state)) return true
    return false
  }

  return {
    loop(name) {
      const state: State = { name, stage: 'idle', deadlineMs: Infinity, lateMs: 0, hasHung: false }
      states.add(state)
      return {
        enter(stage, deadlineMs) {
          state.stage = stage
          state.deadlineMs = deadlineMs
          state.lateMs = 0
          state.hasHung = false
          if (stage !== 'idle' && !isAnyLate()) onProgress(stage)
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

/** Looks at nothing: for a run that nobody watches over. */
export const noProgress: Progress = { loop: () => ({ enter() {}, end() {} }), close() {} }
