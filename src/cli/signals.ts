/**
 * Ends a command on SIGINT, SIGTERM, or when the reader of stdout has closed. npm may deliver a signal twice (once to the
 * process group, once itself), so a second signal only counts if it comes more than a second later.
 */
import { exitNow } from '../run/guard/watchdog.js'

/** What stops a command. */
export interface Stop {
  readonly signal: AbortSignal
  /** Whether the reader of stdout has closed, as after `| head -1`. */
  readonly isStdoutClosed: () => boolean
}

const repeatMs = 1000
/** Exit at once if shutdown takes longer than this. */
const endMs = 10_000
const statuses = { SIGINT: 130, SIGTERM: 143 } as const

/**
 * Runs work that can be stopped, and sets the exit status of the signal. A second signal exits at once. Errors after the
 * stop are ignored.
 *
 *     await untilSignal(({ signal }) => watch(signal))
 */
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
    if (error.code !== 'EPIPE') return // the run goes on; output.ts reports the fault
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
  // The handlers stay, since the second of two signals may come while the process shuts down.
}
