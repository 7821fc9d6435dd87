/** A progress bar on stderr for work that takes more than two seconds, where stderr is a terminal. */
import cliProgress from 'cli-progress'

export interface Progress {
  /** How much is done, from 0 to the total. */
  update(done: number): void
  stop(): void
}

const delayMs = 2000

export function startProgress(what: string, total: number): Progress {
  if (!process.stderr.isTTY) return { update: () => undefined, stop: () => undefined }
  const started = performance.now()
  // The bar's own handler of signals would swallow the first Ctrl-C; without one, cursor and wrapping stay as they are.
  const bar = new cliProgress.SingleBar(
    {
      format: `${what} {bar} {percentage}% | {eta} s left`,
      stream: process.stderr,
      clearOnComplete: true,
      linewrap: true,
      gracefulExit: false,
    },
    cliProgress.Presets.shades_classic,
  )
  let isShown = false
  return {
    update(done) {
      if (!isShown && performance.now() - started < delayMs) return
      if (!isShown) bar.start(total, done)
      isShown = true
      bar.update(done)
    },
    stop() {
      if (isShown) bar.stop()
    },
  }
}
