/**
 * One connection to one broker, and the only file that knows MQTT.js. A connection is never revived: whoever wants
 * another one makes it (link.ts). MQTT.js's own reconnecting is off, because it would send what was unacknowledged to
 * its original topic again, keep an unbounded queue, and stop for ever after a refusal.
 */
import { connect as connectMqtt, ReasonCodes, type IClientOptions, type MqttClient } from 'mqtt'
import { messageOf } from '../errors.js'

export type ProtocolVersion = 4 | 5

/** PEM texts, or their bytes. */
export interface TlsOptions {
  readonly ca?: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  /** The name in the broker's certificate, when it is not the one in the address. */
  readonly servername?: string
  /** Takes any certificate: the connection is encrypted, but nobody knows with whom. */
  readonly insecure?: boolean
}

/** What lets us in. */
export interface Credentials {
  readonly user?: string
  readonly password?: string
  readonly tls?: TlsOptions
}

export interface ConnectOptions extends Credentials {
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://`, with user and password when wanted. */
  readonly url: string
  /** Default `gapcam-<node>`, so that the broker recognises this node. */
  readonly clientId?: string
  /**
   * Credentials as they are now, asked for before each further connection: passwords and certificates are replaced
   * while gapcam runs. Where it throws, the last ones are tried again. Default: they never change.
   */
  readonly renew?: () => Credentials
  /** Default: 5, and 3.1.1 where a broker does not speak it. */
  readonly protocol?: '5' | '3.1.1'
  /** A silent peer is noticed after 1.5 times this; default 15. */
  readonly keepaliveSeconds?: number
  /** How long the broker waits with the last will, so that a short break is not seen (MQTT 5); default 5. */
  readonly willDelaySeconds?: number
  /** How long an address may take to answer; default 10,000. */
  readonly connectTimeoutMs?: number
  /** How long the broker may acknowledge nothing at all, while there is something, before the connection is given up; default 10,000. */
  readonly ackTimeoutMs?: number
  /** False: nothing is published retained, for brokers that break the connection over it. Default true. */
  readonly retain?: boolean
}

export interface Message {
  readonly topic: string
  readonly payload: string | Buffer
  readonly qos: 0 | 1
  readonly isRetained: boolean
  /** Seconds after which the broker need not deliver it any more (MQTT 5). */
  readonly expirySeconds?: number
  /** Of the request that this answers, as it came (MQTT 5). */
  readonly correlationData?: Buffer
  /** Called when the broker has answered for a retained message, taken or refused. */
  readonly onSettled?: () => void
}

/** Topics to listen to: a filter with its wildcards, and the most that the broker may promise. */
export interface Subscription {
  readonly filter: string
  readonly qos: 0 | 1
}

/** A message that a subscription brought. */
export interface Incoming {
  readonly topic: string
  readonly payload: Buffer
  /** The broker kept it from an earlier time: it is no news. */
  readonly isRetained: boolean
  /** What MQTT 5 brings along; empty with 3.1.1. */
  readonly properties: {
    /** Where the sender wants its answer. */
    readonly responseTopic?: string
    readonly correlationData?: Buffer
  }
}

/** Why a connection did not come about, or ended. */
export type LossKind =
  /** Nobody answered at the address, or not in time. */
  | 'unreachable'
  /** The broker said no: credentials, rights, quota. */
  | 'refused'
  /** The broker's certificate is not valid yet: by this machine's clock, which may not have been set. */
  | 'not_yet_valid'
  /** The broker does not speak this protocol version. */
  | 'protocol'
  /** Closed before the broker said yes or no. */
  | 'unanswered'
  /** Another client with this id took the session over. */
  | 'taken_over'
  /** An acknowledgement did not come in time. */
  | 'silent'
  /** The connection broke. */
  | 'broken'
  /** We closed it. */
  | 'closed'

export interface Loss {
  readonly kind: LossKind
  readonly message: string
}

/** What became of a message: the broker has it, the broker will not have it (MQTT 5), or nobody knows. */
export type Delivery = 'sent' | 'refused' | 'lost'

export interface Connection {
  readonly protocol: ProtocolVersion
  /** Unacknowledged messages that the broker allows (MQTT 5), at most 65,535. */
  readonly receiveMaximum: number
  /** Bytes that the socket has not taken: a link that does not keep up. */
  readonly unsentBytes: number
  /** Resolves when the broker acknowledged it (QoS 1), the socket took it (QoS 0), or the connection is over. */
  publish(message: Message): Promise<Delivery>
  /**
   * Asks for these topics; resolves with those filters that the broker refused and why, in words, when it has answered
   * or the connection is over. What comes goes to `onMessage` of the attempt.
   */
  subscribe(
    subscriptions: readonly Subscription[],
  ): Promise<readonly { readonly filter: string; readonly reason: string }[]>
  /** Resolves once, when the connection is over. Never rejects. */
  readonly lost: Promise<Loss>
  /** DISCONNECT, so that the broker forgets the will; the socket is gone when it resolves, at the latest after `timeoutMs`. */
  close(timeoutMs: number): Promise<void>
}

export type Attempt =
  | { readonly ok: true; readonly connection: Connection }
  | { readonly ok: false; readonly loss: Loss }

export interface AttemptOptions extends ConnectOptions {
  readonly clientId: string
  readonly version: ProtocolVersion
  /** Sent by the broker when we vanish. */
  readonly will?: Message
  /** Called for each message of a subscription, of this connection and of a session that the broker still had. */
  readonly onMessage?: (message: Incoming) => void
  /** Gives the attempt up. */
  readonly signal: AbortSignal
}

/** Larger messages are not for us: MQTT 5 brokers keep them back, so that nobody fills our memory. */
const maximumPacketSize = 1 << 20

/** Tries once. Never rejects. */
export function connectOnce(options: AttemptOptions): Promise<Attempt> {
  let client: MqttClient
  try {
    client = connectMqtt(options.url, clientOptions(options))
  } catch (error) {
    return Promise.resolve({ ok: false, loss: { kind: 'unreachable', message: messageOf(error) } })
  }
  const end = watch(client, options)
  client.on('message', (topic, payload, { retain, properties }) =>
    options.onMessage?.({ topic, payload, isRetained: retain, properties: incomingProperties(properties) }),
  )
  const abort = (): void => {
    client.end(true)
  }
  options.signal.addEventListener('abort', abort, { once: true })
  if (options.signal.aborted) abort()
  return new Promise<Attempt>((resolve) => {
    void end.lost.then((loss) => resolve({ ok: false, loss }))
    client.once('connect', ({ properties = {} }) => {
      const {
        receiveMaximum = 65_535,
        maximumPacketSize: maxPacketBytes = Infinity,
        retainAvailable = true,
      } = properties
      resolve({
        ok: true,
        connection: wrap(client, end, {
          ...options,
          receiveMaximum,
          maxPacketBytes,
          canRetain: retainAvailable && options.retain !== false,
        }),
      })
    })
  }).finally(() => options.signal.removeEventListener('abort', abort))
}

function clientOptions(options: AttemptOptions): IClientOptions {
  const { version, will, tls, user, password, willDelaySeconds = 5 } = options
  const is5 = version === 5
  return {
    protocolVersion: version,
    clientId: options.clientId,
    // A clean start would end the old session, and with it send the delayed will [MQTT-3.1.2-8]; 3.1.1 has no delay.
    clean: !is5,
    ...(is5 ? { properties: { sessionExpiryInterval: willDelaySeconds, maximumPacketSize } } : {}),
    ...(will
      ? {
          will: {
            topic: will.topic,
            payload: Buffer.from(will.payload),
            qos: will.qos,
            retain: will.isRetained && options.retain !== false,
            ...(is5 ? { properties: { willDelayInterval: willDelaySeconds } } : {}),
          },
        }
      : {}),
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    keepalive: options.keepaliveSeconds ?? 15,
    connectTimeout: options.connectTimeoutMs ?? 10_000,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(tls?.ca === undefined ? {} : { ca: tls.ca as string }),
    ...(tls?.cert === undefined ? {} : { cert: tls.cert as string }),
    ...(tls?.key === undefined ? {} : { key: tls.key as string }),
    // MQTT.js hands the other TLS options on to a wss:// socket by itself, but not this one.
    ...(tls?.servername === undefined
      ? {}
      : { servername: tls.servername, wsOptions: { servername: tls.servername } as object }),
    rejectUnauthorized: tls?.insecure !== true,
  }
}

interface End {
  readonly lost: Promise<Loss>
  /** Breaks the connection, for a reason that only we know. */
  fail(loss: Loss): void
}

/** Tells why the connection ended, from whatever MQTT.js lets out before 'close'. */
function watch(client: MqttClient, { version, signal }: AttemptOptions): End {
  let cause: Loss | null = null
  let isConnected = false
  client.on('connect', () => {
    isConnected = true
  })
  client.on('error', (error) => {
    cause ??= lossOf(error, version, isConnected)
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
      // What is left in MQTT.js's store would be sent by nobody: the client is not used again.
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

/** CONNACK codes: below 0x80 those of 3.1.1, else those of 5. Some 3.1.1 brokers answer a version 5 CONNECT with theirs. */
function lossOf(error: Error, version: ProtocolVersion, isConnected: boolean): Loss {
  const code = 'code' in error ? error.code : undefined
  const message = messageOf(error) || String(code)
  if (isConnected) return { kind: 'broken', message: `the connection broke: ${message}` }
  // OpenSSL's name for it; Node passes it on.
  if (code === 'CERT_NOT_YET_VALID')
    return { kind: 'not_yet_valid', message: 'its certificate is not valid yet, by the clock of this machine' }
  if (typeof code !== 'number') return { kind: 'unreachable', message: addressErrors(error) || message }
  const isProtocol = version === 5 && (code === 0x01 || code === 0x84)
  return { kind: isProtocol ? 'protocol' : 'refused', message: message.replace(/^Connection refused: /, '') }
}

/** A reason code in words; 3.1.1 knows 0x80 alone, which says no more than no. */
function reasonOf(code: number): string {
  return ReasonCodes[code as keyof typeof ReasonCodes] ?? `reason code 0x${code.toString(16)}`
}

function incomingProperties({
  responseTopic,
  correlationData,
}: {
  readonly responseTopic?: string
  readonly correlationData?: Buffer
} = {}): Incoming['properties'] {
  return {
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(correlationData === undefined ? {} : { correlationData }),
  }
}

/** A name with two addresses (localhost) fails with one error each, inside an error without a message. */
function addressErrors(error: Error): string {
  const inner = error instanceof AggregateError ? error.errors : []
  return inner.map(messageOf).join('; ')
}

/** What the broker said of itself when it accepted (MQTT 5). */
interface Limits {
  readonly receiveMaximum: number
  readonly maxPacketBytes: number
  readonly canRetain: boolean
}

/** A single message may stay unacknowledged for so many times the deadline, while others are acknowledged. */
const patience = 6
/** More than the fixed header, lengths and properties of a message of ours. */
const packetOverhead = 128

function wrap(client: MqttClient, end: End, options: AttemptOptions & Limits): Connection {
  const { version, receiveMaximum, maxPacketBytes, canRetain, ackTimeoutMs = 10_000 } = options
  // One handler for all that is under way: a handler each on the promise itself would pile up for as long as the link lasts.
  const underWay = new Map<(delivery: Delivery) => void, { readonly topic: string; readonly sinceMs: number }>()
  let isLost = false
  let progressMs = 0
  let watch: NodeJS.Timeout | null = null
  void end.lost.then(() => {
    isLost = true
    if (watch) clearTimeout(watch)
    for (const settle of underWay.keys()) settle('lost')
  })

  /** A slow link acknowledges late but does; one that is gone acknowledges nothing. */
  function look(): void {
    watch = null
    const [oldest] = underWay.values()
    if (!oldest) return
    const nowMs = performance.now()
    const leftMs =
      Math.min(Math.max(progressMs, oldest.sinceMs) + ackTimeoutMs, oldest.sinceMs + patience * ackTimeoutMs) - nowMs
    if (leftMs > 0) watch = setTimeout(look, leftMs)
    else end.fail({ kind: 'silent', message: `no acknowledgement of ${oldest.topic} within ${ackTimeoutMs} ms` })
  }

  return {
    protocol: version,
    receiveMaximum,
    get unsentBytes() {
      return client.stream.writableLength
    },
    lost: end.lost,
    publish({ topic, payload, qos, isRetained, expirySeconds, correlationData }) {
      if (isLost || !client.connected) return Promise.resolve('lost')
      // The broker would end the connection over it [MQTT-3.1.2-24].
      if (Buffer.byteLength(payload) + Buffer.byteLength(topic) + packetOverhead > maxPacketBytes)
        return Promise.resolve('refused')
      const properties =
        version !== 5
          ? {}
          : {
              ...(expirySeconds === undefined ? {} : { messageExpiryInterval: expirySeconds }),
              ...(correlationData === undefined ? {} : { correlationData }),
            }
      return new Promise((resolve) => {
        const settle = (delivery: Delivery): void => {
          progressMs = performance.now()
          underWay.delete(settle)
          resolve(delivery)
        }
        underWay.set(settle, { topic, sinceMs: performance.now() })
        watch ??= setTimeout(look, ackTimeoutMs)
        client.publish(topic, payload, { qos, retain: isRetained && canRetain, properties }, (error) => {
          if (!error) settle('sent')
          // An error with a number is the broker's reason code; others are MQTT.js's for a connection that ends.
          else if ('code' in error && typeof error.code === 'number' && client.connected) settle('refused')
          else if (!client.connected) settle('lost')
          else end.fail({ kind: 'broken', message: messageOf(error) })
        })
      })
    },
    subscribe(subscriptions) {
      if (isLost || !client.connected || subscriptions.length === 0) return Promise.resolve([])
      const answered = new Promise<readonly { filter: string; reason: string }[]>((resolve) => {
        client.subscribe(
          Object.fromEntries(subscriptions.map(({ filter, qos }) => [filter, { qos }])),
          (_error, _granted, packet) => {
            const codes = packet && 'granted' in packet ? (packet.granted as number[]) : []
            resolve(
              subscriptions.flatMap(({ filter }, i) =>
                (codes[i] ?? 0) >= 0x80 ? [{ filter, reason: reasonOf(codes[i]!) }] : [],
              ),
            )
          },
        )
      })
      return Promise.race([answered, end.lost.then(() => [])])
    },
    close(timeoutMs) {
      const deadline = setTimeout(() => {
        client.stream.destroy()
      }, timeoutMs)
      client.end(false)
      return end.lost.then(() => clearTimeout(deadline))
    },
  }
}
