/** Shows that `gapcam run` makes progress: to the service manager, to a health check file, and to its own watchdog. */
import type { Config } from '../../config/schema.js'
import type { Logger } from '../../log.js'
import type { Metrics } from '../../metrics.js'
import type { Deadlines } from './deadlines.js'
import type { ServiceManager } from '../../service/manager.js'
import { startWatchdog } from './watchdog.js'

export interface Liveness {
  readonly deadlines: Deadlines
  /** The node ends: tells the service manager and stops watching. */
  close(): void
}

export interface LivenessOptions {
  readonly config: Config
  readonly metrics: Metrics
  readonly manager: ServiceManager
  readonly log: Logger
  /** Created when the node hangs; '' for none. */
  readonly hangFile: string
}

/**
 * Starts the watchdog. Ready means: a first result exists, we are waiting for a missing camera, or the camera is disabled.
 * The service manager's watchdog runs from then on.
 */
export function startLiveness(
  { config, metrics, manager, log, hangFile }: LivenessOptions,
  signal: AbortSignal,
): Liveness {
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
    hangFile,
    isReady: (activity) => metrics.frames > 0 || activity === 'pausing' || activity === 'switched off',
    status,
  })
  const stopping = (): void => manager.stopping()
  signal.addEventListener('abort', stopping, { once: true })
  return {
    deadlines: watchdog.deadlines,
    close() {
      signal.removeEventListener('abort', stopping)
      if (!signal.aborted) manager.stopping()
      watchdog.close()
    },
  }
}
