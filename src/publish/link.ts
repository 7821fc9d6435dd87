/**
 * Keeps one connection with the broker while the program runs: it tries again without end, with capped backoff and
 * jitter, also after a refusal, and finds the protocol version.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '../clock.js'
import { messageOf } from '../errors.js'
import type { Logger } from '../log.js'
import { LinkReport } from './link-report.js'
import { connectOnce } from './connect.js'
import {
  firstVersion,
  otherVersion,
  versionName,
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
import { targetOf } from './target.js'

export interface LinkOptions {
  readonly connect: ConnectOptions
  readonly clientId: string
  /** Sent by the broker when this client vanishes; null: nothing. */
  readonly will: Message | null
  /** Asked for on every connection, before anything is sent. */
  readonly subscriptions?: readonly Subscription[] | undefined
  readonly onMessage?: ((message: Incoming) => void) | undefined
  readonly onUp: (connection: Connection) => void
  readonly onDown: () => void
  readonly log: Pick<Logger, 'info' | 'warn' | 'debug'>
  readonly clock: Clock
  /** Whether the wall clock has been set; default: it has. */
  readonly isClockSynced?: (() => boolean) | undefined
  /** Default 250 and 30,000; tests use shorter pauses. */
  readonly backoffMs?: { readonly first: number; readonly most: number } | undefined
}

export interface Link {
  /** The address without user and password. */
  readonly url: string
  readonly protocol: '5' | '3.1.1'
  readonly isConnected: boolean
  /** Connections after the first. */
  readonly reconnects: number
  readonly lastError: string | undefined
  start(): void
  /**
   * Ends for good, within about `timeoutMs`: an attempt that is under way may still succeed, `farewell` may send what
   * is left, and the broker is told to discard the will.
   */
  close(farewell: (connection: Connection) => Promise<void>, timeoutMs: number): Promise<void>
}

/** Pause while the clock has not been set: that can happen at any moment, and an attempt costs little. */
const clockWaitMs = 1_000
/** After a connection that lasted this long, the first pause is short again. */
const stableMs = 10_000
/**
 * This many connections in a row that were accepted and soon broken suggest a second client with the same id (3.1.1
 * does not say so).
 */
const suspiciousBreaks = 4

/**
 * Throws CONFIG_INVALID for an address that cannot be used.
 *
 *     const link = createLink({ connect: { url: 'mqtt://broker' }, clientId: 'gapcam-dock1', will, onUp, onDown, log, clock })
 *     link.start()
 */
export function createLink(options: LinkOptions): Link {
  return new BrokerLink(options)
}

class BrokerLink implements Link {
  readonly url: string
  readonly #options: LinkOptions
  readonly #report: LinkReport
  readonly #stopping = new AbortController()
  /** Gives up the attempt that is under way. */
  readonly #abandoned = new AbortController()
  #credentials: Credentials = {}
  #version: ProtocolVersion
  #connection: Connection | null = null
  #attempt: Promise<Attempt> | null = null
  #loop: Promise<void> | null = null
  #connects = 0
  #failures = 0
  #quickBreaks = 0
  #lastError: string | undefined

  constructor(options: LinkOptions) {
    this.#options = options
    this.url = targetOf(options.connect).url
    this.#report = new LinkReport(options.log, this.url)
    this.#version = firstVersion(options.connect.protocol)
  }

  get protocol(): '5' | '3.1.1' {
    return versionName(this.#connection?.protocol ?? this.#version)
  }

  get isConnected(): boolean {
    return this.#connection !== null
  }

  get reconnects(): number {
    return Math.max(0, this.#connects - 1)
  }

  get lastError(): string | undefined {
    return this.#lastError
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  async close(farewell: (connection: Connection) => Promise<void>, timeoutMs: number): Promise<void> {
    const endMs = this.#options.clock.now() + timeoutMs
    const leftMs = (): number => Math.max(50, endMs - this.#options.clock.now())
    this.#stopping.abort()
    if (this.#attempt) await within(this.#attempt, leftMs())
    const open = this.#connection
    if (open) {
      await within(farewell(open), leftMs())
      await open.close(leftMs())
    }
    this.#abandoned.abort()
    await this.#loop
  }

  async #run(): Promise<void> {
    const { clientId, will, onMessage } = this.#options
    for (let isFirst = true; !this.#stopping.signal.aborted; isFirst = false) {
      if (!isFirst) this.#renewCredentials()
      this.#attempt = connectOnce({
        connect: { ...this.#options.connect, ...this.#credentials },
        clientId,
        will: will ?? undefined,
        onMessage,
        version: this.#version,
        signal: this.#abandoned.signal,
      })
      const attempt = await this.#attempt
      this.#attempt = null
      const loss = attempt.ok ? await this.#hold(attempt.connection) : attempt.loss
      if (this.#stopping.signal.aborted || loss.kind === 'closed') return
      this.#tell(loss)
      if (this.#changeVersion(loss)) continue
      await wait(this.#nextWait(loss), undefined, { signal: this.#stopping.signal }).catch(() => undefined)
    }
  }

  /** If a file is just being replaced, the last credentials serve for one more attempt. */
  #renewCredentials(): void {
    try {
      this.#credentials = this.#options.connect.renew?.() ?? this.#credentials
      this.#report.renewal(null)
    } catch (error) {
      this.#report.renewal(messageOf(error))
    }
  }

  /** Serves a connection until it is lost. */
  async #hold(connection: Connection): Promise<Loss> {
    const { clock, subscriptions = [], onUp, onDown } = this.#options
    const upMs = clock.now()
    this.#connection = connection
    this.#connects++
    this.#report.connected(connection.protocol)
    void connection.subscribe(subscriptions).then((refusals) => this.#report.refused(refusals))
    onUp(connection)
    const loss = await connection.lost
    this.#connection = null
    onDown()
    const isQuick = clock.now() - upMs < stableMs
    this.#quickBreaks = isQuick && loss.kind === 'broken' ? this.#quickBreaks + 1 : 0
    if (!isQuick) this.#failures = 0
    return loss
  }

  #tell(loss: Loss): void {
    this.#lastError = loss.message
    if (loss.kind === 'taken_over' || this.#quickBreaks >= suspiciousBreaks)
      this.#report.rival(loss, this.#options.clientId)
    if (this.#isBeforeClock(loss)) this.#report.waitsForClock(loss)
    else this.#report.lost(loss, this.#failures)
  }

  /** Chooses the version for the next attempt. True: try at once. */
  #changeVersion({ kind }: Loss): boolean {
    const other = otherVersion(this.#options.connect.protocol, this.#version, kind)
    this.#version = other ?? this.#version
    return other === 4 && kind === 'protocol'
  }

  /** Half to the whole of a pause that doubles: many nodes must not return to a broker at the same moment. */
  #nextWait(loss: Loss): number {
    const { first, most } = this.#options.backoffMs ?? { first: 250, most: 30_000 }
    if (this.#isBeforeClock(loss)) return clockWaitMs
    const full = loss.kind === 'taken_over' ? most : Math.min(most, first * 2 ** Math.min(this.#failures++, 20))
    return full * (0.5 + Math.random() / 2)
  }

  /** A board without a clock battery starts in the past: its clock is wrong then, not the certificate. */
  #isBeforeClock({ kind }: Loss): boolean {
    return kind === 'not_yet_valid' && this.#options.isClockSynced?.() === false
  }
}

/** Waits for something, at most `timeoutMs`. */
async function within(something: Promise<unknown>, timeoutMs: number): Promise<void> {
  const timer = new AbortController()
  await Promise.race([something, wait(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined)])
  timer.abort()
}
