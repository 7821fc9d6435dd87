/**
 * The live queue: events of this run that go out as they happen. It is short: what does not fit goes to the backlog.
 */
import type { Item } from './item.js'

/** Limit of the live queue; further events go to the backlog. */
export const maxLive = 50

export class LiveQueue {
  #items: Item[] = []

  /** Takes a `new` event, which becomes `live`, or `backlog` when the queue is full. */
  enter(item: Item): void {
    item.state = this.#items.length < maxLive ? 'live' : 'backlog'
    if (item.state === 'live') this.#items.push(item)
  }

  /** Takes out the oldest event. */
  shift(): Item | null {
    return this.#items.shift() ?? null
  }

  remove(item: Item): void {
    this.#items = this.#items.filter((other) => other !== item)
  }

  /** Empties the queue; its events become backlog. */
  toBacklog(): void {
    for (const item of this.#items) item.state = 'backlog'
    this.#items = []
  }

  get items(): readonly Item[] {
    return this.#items
  }
}
