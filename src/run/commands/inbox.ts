/**
 * What comes in from the broker. A node says that it is online as soon as it is connected, and takes commands when all its parts
 * are open. What comes between the two is kept, so that no command gets lost.
 */
import type { Incoming } from '../../publish/mqtt.js'
import { maxRequestBytes } from '../../publish/requests.js'

type Listener = (message: Incoming) => void

/** More than a person or a controller sends while a node starts. */
const mostEarly = 64

/** Messages for listeners that come later than the connection. */
export class Inbox {
  readonly #listeners: Listener[] = []
  #early: Incoming[] | null = []

  /** Listeners get what comes after `open`, and what was kept. */
  listen(listener: Listener): void {
    this.#listeners.push(listener)
  }

  /** Takes a message of the broker. Before `open` longer ones than a request, and all after the first 64, are dropped. */
  take(message: Incoming): void {
    if (this.#early === null) for (const listen of this.#listeners) listen(message)
    else if (this.#early.length < mostEarly && message.payload.length <= maxRequestBytes) this.#early.push(message)
  }

  /** All listeners are there. They get what was kept, in order. */
  open(): void {
    const kept = this.#early ?? []
    this.#early = null
    for (const message of kept) this.take(message)
  }
}
