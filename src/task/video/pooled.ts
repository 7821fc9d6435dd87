/**
 * Clips of a network over pictures: each frame is computed once, its vector is kept, and the head takes the mean of the
 * vectors. The network adds the newest vector itself; what the others add is an input.
 */
import type { Clip, ClipSlot } from '../../engine/clip.js'
import type { Frame } from '../../frame.js'
import type { ClipWindow } from './window.js'

/** A vector of the newest frame, and what the other frames add to the mean. Memory of the engine. */
export interface PooledPair {
  readonly now: Float32Array
  readonly rest: Float32Array
}

/** The vectors of one view. */
export class ClipVectors implements Clip {
  readonly #input: ClipSlot
  readonly #pairs: readonly PooledPair[]
  readonly #window: ClipWindow
  /** For each pair, the vectors of all slots, one after the other. */
  readonly #kept: readonly Float32Array[]
  #slot = 0

  constructor(input: ClipSlot, pairs: readonly PooledPair[], window: ClipWindow) {
    this.#input = input
    this.#pairs = pairs
    this.#window = window
    this.#kept = pairs.map(({ now }) => new Float32Array(window.frames * now.length))
  }

  get frames(): number {
    return this.#window.frames
  }

  get everyMs(): number {
    return this.#window.everyMs
  }

  isDue({ capturedNs }: Pick<Frame, 'capturedNs'>): boolean {
    return this.#window.isDue(capturedNs)
  }

  slot(): ClipSlot {
    return this.#input
  }

  add({ capturedNs }: Pick<Frame, 'capturedNs'>): void {
    this.#slot = this.#window.next
    this.#window.add(capturedNs)
    if (this.#window.isWhole)
      for (let i = 0; i < this.#pairs.length; i++) this.#sum(this.#kept[i]!, this.#pairs[i]!.rest)
  }

  /** The vector of a frame is needed whether its clip is whole or not. */
  readonly wantsRun = true

  ran(): void {
    for (let i = 0; i < this.#pairs.length; i++) {
      const { now } = this.#pairs[i]!
      this.#kept[i]!.set(now, this.#slot * now.length)
    }
  }

  /** Only vectors are kept. */
  pictures(): null {
    return null
  }

  shortage(): string | null {
    return this.#window.shortage()
  }

  /** The share of all frames but the newest in the mean. */
  #sum(kept: Float32Array, rest: Float32Array): void {
    const { order, frames } = this.#window
    const { length } = rest
    rest.fill(0)
    for (let place = 0; place < frames - 1; place++) {
      const start = order[place]! * length
      for (let i = 0; i < length; i++) rest[i]! += kept[start + i]!
    }
    for (let i = 0; i < length; i++) rest[i]! /= frames
  }
}
