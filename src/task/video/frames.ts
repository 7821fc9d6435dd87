/**
 * Clips of a network that takes all frames at once. The frames lie in the engine's own input, each where it was prepared; the
 * network reads them in the order of a second input, so no frame is moved when the window slides. Of several views, the frames
 * of one lie there; those of another come in its place when it looks.
 */
import type { Clip, ClipSlot } from '../../engine/clip.js'
import type { Frame } from '../../frame.js'
import type { ClipWindow } from './window.js'

/** The frames of one engine. Get them by `SharedFrames.of`. */
export class SharedFrames {
  static readonly #known = new WeakMap<Float32Array, SharedFrames>()
  readonly slots: readonly ClipSlot[]
  readonly #memory: Float32Array
  readonly #order: Float32Array
  #holder: ClipFrames | null = null

  /**
   * `memory` is the input with the frames, `order` the one with their order; `slots` are the parts of `memory`. All that look
   * through one engine share them, such as the taught heads of a network.
   */
  static of(memory: Float32Array, order: Float32Array, slots: readonly ClipSlot[]): SharedFrames {
    const known = SharedFrames.#known.get(memory) ?? new SharedFrames(memory, order, slots)
    SharedFrames.#known.set(memory, known)
    return known
  }

  private constructor(memory: Float32Array, order: Float32Array, slots: readonly ClipSlot[]) {
    this.#memory = memory
    this.#order = order
    this.slots = slots
  }

  /** The frames of `view` lie in the input from now on. */
  hold(view: ClipFrames): void {
    if (this.#holder === view) return
    if (this.#holder) this.#holder.kept.set(this.#memory)
    if (view.hasKept) this.#memory.set(view.kept)
    this.#holder = view
  }

  /** Says which slot each frame of the clip is in. */
  put(order: Int32Array): void {
    this.#order.fill(0)
    for (let place = 0; place < order.length; place++) this.#order[place * order.length + order[place]!] = 1
  }

  get length(): number {
    return this.#memory.length
  }

  /** Where the frames of `view` are now: in the input, or where they were kept. */
  memoryOf(view: ClipFrames): Float32Array {
    return this.#holder === view ? this.#memory : view.kept
  }
}

/** The frames of one view. */
export class ClipFrames implements Clip {
  readonly #shared: SharedFrames
  readonly #window: ClipWindow
  #kept: Float32Array | null = null

  constructor(shared: SharedFrames, window: ClipWindow) {
    this.#shared = shared
    this.#window = window
  }

  get frames(): number {
    return this.#window.frames
  }

  get everyMs(): number {
    return this.#window.everyMs
  }

  /** Where its frames are while those of another view lie in the input. Made when a second view looks first. */
  get kept(): Float32Array {
    return (this.#kept ??= new Float32Array(this.#shared.length))
  }

  get hasKept(): boolean {
    return this.#kept !== null
  }

  isDue({ capturedNs }: Pick<Frame, 'capturedNs'>): boolean {
    return this.#window.isDue(capturedNs)
  }

  slot(): ClipSlot {
    this.#shared.hold(this)
    return this.#shared.slots[this.#window.next]!
  }

  add({ capturedNs }: Pick<Frame, 'capturedNs'>): void {
    this.#window.add(capturedNs)
    if (this.#window.isWhole) this.#shared.put(this.#window.order)
  }

  get wantsRun(): boolean {
    return this.#window.isWhole
  }

  pictures(): readonly Float32Array[] | null {
    const { isWhole, order, frames } = this.#window
    if (!isWhole) return null
    const memory = this.#shared.memoryOf(this)
    const length = memory.length / frames
    return Array.from(order, (slot) => memory.slice(slot * length, (slot + 1) * length))
  }

  ran(): void {}

  shortage(): string | null {
    return this.#window.shortage()
  }
}
