/**
 * Makes one connection to one broker with MQTT.js. A connection is never revived: link.ts makes a new one. The
 * reconnecting of MQTT.js is off, because it sends unacknowledged messages to their original topic again, keeps an
 * unbounded queue, and stops after a refusal.
 */
import { connect as connectMqtt, type IClientOptions, type MqttClient } from 'mqtt'
import { messageOf } from '../errors.js'
import { certificateLoss, tlsFix } from './certificate.js'
import { MqttConnection, reasonOf, type Ending } from './mqtt-connection.js'
import type { Attempt, ConnectOptions, Incoming, Loss, Message, ProtocolVersion } from './mqtt.js'
import { writeWithoutTable } from './packets.js'
import { targetOf, type Target } from './target.js'

export interface AttemptOptions {
  readonly connect: ConnectOptions
  readonly clientId: string
  readonly version: ProtocolVersion
  /** Sent by the broker when this client vanishes. */
  readonly will?: Message | undefined
  /** Called for each message that arrives, also for those of an earlier connection that the broker still had. */
  readonly onMessage?: ((message: Incoming) => void) | undefined
  /** Gives the attempt up. */
  readonly signal: AbortSignal
}

/** MQTT 5 brokers keep larger messages back: no command is this long, and memory is bounded. */
const maximumPacketSize = 1 << 20

/** Tries once. Never rejects. */
export function tryOnce(options: AttemptOptions): Promise<Attempt> {
  writeWithoutTable()
  let client: MqttClient
  try {
    const target = targetOf(options.connect)
    client = connectMqtt(target.url, clientOptions(options, target))
  } catch (error) {
    return Promise.resolve({ ok: false, loss: { kind: 'unreachable', message: messageOf(error) } })
  }
  const ending = watchEnding(client, options)
  client.on('message', (topic, payload, { retain, properties: { responseTopic, correlationData } = {} }) =>
    options.onMessage?.({ topic, payload, isRetained: retain, properties: { responseTopic, correlationData } }),
  )
  const abort = (): void => {
    client.end(true)
  }
  options.signal.addEventListener('abort', abort, { once: true })
  if (options.signal.aborted) abort()
  return new Promise<Attempt>((resolve) => {
    void ending.lost.then((loss) => resolve({ ok: false, loss }))
    client.once('connect', ({ properties = {} }) => {
      const limits = {
        receiveMaximum: properties.receiveMaximum ?? 65_535,
        maxPacketBytes: properties.maximumPacketSize ?? Infinity,
        canRetain: properties.retainAvailable !== false && options.connect.retain !== false,
      }
      const { ackTimeoutMs = 10_000 } = options.connect
      const connection = new MqttConnection(client, ending, { protocol: options.version, ackTimeoutMs, ...limits })
      resolve({ ok: true, connection })
    })
  }).finally(() => options.signal.removeEventListener('abort', abort))
}

function clientOptions({ connect, clientId, version, will }: AttemptOptions, target: Target): IClientOptions {
  const { user, password, tls } = target
  const { keepaliveSeconds = 15, connectTimeoutMs = 10_000, willDelaySeconds = 5, retain } = connect
  const is5 = version === 5
  return {
    protocolVersion: version,
    clientId,
    // A clean start would end the old session, and with it send the delayed will [MQTT-3.1.2-8]; 3.1.1 has no delay.
    clean: !is5,
    ...(is5 ? { properties: { sessionExpiryInterval: willDelaySeconds, maximumPacketSize } } : {}),
    ...(will
      ? {
          will: {
            topic: will.topic,
            payload: Buffer.from(will.payload),
            qos: will.qos,
            retain: will.isRetained && retain !== false,
            ...(is5 ? { properties: { willDelayInterval: willDelaySeconds } } : {}),
          },
        }
      : {}),
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    keepalive: keepaliveSeconds,
    connectTimeout: connectTimeoutMs,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(tls?.ca === undefined ? {} : { ca: tls.ca as string }),
    ...(tls?.cert === undefined ? {} : { cert: tls.cert as string }),
    ...(tls?.key === undefined ? {} : { key: tls.key as string }),
    // MQTT.js passes the other TLS options on to a wss:// socket by itself, but not this one.
    ...(tls?.servername === undefined
      ? {}
      : { servername: tls.servername, wsOptions: { servername: tls.servername } as object }),
    rejectUnauthorized: tls?.insecure !== true,
  }
}

/** Finds out why the connection ended, from what MQTT.js emits before 'close'. */
function watchEnding(client: MqttClient, { version, signal }: AttemptOptions): Ending {
  let cause: Loss | null = null
  let isConnected = false
  client.on('connect', () => {
    isConnected = true
  })
  client.on('error', (error) => {
    cause ??= isConnected ? brokenBy(error) : refusedBy(error, version)
  })
  client.on('disconnect', ({ reasonCode = 0 }) => {
    cause ??=
      reasonCode === 0x8e
        ? { kind: 'taken_over', message: 'another client connected with the same client id' }
        : { kind: 'broken', message: `the broker ended the connection: ${reasonOf(reasonCode)}` }
  })
  const lost = new Promise<Loss>((resolve) => {
    client.once('close', () => {
      const isOurs = client.disconnecting || signal.aborted
      // Messages left in MQTT.js's store must not be sent: the client is not used again.
      client.end(true)
      if (isOurs) resolve({ kind: 'closed', message: 'closed' })
      else if (cause) resolve(cause)
      else if (isConnected) resolve({ kind: 'broken', message: 'the connection broke' })
      else resolve({ kind: 'unanswered', message: 'the broker closed the connection without an answer' })
    })
  })
  return {
    lost,
    fail(loss) {
      cause ??= loss
      client.stream.destroy()
    },
  }
}

function brokenBy(error: Error): Loss {
  return { kind: 'broken', message: `the connection broke: ${textOf(error)}` }
}

/**
 * CONNACK codes: below 0x80 those of 3.1.1, else those of 5. Some 3.1.1 brokers answer a version 5 CONNECT with theirs.
 */
function refusedBy(error: Error, version: ProtocolVersion): Loss {
  const code = 'code' in error ? error.code : undefined
  if (typeof code !== 'number') {
    const message = addressErrors(error) || textOf(error)
    return certificateLoss(code, message) ?? unreachable(code, message)
  }
  const isProtocol = version === 5 && (code === 0x01 || code === 0x84)
  return { kind: isProtocol ? 'protocol' : 'refused', message: textOf(error).replace(/^Connection refused: /, '') }
}

const portHint =
  'The port may be that of another protocol: mqtt:// is usually on 1883, mqtts:// on 8883, ws:// and wss:// on their own.'

/** What answers, if anything does, is no broker that speaks as the address says. */
function unreachable(code: unknown, message: string): Loss {
  if (code === 'ECONNRESET')
    return { kind: 'unreachable', message: 'it ends the connection before it has said anything', hint: portHint }
  if (message === 'connack timeout')
    return { kind: 'unreachable', message: 'it takes the connection, but does not answer in MQTT', hint: portHint }
  // The parser of MQTT packets gives its errors no code.
  if (code === undefined && /header|packet|malformed|invalid/i.test(message))
    return { kind: 'unreachable', message: `it answers, but not in MQTT (${message})`, hint: portHint }
  return { kind: 'unreachable', message, hint: tlsFix(code) }
}

function textOf(error: Error): string {
  return messageOf(error) || ('code' in error ? String(error.code) : error.name)
}

/** A name with two addresses (localhost) fails with one error for each, inside an error without a message. */
function addressErrors(error: Error): string {
  return error instanceof AggregateError ? error.errors.map(messageOf).join('; ') : ''
}
