/**
 * What gapcam tells systemd (or whoever speaks sd_notify): that it is ready, what it does, that it lives, that it ends.
 * Without a manager, or where it does not listen, every call does nothing; a service manager never stops a run.
 */
import { loadAddon } from '../addon.js'
import { messageOf } from '../errors.js'
import type { Logger } from '../log.js'

export interface ServiceManager {
  /** Whether somebody listens. */
  readonly isThere: boolean
  /** The manager ends us after so long without `alive`; null: it does not watch. */
  readonly watchdogMs: number | null
  ready(): void
  /** One line for people, shown by `systemctl status`. */
  status(text: string): void
  alive(): void
  stopping(): void
}

/**
 * Takes NOTIFY_SOCKET and WATCHDOG_* out of `environment`, so that no child speaks in our name. `pid` is ours: a
 * watchdog meant for another process (WATCHDOG_PID) is none of our business.
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
      `the service manager cannot be told anything: ${loaded.reason}; gapcam service install writes a unit for that`,
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
