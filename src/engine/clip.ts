/** What a view needs to look at clips rather than at frames; `task/video` has both kinds. */
import type { Frame } from '../frame.js'
import type { EngineTensor } from './engine.js'

/** A place for one prepared frame. */
export interface ClipSlot {
  /** What the pixel path writes. */
  readonly pixels: EngineTensor
  /** Hands the pixels on to the engine's input; null where they are the same memory. */
  readonly feed: (() => void) | null
}

/**
 * The frames of one view. For each frame `slot`, then `add` when the frame lies there; then a run of the engine where
 * `wantsRun`, and `ran`. Nothing of it allocates memory, except `shortage` where it has something to say.
 */
export interface Clip {
  readonly frames: number
  readonly everyMs: number
  /** Whether a frame is the next one of the clip, by the time of its capture. */
  isDue(frame: Pick<Frame, 'capturedNs'>): boolean
  /** Where the next frame goes. Its memory is of the engine, and of this view until another view of it calls `slot`. */
  slot(): ClipSlot
  /** The frame was prepared there. */
  add(frame: Pick<Frame, 'capturedNs'>): void
  readonly wantsRun: boolean
  ran(): void
  /** Copies of the frames of the present clip as they were prepared, oldest first; null where they are not kept or not whole. */
  pictures(): readonly Float32Array[] | null
  /** Why there is no whole clip, as a sentence for people; null where there is one. */
  shortage(): string | null
}
