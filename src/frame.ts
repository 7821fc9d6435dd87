/**
 * One picture of a camera. Driver memory is never visible to JavaScript: `pixels` is either a handle of the native
 * capture ring or bytes that a child process or a decoder wrote. The code that takes a frame releases it once.
 */

/** Pixel formats that the native pixel path reads. Plane order and packing as in V4L2's documentation. */
export type PixelFormat = 'yuyv' | 'uyvy' | 'nv12' | 'i420' | 'rgb24' | 'bgr24' | 'grey'

/** A frame in the native capture ring (an object of the addon; opaque here). */
export interface NativeFrame {
  readonly native: true
}

export interface Frame {
  /** Counts the frames of one camera from 1; a gap is a dropped frame. */
  readonly seq: number
  /** CLOCK_MONOTONIC, nanoseconds, when the frame was captured (driver's time where there is one). */
  readonly capturedNs: bigint
  /** Wall time in milliseconds, only for what leaves the device. */
  readonly wallTime: number
  readonly width: number
  readonly height: number
  readonly format: PixelFormat
  /** Bytes from one row to the next of the first plane; the chroma planes follow from it (I420: half). */
  readonly stride: number
  readonly pixels: NativeFrame | Uint8Array
  /** What the source knows to be in the picture (test:// and labelled folders), else absent. */
  readonly truth?: string
  /** The file this frame was decoded from, for folders and pictures. */
  readonly file?: string
  /** The size of the picture behind a reduced frame; absent where the frame has all of it. */
  readonly fullSize?: { readonly width: number; readonly height: number }
  /** Decodes the picture behind a reduced frame again, at full size; absent where the frame has all of it. */
  full?(): Promise<Frame>
  /** Copies the frame's bytes (a whole native buffer or `pixels`) into memory of the caller's. */
  copyTo(target: Uint8Array): void
  /** Gives the buffer back to its ring. A second call does nothing. */
  release(): void
}

/** Bytes that a frame of this size needs: the least length of `pixels`. */
export function frameBytes(format: PixelFormat, stride: number, height: number): number {
  switch (format) {
    case 'nv12':
      return stride * height + stride * ((height + 1) >> 1)
    case 'i420':
      return stride * height + 2 * ((stride + 1) >> 1) * ((height + 1) >> 1)
    default:
      return stride * height
  }
}

/** Bytes of a row without padding. */
export function rowBytes(format: PixelFormat, width: number): number {
  switch (format) {
    case 'yuyv':
    case 'uyvy':
      return ((width + 1) >> 1) * 4
    case 'rgb24':
    case 'bgr24':
      return width * 3
    default:
      return width
  }
}

/**
 * Decoded pixels as a frame: RGB without padding, owned by the caller and read until the frame was used. It was captured
 * now, with `seq` 1, unless `facts` say otherwise.
 *
 *     const frame = frameOf(await decodeFile('cat.jpg'))
 */
export function frameOf(
  { data, width, height }: { readonly data: Uint8Array; readonly width: number; readonly height: number },
  facts: Partial<Pick<Frame, 'seq' | 'capturedNs' | 'wallTime' | 'file'>> = {},
): Frame {
  return {
    seq: 1,
    capturedNs: process.hrtime.bigint(),
    wallTime: Date.now(),
    width,
    height,
    format: 'rgb24',
    stride: width * 3,
    pixels: data,
    copyTo: (target) => target.set(data),
    release: () => undefined,
    ...facts,
  }
}
