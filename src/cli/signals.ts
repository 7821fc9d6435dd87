/**
 * How a run ends: by itself, by SIGINT or SIGTERM, or because nobody reads stdout any more. npm may deliver a signal
 * twice within moments (once to the group, once itself), so a second one only counts after a second has passed.
 */
import { exitNow } from '../run/watchdog.js'

export interface Stop {
  readonly signal: AbortSignal
  /** Whether the reader of stdout has gone, as after `| head -1`. */
  readonly isStdoutClosed: () => boolean
}

const repeatMs = 1000
/** Who has been told to end and has not by then hangs. */
const endMs = 10_000
const statuses = { SIGINT: 130, SIGTERM: 143 } as const

/** Runs work that can be stopped. Sets the exit status of the signal that ended it; a later second signal ends at once. */
export async function untilSignal(work: (stop: Stop) => Promise<void>): Promise<void> {
  const controller = new AbortController()
  let firstMs = 0
  let isStdoutClosed = false
  const onSignal = (name: keyof typeof statuses): void => {
    if (controller.signal.aborted && firstMs > 0) {
      if (performance.now() - firstMs > repeatMs) exitNow(statuses[name])
      return
    }
    firstMs = performance.now()
    process.exitCode = statuses[name]
    setTimeout(() => exitNow(statuses[name]), endMs).unref()
    controller.abort()
  }
  const onStdoutError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') return // the run goes on without; output.ts says so
    isStdoutClosed = true
    controller.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  process.stdout.on('error', onStdoutError)
  try {
    await work({ signal: controller.signal, isStdoutClosed: () => isStdoutClosed })
  } catch (error) {
    if (!controller.signal.aborted) throw error
  }
  // The handlers stay: the second of two signals may come while the process winds down.
}
