/** How `gapcam run` shows that it gets on: to the service manager, to a health check, and to itself. */
import type { Config } from '../config/schema.js'
import type { Logger } from '../log.js'
import type { Metrics } from '../metrics.js'
import type { Progress } from './progress.js'
import type { ServiceManager } from '../service/manager.js'
import { startWatchdog } from './watchdog.js'

export interface Watch {
  readonly progress: Progress
  /** The run ends: the manager is told, and nothing is expected any more. */
  close(): void
}

export interface WatchOptions {
  readonly config: Config
  readonly metrics: Metrics
  readonly manager: ServiceManager
  readonly log: Logger
}

/** Ready is who has a first result, waits for a camera as it was told to, or looks at nothing by command: from then on the service manager's watchdog runs. */
export function watchOver({ config, metrics, manager, log }: WatchOptions, signal: AbortSignal): Watch {
  let last = { ms: metrics.startedMs, frames: 0 }

  function status(): string {
    const now = { ms: performance.now(), frames: metrics.frames }
    const fps = ((now.frames - last.frames) * 1000) / Math.max(1, now.ms - last.ms)
    last = now
    const recoveries = metrics.recoveries === 0 ? '' : `, ${metrics.recoveries} camera recoveries`
    return now.frames === 0
      ? 'waiting for the first result'
      : `${fps.toFixed(1)} results a second, ${now.frames} in all${recoveries}`
  }

  const watchdog = startWatchdog({
    manager,
    log,
    mainThreadMs: config.hungAfterMs,
    progressFile: config.progressFile,
    isReady: (stage) => metrics.frames > 0 || stage === 'pausing' || stage === 'switched off',
    status,
  })
  const stopping = (): void => manager.stopping()
  signal.addEventListener('abort', stopping, { once: true })
  return {
    progress: watchdog.progress,
    close() {
      signal.removeEventListener('abort', stopping)
      if (!signal.aborted) manager.stopping()
      watchdog.close()
    },
  }
}
