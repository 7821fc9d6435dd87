/** Commands to single nodes, and their answers: the first answer to an order counts, further ones are counted. */
import { randomUUID } from 'node:crypto'
import type { Incoming, Message } from '../publish/mqtt.js'

export type OrderKind = 'model_install' | 'model_confirm' | 'model_rollback'

/** `state`: of the bundle after the order. */
export type Answer = { readonly isOk: true; readonly state?: string } | { readonly isOk: false; readonly error: string }

interface Order {
  readonly transaction: string
  answer: Answer | null
}

/** Topic filters of the answers. */
export const answerFilters = (base: string): readonly string[] =>
  ['model_install', 'model_confirm', 'model_rollback'].map((kind) => `${base}/+/response/${kind}`)

export class Orders {
  readonly #base: string
  readonly #send: (message: Message) => void
  readonly #last = new Map<string, Order>()
  /** Nodes that answered one order more than once. */
  readonly repeating = new Set<string>()

  constructor(base: string, send: (message: Message) => void) {
    this.#base = base
    this.#send = send
  }

  /** Sends an order; an earlier one to this node is forgotten. */
  send(node: string, kind: OrderKind, fields: Readonly<Record<string, unknown>>): void {
    const transaction = `fleet-${randomUUID().slice(0, 13)}`
    this.#last.set(node, { transaction, answer: null })
    this.#send({
      topic: `${this.#base}/${node}/request/${kind}`,
      payload: JSON.stringify({ ...fields, transaction }),
      qos: 1,
      isRetained: false,
    })
  }

  /** The answer to the last order; null: none yet. */
  answerOf(node: string): Answer | null {
    return this.#last.get(node)?.answer ?? null
  }

  /** Takes any message and ignores those that answer no order. */
  take({ topic, payload }: Incoming): void {
    if (!topic.startsWith(`${this.#base}/`)) return
    const [node = '', name] = topic.slice(this.#base.length + 1).split('/')
    if (name !== 'response') return
    const order = this.#last.get(node)
    if (!order) return
    let told: { transaction?: unknown; status?: unknown; error?: unknown; data?: { state?: unknown } }
    try {
      told = JSON.parse(payload.toString()) as typeof told
    } catch {
      return
    }
    if (told.transaction !== order.transaction) return
    if (order.answer) {
      this.repeating.add(node)
      return
    }
    order.answer =
      told.status === 'ok'
        ? { isOk: true, state: String(told.data?.state) }
        : { isOk: false, error: String(told.error ?? 'refused') }
  }
}
