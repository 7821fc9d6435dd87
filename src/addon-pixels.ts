/** The addon's types of the pixel path. */
import type { Frame, NativeFrame } from './frame.js'
import type { PixelData } from './tensor.js'

/** How a frame's bytes lie. */
export type FrameGeometry = Pick<Frame, 'format' | 'width' | 'height' | 'stride'>

/** native/binding/image.cc */
export interface NativePixelPass {
  run(frame: FrameGeometry, pixels: Uint8Array | NativeFrame, target: PixelData): Promise<void>
  /** x, y, width, height as shares of a frame of this size. */
  shown(width: number, height: number): number[]
  close(): void
}
