/** An open connection of MQTT.js: publishing with deadlines, subscribing, and closing. */
import { ReasonCodes, type MqttClient } from 'mqtt'
import { messageOf } from '../errors.js'
import type { Connection, Delivery, Loss, Message, ProtocolVersion, Refusal, Subscription } from './mqtt.js'

/** How a connection ends. */
export interface Ending {
  readonly lost: Promise<Loss>
  /** Breaks the connection for this reason. */
  fail(loss: Loss): void
}

export interface ConnectionLimits {
  readonly protocol: ProtocolVersion
  /** As the broker announced it, or the default of MQTT 5. */
  readonly receiveMaximum: number
  readonly maxPacketBytes: number
  readonly canRetain: boolean
  readonly ackTimeoutMs: number
}

/** One message may stay unacknowledged for this many times the deadline while others are acknowledged. */
const patience = 6
/** Upper bound of the fixed header, lengths and properties of a message. */
const packetOverhead = 128

type Settle = (delivery: Delivery) => void

export class MqttConnection implements Connection {
  readonly #client: MqttClient
  readonly #ending: Ending
  readonly #limits: ConnectionLimits
  /** Oldest first. One set for all: a handler for each message on `lost` would never be freed while the link lasts. */
  readonly #pending = new Map<Settle, { readonly topic: string; readonly sinceMs: number }>()
  #isLost = false
  #progressMs = 0
  #deadline: NodeJS.Timeout | null = null

  constructor(client: MqttClient, ending: Ending, limits: ConnectionLimits) {
    this.#client = client
    this.#ending = ending
    this.#limits = limits
    void ending.lost.then(() => {
      this.#isLost = true
      if (this.#deadline) clearTimeout(this.#deadline)
      for (const settle of this.#pending.keys()) settle('lost')
    })
  }

  get protocol(): ProtocolVersion {
    return this.#limits.protocol
  }

  get receiveMaximum(): number {
    return this.#limits.receiveMaximum
  }

  get maxPacketBytes(): number {
    return this.#limits.maxPacketBytes
  }

  get unsentBytes(): number {
    return this.#client.stream.writableLength
  }

  get lost(): Promise<Loss> {
    return this.#ending.lost
  }

  publish(message: Message): Promise<Delivery> {
    const { topic, payload, qos, isRetained } = message
    const { maxPacketBytes, canRetain, ackTimeoutMs } = this.#limits
    if (this.#isLost || !this.#client.connected) return Promise.resolve('lost')
    // The broker would end the connection over it [MQTT-3.1.2-24].
    if (Buffer.byteLength(payload) + Buffer.byteLength(topic) + packetOverhead > maxPacketBytes)
      return Promise.resolve('refused')
    return new Promise((resolve) => {
      const settle: Settle = (delivery) => {
        this.#progressMs = performance.now()
        this.#pending.delete(settle)
        resolve(delivery)
      }
      this.#pending.set(settle, { topic, sinceMs: performance.now() })
      this.#deadline ??= setTimeout(() => this.#checkDeadline(), ackTimeoutMs)
      const options = { qos, retain: isRetained && canRetain, properties: this.#propertiesOf(message) }
      this.#client.publish(topic, payload, options, (error) => this.#answered(settle, error))
    })
  }

  subscribe(subscriptions: readonly Subscription[]): Promise<readonly Refusal[]> {
    if (this.#isLost || !this.#client.connected || subscriptions.length === 0) return Promise.resolve([])
    const filters = Object.fromEntries(subscriptions.map(({ filter, qos }) => [filter, { qos }]))
    const answered = new Promise<readonly Refusal[]>((resolve) => {
      this.#client.subscribe(filters, (_error, _granted, packet) => {
        const codes = packet && 'granted' in packet ? (packet.granted as number[]) : []
        resolve(
          subscriptions.flatMap(({ filter }, i) =>
            (codes[i] ?? 0) >= 0x80 ? [{ filter, reason: reasonOf(codes[i]!) }] : [],
          ),
        )
      })
    })
    return Promise.race([answered, this.lost.then(() => [])])
  }

  async close(timeoutMs: number): Promise<void> {
    const deadline = setTimeout(() => {
      this.#client.stream.destroy()
    }, timeoutMs)
    this.#client.end(false)
    await this.lost
    clearTimeout(deadline)
  }

  #propertiesOf({ expirySeconds, correlationData }: Message): Record<string, unknown> {
    if (this.#limits.protocol !== 5) return {}
    return {
      ...(expirySeconds === undefined ? {} : { messageExpiryInterval: expirySeconds }),
      ...(correlationData === undefined ? {} : { correlationData }),
    }
  }

  #answered(settle: Settle, error: Error | null | undefined): void {
    if (!error) settle('sent')
    else if (!this.#client.connected) settle('lost')
    // A number is the broker's reason code; other errors are MQTT.js's own.
    else if ('code' in error && typeof error.code === 'number') settle('refused')
    else this.#ending.fail({ kind: 'broken', message: messageOf(error) })
  }

  /** A slow link acknowledges late; a dead one acknowledges nothing. */
  #checkDeadline(): void {
    this.#deadline = null
    const [oldest] = this.#pending.values()
    if (!oldest) return
    const { ackTimeoutMs } = this.#limits
    const nextMs = Math.max(this.#progressMs, oldest.sinceMs) + ackTimeoutMs
    const leftMs = Math.min(nextMs, oldest.sinceMs + patience * ackTimeoutMs) - performance.now()
    if (leftMs > 0) this.#deadline = setTimeout(() => this.#checkDeadline(), leftMs)
    else {
      const message = `no acknowledgement of ${oldest.topic} within ${ackTimeoutMs} ms`
      this.#ending.fail({ kind: 'silent', message })
    }
  }
}

/** A reason code in words; 3.1.1 has only 0x80, which does not say why. */
export function reasonOf(code: number): string {
  return ReasonCodes[code as keyof typeof ReasonCodes] ?? `reason code 0x${code.toString(16)}`
}
