/**
 * Tests a broker the way this node would use it: connects, subscribes, publishes on every topic and waits for the message to
 * come back. It disturbs no one: if this node is online its topics are only read. Otherwise a topic gets the message that
 * the broker retains for it, or an empty one.
 */
import type { Config } from '../config/schema.js'
import { GapcamError } from '../errors.js'
import { plainUrl } from '../publish/target.js'
import type { ConnectOptions, Connection, Incoming } from '../publish/mqtt.js'
import { requestSubscriptions } from '../publish/requests.js'
import { createTopics, placesOf, topicTable, type CameraTopic, type NodeTopic, type Topic } from '../publish/topics.js'
import { visitBroker, untilQuiet } from '../publish/visit.js'
import { placesIn } from '../zone/definition.js'

/** The result of one test. */
export interface BrokerCheck {
  readonly check: string
  readonly result: 'ok' | 'failed' | 'not tested'
  /** What was found, in words. */
  readonly detail: string
}

/** What `testBroker` needs. */
export interface BrokerTestOptions {
  readonly config: Config
  readonly connect: ConnectOptions
  readonly signal: AbortSignal
  /** Longest time until a message must have come back; default 3,000. */
  readonly answerMs?: number
}

const quietMs = 500
/** A JPEG of 1920 × 1080, the largest that gapcam publishes, of a scene with much detail. */
const pictureBytes = 500_000
/** A picture of that size takes this many times as long as a short message. */
const pictureTimes = 10

/** Runs all tests. Rejects only if it cannot connect. */
export async function testBroker({
  config,
  connect,
  signal,
  answerMs = 3000,
}: BrokerTestOptions): Promise<BrokerCheck[]> {
  const heard: Incoming[] = []
  let lastMs = performance.now()
  const onMessage = (message: Incoming): void => {
    heard.push(message)
    lastMs = performance.now()
  }
  const connection = await visitBroker({ connect, clientId: `gapcam-${config.node}-test`, onMessage, signal })
  try {
    const bench: Bench = {
      connection,
      heard,
      answerMs,
      quiet: () => {
        lastMs = performance.now()
        return untilQuiet(() => lastMs, quietMs, 10_000)
      },
    }
    return [
      {
        check: 'connect',
        result: 'ok',
        detail: `${plainUrl(connect.url)}, MQTT ${connection.protocol === 5 ? '5' : '3.1.1'}, as gapcam-${config.node}-test`,
      },
      ...(await checkTopics(bench, config)),
    ]
  } finally {
    await connection.close(1000)
  }
}

interface Bench {
  readonly connection: Connection
  readonly heard: Incoming[]
  readonly answerMs: number
  /** Waits until no more messages arrive. */
  readonly quiet: () => Promise<void>
}

async function checkTopics(bench: Bench, config: Config): Promise<BrokerCheck[]> {
  const topics = createTopics(config.mqtt.base, config.node)
  const cameras = config.cameras.map(({ id }) => id)
  const checks: BrokerCheck[] = []
  const incoming = [
    ...requestSubscriptions(topics, cameras, config.groups),
    ...(config.homeassistant ? [{ filter: `${config.homeassistantPrefix}/status`, qos: 1 as const }] : []),
  ]
  const outgoing = outgoingTopics(config)
  const refused = new Map(
    (
      await bench.connection.subscribe([
        ...incoming,
        ...outgoing.map(({ topic }) => ({ filter: topic, qos: 1 as const })),
        { filter: `${topics.node('response').topic}/+`, qos: 1 },
      ])
    ).map(({ filter, reason }) => [filter, reason]),
  )
  await bench.quiet()
  const kept = new Map(bench.heard.filter(({ isRetained }) => isRetained).map(({ topic, payload }) => [topic, payload]))
  for (const { filter } of incoming) {
    const reason = refused.get(filter)
    checks.push({
      check: `listen ${filter}`,
      result: reason === undefined ? 'ok' : 'failed',
      detail:
        reason === undefined ? 'the broker accepts the subscription' : `the broker refuses the subscription: ${reason}`,
    })
  }
  const isOnline = kept.get(topics.node('nodeStatus').topic)?.toString() === 'online'
  if (isOnline) {
    checks.push(await askRunningNode(bench, topics.node('request').topic, topics.node('response').topic))
    for (const topic of outgoing) checks.push(readOnly(topic, kept.has(topic.topic)))
    if (bench.connection.maxPacketBytes < pictureBytes) checks.push(tooSmall(bench.connection.maxPacketBytes))
    return checks
  }
  for (const topic of outgoing)
    checks.push(await roundTrip(bench, topic, kept.get(topic.topic), refused.get(topic.topic)))
  checks.push(
    config.mqtt.retain
      ? await checkRetain(bench, topics.node('nodeStatus'), kept.has(topics.node('nodeStatus').topic))
      : { check: 'retain', result: 'not tested', detail: 'mqtt.retain is false, so nothing is retained' },
  )
  const image = outgoing.find(({ topic }) => topic.endsWith('/image'))
  const mayBeSent = checks.some(({ check, result }) => check === `send ${image?.topic}` && result === 'ok')
  // Last: a broker of MQTT 3.1.1 ends the connection over a message that is too large.
  if (image && mayBeSent) checks.push(await checkSize(bench, image.topic, refused.has(image.topic)))
  return checks
}

/** All topics that gapcam publishes on, and the discovery topic of the node. */
function outgoingTopics(config: Config): Topic[] {
  const places = placesIn(config.cameras)
  const topics = createTopics(config.mqtt.base, config.node)
  const rows = Object.entries(topicTable).flatMap(([name, row]): Topic[] => {
    if ('isIncoming' in row) return []
    if (name === 'response') return [{ ...topics.node('response'), topic: `${topics.node('response').topic}/info` }]
    return row.of === 'node'
      ? [topics.node(name as NodeTopic)]
      : placesOf(row, places).map((place) => topics.camera(name as CameraTopic, place))
  })
  return config.homeassistant
    ? [
        ...rows,
        { topic: `${config.homeassistantPrefix}/device/gapcam_${config.node}/config`, qos: 1, isRetained: true },
      ]
    : rows
}

/** Publishes with QoS 1 on every topic: the rights are the same, and MQTT 5 answers with a reason. */
async function roundTrip(
  { connection, heard, answerMs }: Bench,
  { topic, isRetained }: Topic,
  kept: Buffer | undefined,
  unreadable: string | undefined,
): Promise<BrokerCheck> {
  const check = `send ${topic}`
  const from = heard.length
  const delivery = await connection.publish({ topic, payload: kept ?? (await emptyOf(topic)), qos: 1, isRetained })
  if (delivery === 'lost')
    throw new GapcamError('BROKER_UNREACHABLE', `the broker closed the connection after a message on ${topic}`)
  if (delivery === 'refused')
    return { check, result: 'failed', detail: 'the broker refuses the message: this user may not publish there' }
  if (unreadable !== undefined)
    return {
      check,
      result: 'ok',
      detail: `accepted; subscribing to it is refused (${unreadable}), which gapcam does not need`,
    }
  const isBack = await within(answerMs, () => heard.slice(from).some((message) => message.topic === topic))
  if (isBack) return { check, result: 'ok', detail: 'the message came back' }
  if (connection.protocol === 5)
    return {
      check,
      result: 'ok',
      detail: 'accepted, but it did not come back: this user may not read it, which gapcam does not need',
    }
  return {
    check,
    result: 'failed',
    detail: `the message did not come back within ${answerMs / 1000} s: this user may not publish there, or may not read it (MQTT 3.1.1 does not say which)`,
  }
}

/** An empty message; on topics with pictures a grey pixel, because programs that show pictures fail at an empty one. */
async function emptyOf(topic: string): Promise<Buffer | string> {
  if (!topic.endsWith('/image') && !topic.endsWith('/heat')) return ''
  const { encodeJpeg } = await import('../pixels/jpeg.js')
  return encodeJpeg({ rgb: Uint8Array.of(128, 128, 128), width: 1, height: 1 })
}

/** Tests that the broker takes a message as large as a picture. */
async function checkSize(
  { connection, heard, answerMs }: Bench,
  topic: string,
  isUnreadable: boolean,
): Promise<BrokerCheck> {
  const { maxPacketBytes } = connection
  if (maxPacketBytes < pictureBytes) return tooSmall(maxPacketBytes)
  const pixel = Buffer.from(await emptyOf(topic))
  // Programs that show pictures ignore what follows one.
  const payload = Buffer.concat([pixel, Buffer.alloc(pictureBytes - pixel.length)])
  const delivery = await connection.publish({ topic, payload, qos: 1, isRetained: false })
  const what = `a message of ${kilobytes(pictureBytes)}, as large as a picture`
  if (delivery === 'lost') return sizeFailed(`the broker ended the connection over ${what}`)
  if (delivery === 'refused') return sizeFailed(`the broker refuses ${what}`)
  const isBack = (): boolean => heard.some((message) => message.payload.length === pictureBytes)
  if (isUnreadable) return { check: sizeCheck, result: 'ok', detail: `the broker accepts ${what}` }
  if (await within(pictureTimes * answerMs, isBack))
    return { check: sizeCheck, result: 'ok', detail: `${what}, came back` }
  return sizeFailed(`${what}, did not come back`)
}

const sizeCheck = 'message size'

function tooSmall(maxPacketBytes: number): BrokerCheck {
  const limit = maxPacketBytes < 1000 ? `${maxPacketBytes} bytes` : kilobytes(maxPacketBytes)
  return sizeFailed(
    `the broker takes messages of at most ${limit}; a picture of 1920 × 1080 has up to ${kilobytes(pictureBytes)}`,
  )
}

function sizeFailed(why: string): BrokerCheck {
  const detail = `${why}. Larger messages are lost: raise the broker's limit of message size (Mosquitto: max_packet_size)`
  return { check: sizeCheck, result: 'failed', detail }
}

function kilobytes(bytes: number): string {
  return `${Math.floor(bytes / 1000)} kB`
}

/** Tests that a later subscriber gets a retained message with the retain flag. */
async function checkRetain(
  { connection, heard, answerMs }: Bench,
  { topic }: Topic,
  wasKept: boolean,
): Promise<BrokerCheck> {
  await connection.publish({ topic, payload: 'offline', qos: 1, isRetained: true })
  const from = heard.length
  await connection.subscribe([{ filter: topic, qos: 1 }])
  const isKept = await within(answerMs, () =>
    heard.slice(from).some((message) => message.topic === topic && message.isRetained),
  )
  if (!wasKept) await connection.publish({ topic, payload: '', qos: 1, isRetained: true })
  return {
    check: 'retain',
    result: isKept ? 'ok' : 'failed',
    detail: isKept
      ? 'the broker retains messages'
      : `a later subscriber does not get the message retained on ${topic}: the broker does not retain messages, or this user may not read it. Home Assistant would show everything as unavailable after its restart`,
  }
}

async function askRunningNode(
  { connection, heard, answerMs }: Bench,
  request: string,
  response: string,
): Promise<BrokerCheck> {
  const transaction = `test-${process.pid}`
  const delivery = await connection.publish({
    topic: `${request}/info`,
    payload: JSON.stringify({ transaction }),
    qos: 1,
    isRetained: false,
  })
  const isAnswered =
    delivery === 'sent' &&
    (await within(answerMs, () =>
      heard.some(({ topic, payload }) => topic === `${response}/info` && payload.includes(transaction)),
    ))
  if (isAnswered)
    return { check: `send ${request}/info`, result: 'ok', detail: 'a gapcam is online as this node, and it answered' }
  return {
    check: `send ${request}/info`,
    result: 'failed',
    detail:
      'a gapcam is online as this node, but it did not answer: it may not read requests, this user may not send them, or it has just ended',
  }
}

function readOnly({ topic, isRetained }: Topic, isKept: boolean): BrokerCheck {
  const check = `read ${topic}`
  if (!isRetained)
    return { check, result: 'not tested', detail: 'a gapcam is online as this node; stop it to test this topic' }
  if (isKept)
    return { check, result: 'ok', detail: 'the gapcam that is online published it, and the broker retains it' }
  return {
    check,
    result: 'not tested',
    detail: 'nothing is retained there yet; stop the gapcam that is online to test this topic',
  }
}

async function within(ms: number, condition: () => boolean): Promise<boolean> {
  const endMs = performance.now() + ms
  while (!condition()) {
    if (performance.now() > endMs) return false
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return true
}
