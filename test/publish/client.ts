/** A consumer's client (MQTT.js): it records all messages and sends requests. */
import { connectAsync, type MqttClient } from 'mqtt'
import { until } from './mosquitto.js'

/** A parsed answer. A test reads any field of it and compares it. */
// biome-ignore lint/suspicious/noExplicitAny: the answers' fields differ from command to command
type JsonObject = Record<string, any>

export interface Heard {
  readonly topic: string
  readonly payload: Buffer
  readonly isRetained: boolean
}

export interface Client {
  /** In order of arrival. */
  readonly heard: Heard[]
  /** The newest payload of a topic, as text; '' when there is none. */
  last(topic: string): string
  say(topic: string, payload: string | Buffer, isRetained?: boolean): Promise<void>
  /** Sends a request below `root` and resolves with the response to it. */
  ask(root: string, command: string, fields?: Readonly<Record<string, unknown>>): Promise<JsonObject>
  /** Waits until a topic has this text. */
  sees(topic: string, text: string | RegExp, timeoutMs?: number): Promise<void>
  close(): Promise<void>
}

/** Long enough for a busy machine. */
const patienceMs = 45_000
let transactions = 0

export async function connectClient(
  url: string,
  filters: readonly string[] = ['#'],
  protocolVersion: 4 | 5 = 5,
): Promise<Client> {
  const client: MqttClient = await connectAsync(url, { protocolVersion, reconnectPeriod: 100 })
  const heard: Heard[] = []
  client.on('message', (topic, payload, { retain }) => {
    heard.push({ topic, payload, isRetained: retain })
  })
  await client.subscribeAsync([...filters], { qos: 1 })
  const last = (topic: string): string => heard.findLast((message) => message.topic === topic)?.payload.toString() ?? ''
  const say = async (topic: string, payload: string | Buffer, isRetained = false): Promise<void> => {
    await client.publishAsync(topic, payload, { qos: 1, retain: isRetained })
  }
  return {
    heard,
    last,
    say,
    async ask(root, command, fields = {}) {
      const transaction = `t${++transactions}`
      const from = heard.length
      const answer = (): Heard | undefined =>
        heard
          .slice(from)
          .find(({ topic, payload }) => topic === `${root}/response/${command}` && payload.includes(`"${transaction}"`))
      await say(`${root}/request/${command}`, JSON.stringify({ ...fields, transaction }))
      await until(() => answer() !== undefined, `the response to ${command}`, patienceMs)
      return JSON.parse(answer()!.payload.toString()) as JsonObject
    },
    sees: (topic, text, timeoutMs = patienceMs) =>
      until(
        () => (typeof text === 'string' ? last(topic) === text : text.test(last(topic))),
        `${topic} to be ${text}`,
        timeoutMs,
      ),
    async close() {
      await client.endAsync(true)
    },
  }
}
