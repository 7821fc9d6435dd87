/** What the log says about the connection with a broker: each problem once, not at every attempt. */
import { errorTable, type ErrorCode } from '../errors.js'
import type { Logger } from '../log.js'
import { versionName, type Loss, type ProtocolVersion, type Refusal } from './mqtt.js'

export class LinkReport {
  readonly #log: Pick<Logger, 'info' | 'warn' | 'debug'>
  readonly #url: string
  #lastLine: string | null = null
  #lastRenewal: string | null = null
  #hasExplainedRival = false
  readonly #refusedFilters = new Set<string>()

  constructor(log: Pick<Logger, 'info' | 'warn' | 'debug'>, url: string) {
    this.#log = log
    this.#url = url
  }

  connected(protocol: ProtocolVersion): void {
    this.#log.info({ broker: this.#url, protocol: versionName(protocol) }, `broker ${this.#url}: connected`)
    this.#lastLine = null
  }

  lost({ kind, message, hint }: Loss, failures: number): void {
    const line = `${kind}: ${message}`
    if (line === this.#lastLine || kind === 'protocol')
      return this.#log.debug({ broker: this.#url, failures }, `broker ${this.#url}: ${message}`)
    this.#lastLine = line
    const code: ErrorCode = kind === 'refused' ? 'BROKER_REFUSED' : 'BROKER_UNREACHABLE'
    const fields = { broker: this.#url, code, hint: hint ?? errorTable[code].hint }
    this.#log.warn(fields, `broker ${this.#url}: ${message}; gapcam tries again`)
  }

  /** The certificate is not valid yet, and neither is the clock: no fault. */
  waitsForClock({ kind, message }: Loss): void {
    const line = `${kind}: ${message}`
    if (line === this.#lastLine) return
    this.#lastLine = line
    this.#log.info(
      { broker: this.#url },
      `broker ${this.#url}: ${message}, which has not been set yet: gapcam waits for it`,
    )
  }

  /** Credentials cannot be read again (`fault` in words), or can again (null). */
  renewal(fault: string | null): void {
    if (fault !== null && fault !== this.#lastRenewal)
      this.#log.warn({ broker: this.#url }, `broker ${this.#url}: ${fault}; gapcam uses what it read before`)
    this.#lastRenewal = fault
  }

  refused(refusals: readonly Refusal[]): void {
    for (const { filter, reason } of refusals) {
      if (this.#refusedFilters.has(filter)) continue
      this.#refusedFilters.add(filter)
      this.#log.warn(
        { broker: this.#url, filter, code: 'BROKER_REFUSED' },
        `broker ${this.#url}: it refuses the subscription to ${filter} (${reason}): check its access rules`,
      )
    }
  }

  /** A second client seems to use the same client id. */
  rival({ kind }: Loss, clientId: string): void {
    if (this.#hasExplainedRival) return
    this.#hasExplainedRival = true
    const what =
      kind === 'taken_over'
        ? 'another client took over the session'
        : 'the connection is accepted and broken again and again'
    this.#log.warn(
      { broker: this.#url, clientId },
      `broker ${this.#url}: ${what}: is a second gapcam running as ${clientId}? Give each its own --node`,
    )
  }
}
