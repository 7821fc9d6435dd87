/** One frame for several zones: the last one that has read its pixels releases it. */
import type { Frame } from '../frame.js'

/**
 * A frame that `readers` zones release once each. The frame behind it is released with the last of them. For one reader
 * this is the frame itself, at no cost.
 */
export function sharedFrame(frame: Frame, readers: number): Frame {
  if (readers === 1) return frame
  let left = readers
  return {
    ...frame,
    release() {
      if (--left === 0) frame.release()
    },
  }
}
