/** A progress bar on stderr. It appears after two seconds, and only if stderr is a terminal. */
import cliProgress from 'cli-progress'

/** A bar that has been started. */
export interface ProgressBar {
  /** The amount done, from 0 to the total. */
  update(done: number): void
  stop(): void
}

const delayMs = 2000

/**
 * Starts a bar. Call `stop` at the end.
 *
 *     const bar = startProgressBar('pictures', files.length)
 *     bar.update(1)
 */
export function startProgressBar(what: string, total: number): ProgressBar {
  if (!process.stderr.isTTY) return { update: () => undefined, stop: () => undefined }
  const started = performance.now()
  // gracefulExit would install a signal handler that swallows the first Ctrl-C. Without it the bar must not hide the cursor
  // or change the line wrapping.
  const bar = new cliProgress.SingleBar(
    {
      format: `${what} {bar} {percentage}% | {left} s left`,
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
      // The library measures from the start of the bar, where nothing is done yet and it would say INF.
      const left = done > 0 ? Math.round(((performance.now() - started) * (total - done)) / done / 1000) : '?'
      if (!isShown) bar.start(total, done, { left })
      isShown = true
      bar.update(done, { left })
    },
    stop() {
      if (isShown) bar.stop()
    },
  }
}
