/**
 * Commands from MQTT: a topic and its payload become plain data for `execute` (run/commands/commands.ts), and its outcome
 * becomes one response. A command that is malformed, too long or retained changes nothing and gets one error. Answers
 * are limited in rate, so that this device cannot be made to flood its broker.
 */
import type { Clock } from '../clock.js'
import type { Logger } from '../log.js'
import type { Incoming, Message, Subscription } from './mqtt.js'
import { answerTopic, groupTopics } from './groups.js'
import { parseRequest, type BarePayload } from './request.js'
import type { Topics } from './topics.js'

/** What became of a command. */
export type RequestOutcome =
  | { readonly status: 'ok'; readonly data: Readonly<Record<string, unknown>> }
  | { readonly status: 'error'; readonly code: string; readonly error: string }

export interface RequestsOptions {
  readonly topics: Topics
  /** Groups whose commands are taken too. */
  readonly groups?: readonly string[] | undefined
  readonly cameras: readonly string[]
  /** The commands that have a request topic, by name. */
  readonly commands: Readonly<Record<string, { readonly bare: BarePayload }>>
  readonly execute: (command: Readonly<Record<string, unknown>>) => Promise<RequestOutcome>
  readonly send: (message: Message) => boolean
  readonly log: Pick<Logger, 'warn'>
  readonly clock: Clock
}

export interface Requests {
  /** Takes any message and ignores those on other topics. Never throws. */
  handle(message: Incoming): void
  /** Commands that came too fast to be answered or executed. */
  readonly unanswered: number
}

/** Limit of a payload. The longest command, `set` with every key, needs a tenth of it. */
export const maxRequestBytes = 4096
/**
 * Commands a second that are executed, and how many at once. Refusals have a rate of their own, so that they cannot
 * keep commands out.
 */
const rate = { perSecond: 10, burst: 10 } as const
/** Limit of the topics whose retained command is explained in the log. */
const maxExplained = 100

/**
 * What to listen to: one filter for requests, and for each camera two topics and two filters for its zones, so that access
 * rules can be narrow.
 */
export function requestSubscriptions(
  topics: Topics,
  cameras: readonly string[],
  groups: readonly string[] = [],
): Subscription[] {
  const sets = cameras.flatMap((camera) =>
    [topics.camera('enabledSet', camera), topics.camera('thresholdSet', camera)].map(({ topic }) => topic),
  )
  const ofZones = sets.map((topic) => topic.replace(/(\/[^/]+\/set)$/, '/+$1'))
  const ofGroups = groups.map((group) => `${groupTopics(topics.base, group).request}/+`)
  return [`${topics.node('request').topic}/+`, ...sets, ...ofZones, ...ofGroups].map((filter) => ({
    filter,
    qos: 1 as const,
  }))
}

/**
 *     const requests = createRequests({ topics, cameras: ['cam0'], commands: commandTable, execute, send: publisher.sendNow, log, clock })
 *     createPublisher({ …, subscriptions: requestSubscriptions(topics, ['cam0']), onMessage: (message) => requests.handle(message) })
 */
export function createRequests(options: RequestsOptions): Requests {
  return new NodeRequests(options)
}

/** What a topic says of a command. */
interface Given {
  readonly kind: string
  /** The group that the command was for. */
  readonly group?: string
  readonly camera?: string
  readonly zone?: string
}

/** What an answer repeats of its request. */
interface Asked {
  readonly kind: string
  readonly group?: string | undefined
  readonly message: Incoming
  readonly transaction?: string | number | undefined
}

class NodeRequests implements Requests {
  readonly #options: RequestsOptions
  readonly #accepted: Bucket
  readonly #refused: Bucket
  readonly #explained = new Set<string>()
  readonly #requestRoot: string
  readonly #groupRoots: readonly (readonly [root: string, group: string])[]
  /** The topics of single values, such as `C/enabled/set`. */
  readonly #settable: ReadonlyMap<string, Given>
  #unanswered = 0

  constructor(options: RequestsOptions) {
    const { topics, cameras, clock } = options
    this.#options = options
    this.#accepted = new Bucket(clock)
    this.#refused = new Bucket(clock)
    this.#requestRoot = `${topics.node('request').topic}/`
    this.#groupRoots = (options.groups ?? []).map((group) => [`${groupTopics(topics.base, group).request}/`, group])
    this.#settable = new Map(
      cameras.flatMap((camera): [string, Given][] => [
        [topics.camera('enabledSet', camera).topic, { kind: 'enabled', camera }],
        [topics.camera('thresholdSet', camera).topic, { kind: 'threshold', camera }],
      ]),
    )
  }

  get unanswered(): number {
    return this.#unanswered
  }

  handle(message: Incoming): void {
    const given = this.#givenBy(message.topic)
    if (!given) return
    const { commands } = this.#options
    const { kind, group, ...place } = given
    const { isRetained, payload } = message
    // An unknown name must not become part of a topic.
    const row = Object.hasOwn(commands, kind) ? commands[kind] : undefined
    if (!row)
      return this.#refuse(
        { kind: 'unknown', group, message },
        `not a command; there are ${Object.keys(commands).join(', ')}`,
      )
    if (isRetained) return this.#refuseRetained({ kind, group, message })
    if (payload.length > maxRequestBytes)
      return this.#refuse({ kind, group, message }, `${payload.length} bytes are more than ${maxRequestBytes}`)
    const parsed = parseRequest(row.bare, payload)
    if ('error' in parsed) return this.#refuse({ kind, group, message }, parsed.error)
    const asked: Asked = { kind, group, message, transaction: parsed.transaction }
    if (!this.#accepted.take()) return this.#refuse(asked, 'too many commands', 'busy')
    void this.#execute(asked, { ...parsed.fields, ...place, kind })
  }

  #givenBy(topic: string): Given | undefined {
    if (topic.startsWith(this.#requestRoot)) return { kind: topic.slice(this.#requestRoot.length) }
    return this.#ofGroup(topic) ?? this.#settable.get(topic) ?? this.#ofZone(topic)
  }

  #ofGroup(topic: string): Given | undefined {
    for (const [root, group] of this.#groupRoots)
      if (topic.startsWith(root)) return { kind: topic.slice(root.length), group }
    return undefined
  }

  /** `C/<zone>/enabled/set` and `C/<zone>/threshold/set`: a command for the zone, which may exist or not. */
  #ofZone(topic: string): Given | undefined {
    const [, camera, zone, value] = /([^/]+)\/([a-z0-9-]+)\/([a-z]+\/set)$/.exec(topic) ?? []
    if (camera === undefined || zone === undefined) return undefined
    const given = this.#settable.get(`${topic.slice(0, -`${zone}/${value}`.length)}${value}`)
    return given && { ...given, zone }
  }

  async #execute(asked: Asked, command: Readonly<Record<string, unknown>>): Promise<void> {
    const outcome = await this.#options.execute(command)
    if (outcome.status === 'ok') this.#respond(asked, outcome)
    else this.#refuse(asked, outcome.error, outcome.code)
  }

  #respond({ kind, group, message, transaction }: Asked, outcome: RequestOutcome): void {
    const { topics, send } = this.#options
    const response = topics.node('response')
    const { responseTopic, correlationData } = message.properties
    const shared = group === undefined ? null : answerTopic(topics.base, group, responseTopic)
    send({
      ...response,
      // Any other response topic is not followed: the sender may not be allowed to write there.
      topic: shared ?? `${response.topic}/${kind}`,
      payload: JSON.stringify({ ...outcome, ...(group === undefined ? {} : { node: topics.id, group }), transaction }),
      correlationData,
    })
  }

  #refuse(asked: Asked, error: string, code = 'invalid'): void {
    if (this.#refused.take()) return this.#respond(asked, { status: 'error', code, error })
    if (this.#unanswered++ === 0)
      this.#options.log.warn(
        { topic: asked.message.topic },
        'invalid commands come faster than they are answered; the others are ignored',
      )
  }

  #refuseRetained(asked: Asked): void {
    const { topic } = asked.message
    if (!this.#explained.has(topic) && this.#explained.size < maxExplained) {
      this.#explained.add(topic)
      this.#options.log.warn(
        { topic },
        `the command on ${topic} is retained and is ignored, since it would be executed again at every start. Publish commands without the retain flag, and clear this one with an empty retained message`,
      )
    }
    this.#refuse(asked, 'a retained command is not acted on')
  }
}

/** A token bucket. */
class Bucket {
  readonly #clock: Clock
  #tokens: number = rate.burst
  #lastMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#lastMs = clock.now()
  }

  /** True when one more is within the rate. */
  take(): boolean {
    const nowMs = this.#clock.now()
    const earned = (Math.max(0, nowMs - this.#lastMs) * rate.perSecond) / 1000
    this.#tokens = Math.min(rate.burst, this.#tokens + earned)
    this.#lastMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
