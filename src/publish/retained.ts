/** The retained topics of the node: the last value of each, and which of them have to be sent. */
import type { Delivery, Message } from './mqtt.js'

export class RetainedTopics {
  /** In the order in which they were first set: discovery goes before the first state. */
  readonly #messages = new Map<string, Message>()
  readonly #due = new Set<string>()
  /** At most one message of a topic is under way, so that its newest value is also the last to arrive. */
  readonly #underWay = new Set<string>()

  set(message: Message): void {
    this.#messages.set(message.topic, message)
    this.#due.add(message.topic)
  }

  forget(topic: string): void {
    this.#messages.delete(topic)
    this.#due.delete(topic)
  }

  /** Every topic has to be sent again. */
  repeat(): void {
    this.#due.clear()
    for (const topic of this.#messages.keys()) this.#due.add(topic)
  }

  /** The next message to send; null when there is none. Answer with `answered`. */
  take(): Message | null {
    for (const topic of this.#due) {
      const message = this.#messages.get(topic)
      if (!message || this.#underWay.has(topic)) continue
      this.#due.delete(topic)
      this.#underWay.add(topic)
      return message
    }
    return null
  }

  answered(message: Message, delivery: Delivery): void {
    const { topic, payload } = message
    this.#underWay.delete(topic)
    if (delivery === 'lost') this.#due.add(topic)
    // A topic that has been emptied is gone: it is not sent again.
    else if (payload === '' && this.#messages.get(topic) === message) this.#messages.delete(topic)
  }

  /** The connection is over: no answer will come. */
  lost(): void {
    this.#underWay.clear()
  }
}
