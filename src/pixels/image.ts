/** The type of decoded pixels, shared by everything that decodes a picture. */

/** Decoded pixels of a picture file. */
export interface RgbImage {
  /** RGB, rows without padding. */
  readonly data: Uint8Array
  readonly width: number
  readonly height: number
}
