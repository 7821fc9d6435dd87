/**
 * Commands from MQTT: a topic and its payload become plain data for the one door (commands.ts), and its answer becomes
 * one response. Bare text and JSON are taken. What is malformed, too long or retained changes nothing and gets one
 * error; answers are bounded in rate, so that nobody makes this device flood its broker.
 */
import type { Clock } from '../clock.js'
import type { Logger } from '../log.js'
import type { Incoming, Message, Subscription } from './mqtt.js'
import type { Topics } from './topics.js'

/** What the door answers. */
export type RequestOutcome =
  | { readonly status: 'ok'; readonly data: Readonly<Record<string, unknown>> }
  | { readonly status: 'error'; readonly code: string; readonly error: string }

export interface RequestsOptions {
  readonly topics: Topics
  readonly cameras: readonly string[]
  /** Names of the commands that have a request topic. */
  readonly kinds: readonly string[]
  readonly execute: (command: Readonly<Record<string, unknown>>) => Promise<RequestOutcome>
  readonly send: (message: Message) => boolean
  readonly log: Pick<Logger, 'warn'>
  readonly clock: Clock
}

export interface Requests {
  /** Takes any message; those on other topics are not for it. Never throws. */
  handle(message: Incoming): void
  /** Commands that came so fast that they were neither answered nor acted on. */
  readonly unanswered: number
}

/** The longest command: `set` with every key is a tenth of this. */
export const maxRequestBytes = 4096
const maxTransactionLength = 64
/** Commands a second that last, and at once (what may be unsent together); the same again for refusals, so that these do not keep commands out. */
const rate = { perSecond: 10, burst: 10 } as const

/** What to listen to: one filter for requests, and each camera's own, so that access rules can be narrow. */
export function requestSubscriptions(topics: Topics, cameras: readonly string[]): Subscription[] {
  const sets = cameras.flatMap((camera) => [topics.camera('enabledSet', camera), topics.camera('thresholdSet', camera)])
  return [
    { filter: `${topics.node('request').topic}/+`, qos: 1 },
    ...sets.map(({ topic }) => ({ filter: topic, qos: 1 as const })),
  ]
}

export function createRequests({ topics, cameras, kinds, execute, send, log, clock }: RequestsOptions): Requests {
  const accepted = createBucket(clock)
  const refused = createBucket(clock)
  const explained = new Set<string>()
  const requestRoot = `${topics.node('request').topic}/`
  const settable = new Map(
    cameras.flatMap((camera) => [
      [topics.camera('enabledSet', camera).topic, { kind: 'enabled', camera }],
      [topics.camera('thresholdSet', camera).topic, { kind: 'threshold', camera }],
    ]),
  )
  let unanswered = 0

  function respond(
    kind: string,
    outcome: RequestOutcome,
    request: Pick<Parsed, 'transaction'>,
    { properties }: Incoming,
  ): void {
    const { correlationData } = properties
    send({
      ...topics.node('response'),
      topic: `${topics.node('response').topic}/${kind}`,
      payload: JSON.stringify({ ...outcome, ...request }),
      // A topic that the sender names is not followed: it would make this device write where the sender itself may not.
      ...(correlationData === undefined ? {} : { correlationData }),
    })
  }

  function refuse(
    kind: string,
    error: string,
    message: Incoming,
    code = 'invalid',
    transaction: Pick<Parsed, 'transaction'> = {},
  ): void {
    if (refused.take()) return respond(kind, { status: 'error', code, error }, transaction, message)
    if (unanswered++ === 0)
      log.warn(
        { topic: message.topic },
        'commands that cannot be taken come faster than they are answered; the rest is ignored',
      )
  }

  function refuseRetained(kind: string, message: Incoming): void {
    if (!explained.has(message.topic) && explained.size < 100) {
      explained.add(message.topic)
      log.warn(
        { topic: message.topic },
        `a command on ${message.topic} is retained, and not acted on: it would be again at every start. Publish commands without the retain flag, and clear this one with an empty retained message`,
      )
    }
    refuse(kind, 'a retained command is not acted on', message)
  }

  function handle(message: Incoming): void {
    const { topic, payload, isRetained } = message
    const given =
      settable.get(topic) ?? (topic.startsWith(requestRoot) ? { kind: topic.slice(requestRoot.length) } : null)
    if (!given) return
    // A name that is none of ours is not repeated in a topic.
    if (!kinds.includes(given.kind)) return refuse('unknown', `not a command; there are ${kinds.join(', ')}`, message)
    if (isRetained) return refuseRetained(given.kind, message)
    if (payload.length > maxRequestBytes)
      return refuse(given.kind, `${payload.length} bytes are more than ${maxRequestBytes}`, message)
    const parsed = parse(given.kind, payload)
    if ('error' in parsed) return refuse(given.kind, parsed.error, message)
    const { transaction, fields } = parsed
    const echo = transaction === undefined ? {} : { transaction }
    if (!accepted.take()) return refuse(given.kind, 'too many commands', message, 'busy', echo)
    void execute({ ...fields, ...given }).then((outcome) => {
      if (outcome.status === 'ok') respond(given.kind, outcome, echo, message)
      else refuse(given.kind, outcome.error, message, outcome.code, echo)
    })
  }

  return {
    handle,
    get unanswered() {
      return unanswered
    },
  }
}

interface Parsed {
  readonly transaction?: string | number
  readonly fields: Readonly<Record<string, unknown>>
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** `ON`, `0.5`, `PRESS`, `cam0` or JSON, as the fields of a command; its check is the door's. */
function parse(kind: string, payload: Buffer): Parsed | { readonly error: string } {
  let text: string
  try {
    text = utf8.decode(payload).trim()
  } catch {
    return { error: 'not UTF-8 text' }
  }
  const value = parsedOrText(text)
  if (typeof value !== 'object' || value === null) return { fields: bareFields(kind, value) }
  if (Array.isArray(value)) return { error: 'an object or plain text is needed, not a list' }
  const { transaction, ...fields } = value as Record<string, unknown>
  if (
    transaction !== undefined &&
    !(
      typeof transaction === 'number' ||
      (typeof transaction === 'string' && transaction.length <= maxTransactionLength)
    )
  ) {
    return { error: `transaction: must be a number or text of at most ${maxTransactionLength} characters` }
  }
  return {
    ...(transaction === undefined ? {} : { transaction }),
    fields:
      kind === 'set'
        ? { values: fields }
        : kind === 'enabled'
          ? { ...fields, value: switchOf(fields['value']) }
          : fields,
  }
}

/** JSON where it is some, else the text itself: an unfinished object is then refused as what it is not. */
function parsedOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function bareFields(kind: string, value: unknown): Readonly<Record<string, unknown>> {
  if (kind === 'enabled') return { value: switchOf(value) }
  if (kind === 'threshold' || kind === 'roi') return { value: value === '' ? undefined : value }
  if (kind === 'set') return { values: value }
  // What a button or an update entity of Home Assistant sends.
  if (value === '' || value === 'PRESS' || value === 'latest') return {}
  return { camera: value }
}

/** ON and OFF in any case, 1 and 0; anything else stays what it is, and is refused. */
function switchOf(value: unknown): unknown {
  const word = typeof value === 'string' ? value.toUpperCase() : value
  if (word === 'ON' || word === 1) return true
  return word === 'OFF' || word === 0 ? false : value
}

/** A token bucket: `take` says whether one more is within the rate. */
function createBucket(clock: Clock): { take(): boolean } {
  let tokens: number = rate.burst
  let lastMs = clock.now()
  return {
    take() {
      const nowMs = clock.now()
      tokens = Math.min(rate.burst, tokens + (Math.max(0, nowMs - lastMs) * rate.perSecond) / 1000)
      lastMs = nowMs
      if (tokens < 1) return false
      tokens--
      return true
    },
  }
}
