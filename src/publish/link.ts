/**
 * Keeps one connection with the broker for as long as the program runs: tries for ever with capped backoff and jitter,
 * after a refusal too, finds the protocol version, and tells the log what is wrong once, not at every attempt.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '../clock.js'
import { errorTable, GapcamError, messageOf, type ErrorCode } from '../errors.js'
import type { Logger } from '../log.js'
import {
  connectOnce,
  type Attempt,
  type ConnectOptions,
  type Connection,
  type Credentials,
  type Incoming,
  type Loss,
  type Message,
  type ProtocolVersion,
  type Subscription,
} from './mqtt.js'

export interface LinkOptions {
  readonly connect: ConnectOptions
  readonly clientId: string
  /** Sent by the broker when we vanish. */
  readonly will: Message
  /** Asked for on every connection, before anything is sent. */
  readonly subscriptions?: readonly Subscription[]
  readonly onMessage?: (message: Incoming) => void
  readonly onUp: (connection: Connection) => void
  readonly onDown: () => void
  readonly log: Pick<Logger, 'info' | 'warn' | 'debug'>
  readonly clock: Clock
  /** Whether the wall clock has been set; default: it has. */
  readonly isClockSynced?: () => boolean
  /** Shorter waits for tests; default 250 and 30,000. */
  readonly backoffMs?: { readonly first: number; readonly most: number }
}

export interface Link {
  /** Address without user and password. */
  readonly url: string
  readonly protocol: '5' | '3.1.1'
  readonly isConnected: boolean
  /** Connections after the first. */
  readonly reconnects: number
  readonly lastError: string | undefined
  start(): void
  /**
   * Ends for good, within about `timeoutMs`: an attempt that is under way may still succeed, `farewell` may send what
   * is left, and the broker is told to forget the will.
   */
  close(farewell: (connection: Connection) => Promise<void>, timeoutMs: number): Promise<void>
}

/** Time is set at any moment after a start, and an attempt costs little. */
const clockWaitMs = 1_000
/** A connection that lasted this long was a good one: the next wait is short again. */
const stableMs = 10_000
/** So many connections in a row that were accepted and soon broken look like a second client with our id (3.1.1 does not say). */
const suspiciousBreaks = 4

/** Throws CONFIG_INVALID for an address that is none. */
export function createLink(options: LinkOptions): Link {
  const {
    connect: { renew, ...connect },
    clientId,
    will,
    log,
    clock,
    backoffMs = { first: 250, most: 30_000 },
  } = options
  const url = plainUrl(connect.url)
  const stopping = new AbortController()
  const abandoned = new AbortController()
  let credentials: Credentials = {}
  let lastRenewal: string | null = null
  let version: ProtocolVersion = connect.protocol === '3.1.1' ? 4 : 5
  let connection: Connection | null = null
  let attempt: Promise<Attempt> | null = null
  let loop: Promise<void> | null = null
  let connects = 0
  let failures = 0
  let quickBreaks = 0
  let lastError: string | undefined
  let lastReport: string | null = null
  let hasExplainedRival = false
  const refusedFilters = new Set<string>()

  async function run(): Promise<void> {
    for (let isFirst = true; !stopping.signal.aborted; isFirst = false) {
      if (!isFirst) renewCredentials()
      attempt = connectOnce({
        ...connect,
        ...credentials,
        clientId,
        will,
        version,
        signal: abandoned.signal,
        ...(options.onMessage ? { onMessage: options.onMessage } : {}),
      })
      const result = await attempt
      attempt = null
      const loss = result.ok ? await hold(result.connection) : result.loss
      if (stopping.signal.aborted || loss.kind === 'closed') return
      report(loss)
      if (chooseVersion(loss)) continue
      await wait(nextWait(loss), undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }

  /** A file that is just being replaced is whole at the next attempt. */
  function renewCredentials(): void {
    let fault: string | null = null
    try {
      credentials = renew?.() ?? credentials
    } catch (error) {
      fault = messageOf(error)
    }
    if (fault !== null && fault !== lastRenewal)
      log.warn({ broker: url }, `broker ${url}: ${fault}; gapcam tries what it read before`)
    lastRenewal = fault
  }

  async function hold(made: Connection): Promise<Loss> {
    const upMs = clock.now()
    connection = made
    connects++
    log.info({ broker: url, protocol: nameOf(made.protocol) }, `broker ${url}: connected`)
    lastReport = null
    void made.subscribe(options.subscriptions ?? []).then(explainRefusals)
    options.onUp(made)
    const loss = await made.lost
    connection = null
    options.onDown()
    const isQuick = clock.now() - upMs < stableMs
    quickBreaks = isQuick && loss.kind === 'broken' ? quickBreaks + 1 : 0
    if (!isQuick) failures = 0
    return loss
  }

  /** Whether to try at once with the other version. A broker that hangs up on one may talk in the other. */
  function chooseVersion(loss: Loss): boolean {
    if (connect.protocol !== undefined || (loss.kind !== 'protocol' && loss.kind !== 'unanswered')) return false
    version = version === 5 ? 4 : 5
    return loss.kind === 'protocol' && version === 4
  }

  /** Half to the whole of a wait that doubles: many nodes must not come back to a broker at the same moment. */
  function nextWait(loss: Loss): number {
    if (isBeforeItsTime(loss)) return clockWaitMs
    const full =
      loss.kind === 'taken_over'
        ? backoffMs.most
        : Math.min(backoffMs.most, backoffMs.first * 2 ** Math.min(failures++, 20))
    return full * (0.5 + Math.random() / 2)
  }

  /** A board without a battery wakes in the past: then the certificate is right, and the clock will be. */
  function isBeforeItsTime({ kind }: Loss): boolean {
    return kind === 'not_yet_valid' && options.isClockSynced?.() === false
  }

  function report(loss: Loss): void {
    lastError = loss.message
    if (loss.kind === 'taken_over' || quickBreaks >= suspiciousBreaks) explainRival(loss)
    const line = `${loss.kind}: ${loss.message}`
    if (isBeforeItsTime(loss) && line !== lastReport) {
      lastReport = line
      log.info({ broker: url }, `broker ${url}: ${loss.message}, which has not been set yet: gapcam waits for it`)
    }
    if (line === lastReport || loss.kind === 'protocol')
      return log.debug({ broker: url, failures }, `broker ${url}: ${loss.message}`)
    lastReport = line
    const code: ErrorCode = loss.kind === 'refused' ? 'BROKER_REFUSED' : 'BROKER_UNREACHABLE'
    log.warn({ broker: url, code, hint: errorTable[code].hint }, `broker ${url}: ${loss.message}; gapcam tries again`)
  }

  function explainRefusals(refusals: readonly { readonly filter: string; readonly reason: string }[]): void {
    for (const { filter, reason } of refusals) {
      if (refusedFilters.has(filter)) continue
      refusedFilters.add(filter)
      log.warn(
        { broker: url, filter, code: 'BROKER_REFUSED' },
        `broker ${url}: it refuses the subscription to ${filter} (${reason}): check its access rules`,
      )
    }
  }

  function explainRival({ kind }: Loss): void {
    if (hasExplainedRival) return
    hasExplainedRival = true
    const what =
      kind === 'taken_over'
        ? 'another client took over the session'
        : 'the connection is accepted and broken again and again'
    log.warn(
      { broker: url, clientId },
      `broker ${url}: ${what}: is a second gapcam running as ${clientId}? Give each a --node of its own`,
    )
  }

  return {
    url,
    get protocol() {
      return nameOf(connection?.protocol ?? version)
    },
    get isConnected() {
      return connection !== null
    },
    get reconnects() {
      return Math.max(0, connects - 1)
    },
    get lastError() {
      return lastError
    },
    start() {
      loop ??= run()
    },
    async close(farewell, timeoutMs) {
      const endMs = clock.now() + timeoutMs
      const left = (): number => Math.max(50, endMs - clock.now())
      stopping.abort()
      if (attempt) await within(attempt, left())
      const open = connection
      if (open) {
        await within(farewell(open), left())
        await open.close(left())
      }
      abandoned.abort()
      await loop
    },
  }
}

/** Waits for something, but no longer than this. */
async function within(something: Promise<unknown>, timeoutMs: number): Promise<void> {
  const timer = new AbortController()
  await Promise.race([something, wait(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined)])
  timer.abort()
}

function nameOf(version: ProtocolVersion): '5' | '3.1.1' {
  return version === 5 ? '5' : '3.1.1'
}

/** The address as it may be shown. */
export function plainUrl(url: string): string {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    throw new GapcamError('CONFIG_INVALID', `broker ${url} is not an address`, {
      hint: 'An address looks like mqtt://192.168.1.10:1883.',
    })
  }
  if (!['mqtt:', 'mqtts:', 'tcp:', 'ssl:', 'ws:', 'wss:'].includes(parsed.protocol) || parsed.hostname === '') {
    throw new GapcamError('CONFIG_INVALID', `broker address of kind ${parsed.protocol}// is not known`, {
      hint: 'mqtt://, mqtts://, ws:// and wss:// are.',
    })
  }
  return `${parsed.protocol}//${parsed.host}${parsed.pathname === '/' ? '' : parsed.pathname}`
}
