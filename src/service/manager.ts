/**
 * Tells the service manager through sd_notify(3) that gapcam is ready, what it does, that it makes progress and that it
 * stops. Without a service manager every call does nothing. A failure to notify is logged once and never ends a run.
 */
import { loadAddon } from '../addon.js'
import { messageOf } from '../errors.js'
import type { Logger } from '../log.js'

/** The service manager of this process, see `findServiceManager`. */
export interface ServiceManager {
  /** Whether a service manager listens. */
  readonly isThere: boolean
  /** The manager ends this process after this long without `alive`; null if it has no watchdog. */
  readonly watchdogMs: number | null
  /** The start is complete. */
  ready(): void
  /** One line that `systemctl status` shows. */
  status(text: string): void
  /** Resets the watchdog. */
  alive(): void
  /** The process is shutting down. */
  stopping(): void
}

/**
 * Reads NOTIFY_SOCKET and WATCHDOG_* and deletes them from `environment`, so that no child process notifies in our place.
 * `pid` is this process; a watchdog for another process (WATCHDOG_PID) is ignored.
 *
 *     const manager = findServiceManager(process.env, log)
 *     manager.ready()
 */
export function findServiceManager(
  environment: NodeJS.ProcessEnv,
  log: Pick<Logger, 'warn'>,
  pid = process.pid,
): ServiceManager {
  const { NOTIFY_SOCKET: socket = '', WATCHDOG_USEC: usec = '', WATCHDOG_PID: watched = '' } = environment
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name]
  const send = socket === '' ? null : sender(socket, log)
  const isForUs = send !== null && /^[1-9]\d*$/.test(usec) && (watched === '' || Number(watched) === pid)
  return {
    isThere: send !== null,
    watchdogMs: isForUs ? Number(usec) / 1000 : null,
    ready: () => send?.('READY=1'),
    // A line break would begin another assignment.
    status: (text) => send?.(`STATUS=${text.replace(/[\r\n]+/g, ' ')}`),
    alive: () => {
      if (isForUs) send?.('WATCHDOG=1')
    },
    stopping: () => send?.('STOPPING=1'),
  }
}

function sender(socket: string, log: Pick<Logger, 'warn'>): ((state: string) => void) | null {
  const loaded = loadAddon()
  if (!('addon' in loaded)) {
    log.warn(
      {},
      `the service manager cannot be notified, because the native addon is missing: ${loaded.reason}. Build it with npm run build, or install the unit again: gapcam service install writes one that works without it`,
    )
    return null
  }
  let hasFailed = false
  return (state) => {
    try {
      loaded.addon.notify(socket, state)
    } catch (error) {
      if (!hasFailed) log.warn({ socket }, `the service manager does not listen on ${socket}: ${messageOf(error)}`)
      hasFailed = true
    }
  }
}
