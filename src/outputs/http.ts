/**
 * Delivers events over HTTP, one at a time and in order, from an outbox of its own: what the other side has not taken stays on
 * disk. It follows no redirect, so events reach only the given address.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../errors.js'
import type { Logger } from '../log.js'
import type { Outbox, OutboxEntry } from '../publish/outbox/outbox.js'

/** A request for one entry of the outbox. */
export interface HttpRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface HttpOutputOptions {
  /** For the log, such as `webhook`. */
  readonly name: string
  readonly outbox: Outbox
  /** Makes the request anew for each attempt: a secret may have been replaced. May throw; then it is tried again. */
  readonly requestOf: (entry: OutboxEntry) => HttpRequest
  readonly timeoutMs: number
  readonly log: Pick<Logger, 'info' | 'warn'>
  /** Waits between attempts; tests have a clock of their own. */
  readonly wait?: ((ms: number, signal: AbortSignal) => Promise<void>) | undefined
}

export interface HttpOutput {
  readonly delivered: number
  /** Events that the other side refuses for good; they are lost. */
  readonly refused: number
  close(): Promise<void>
}

/** Bytes of an answer that the log shows. */
const mostSaid = 200

const retryMs = { first: 1000, most: 300_000 }

type Outcome = { readonly kind: 'taken' } | { readonly kind: 'refused' | 'later'; readonly reason: string }

/** Starts to deliver. The outbox belongs to it from now on. */
export function startHttpOutput(options: HttpOutputOptions): HttpOutput {
  return new Output(options)
}

class Output implements HttpOutput {
  delivered = 0
  refused = 0
  readonly #options: HttpOutputOptions
  readonly #stopping = new AbortController()
  readonly #loop: Promise<void>
  #wake: () => void = () => undefined
  #isFailing = false

  constructor(options: HttpOutputOptions) {
    this.#options = options
    options.outbox.listen({ onReady: () => this.#wake(), onNumbered: () => undefined })
    this.#loop = this.#run()
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    this.#wake()
    await this.#loop
    await this.#options.outbox.close()
  }

  async #run(): Promise<void> {
    const { outbox, log, name, wait = pause } = this.#options
    const { signal } = this.#stopping
    let pauseMs = retryMs.first
    while (!signal.aborted) {
      const entry = outbox.takeBacklog()
      if (!entry) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
          if (signal.aborted) resolve()
        })
        continue
      }
      const outcome = await this.#send(entry)
      if (outcome.kind === 'later') {
        outbox.takeBack()
        this.#tell(outcome.reason)
        await wait(pauseMs * (0.75 + Math.random() / 4), signal)
        pauseMs = Math.min(pauseMs * 2, retryMs.most)
        continue
      }
      pauseMs = retryMs.first
      if (outcome.kind === 'refused') {
        this.refused++
        outbox.reject(entry)
        log.warn({ output: name }, `${name}: an event is refused and lost: ${outcome.reason}`)
        continue
      }
      this.delivered++
      outbox.confirm(entry)
      if (this.#isFailing) log.info({ output: name }, `${name}: events are delivered again`)
      this.#isFailing = false
    }
  }

  #tell(reason: string): void {
    const { name, log } = this.#options
    if (!this.#isFailing && !this.#stopping.signal.aborted)
      log.warn({ output: name }, `${name}: ${reason}; events wait on disk until it works`)
    this.#isFailing = true
  }

  async #send(entry: OutboxEntry): Promise<Outcome> {
    const { requestOf, timeoutMs } = this.#options
    try {
      const { url, headers, body } = requestOf(entry)
      const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(timeoutMs)])
      const response = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' })
      return outcomeOf(response, await beginningOf(response))
    } catch (error) {
      return { kind: 'later', reason: reasonOf(error, timeoutMs) }
    }
  }
}

/** The beginning of what it says, on one line, for the log. Then the connection is free for the next request. */
async function beginningOf({ body }: Response): Promise<string> {
  if (!body) return ''
  const reader = body.getReader()
  const { value } = await reader.read()
  await reader.cancel()
  const text = new TextDecoder().decode(value?.subarray(0, mostSaid))
  return text.replaceAll(/[\p{Cc}\s]+/gu, ' ').trim()
}

function outcomeOf({ status, headers }: Response, said: string): Outcome {
  if (status >= 200 && status < 300) return { kind: 'taken' }
  if (status >= 300 && status < 400)
    return {
      kind: 'later',
      reason: `it redirects (${status}) to ${headers.get('location') ?? 'nowhere'}, which is not followed`,
    }
  // The request itself is wrong: it would be wrong again. What credentials or a rate cause is mended from outside.
  const isMended = status >= 500 || [401, 403, 404, 405, 407, 408, 425, 429].includes(status)
  const reason = `it answers with status ${status}${said === '' ? '' : `: ${said}`}`
  return { kind: isMended ? 'later' : 'refused', reason }
}

function reasonOf(error: unknown, timeoutMs: number): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') return `no answer within ${timeoutMs} ms`
  const { cause } = error as { cause?: unknown }
  const why = cause instanceof AggregateError ? cause.errors.map(messageOf).join('; ') : messageOf(cause ?? error)
  return why
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
}
