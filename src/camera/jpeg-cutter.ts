/**
 * Cuts JPEGs out of a byte stream by their own structure. The boundaries and lengths of MJPEG over HTTP are not read:
 * cameras leave the first boundary out, quote it wrongly, or send no headers at all.
 */
import { GapcamError } from '../errors.js'

/** More bytes without an end are no picture. */
const longestJpeg = 32 << 20
/** More bytes without a beginning are no MJPEG. */
const longestGap = 4 << 20
const startOfImage = Buffer.from([0xff, 0xd8, 0xff])
const marker = { soi: 0xd8, eoi: 0xd9 } as const

/** Cuts one stream. A JPEG that is interrupted by the beginning of the next is left out. */
export class JpegCutter {
  #data = Buffer.alloc(0)
  #at = 0
  #isInImage = false
  #skipped = 0
  /** JPEGs that had no end. */
  incomplete = 0

  /** The JPEGs that end in this chunk. Throws CAMERA_FORMAT for a stream without any. */
  feed(chunk: Buffer): Buffer[] {
    this.#data = Buffer.concat([this.#data, chunk])
    const images: Buffer[] = []
    while (this.#isInImage || this.#findStart()) {
      const end = this.#findEnd()
      if (end === null) break
      images.push(Buffer.from(this.#data.subarray(0, end)))
      this.#drop(end)
      this.#isInImage = false
    }
    if (this.#data.length > longestJpeg) throw noJpeg()
    return images
  }

  /** Drops what lies in front of the next picture. */
  #findStart(): boolean {
    const start = this.#data.indexOf(startOfImage)
    const gap = start < 0 ? Math.max(0, this.#data.length - startOfImage.length + 1) : start
    this.#skipped = start < 0 ? this.#skipped + gap : 0
    if (this.#skipped > longestGap) throw noJpeg()
    this.#drop(gap)
    if (start < 0) return false
    this.#begin(0)
    return true
  }

  #begin(at: number): void {
    this.#drop(at)
    this.#at = 2
    this.#isInImage = true
  }

  #drop(count: number): void {
    this.#data = this.#data.subarray(count)
    this.#at = Math.max(0, this.#at - count)
  }

  /** Where the picture at the front ends; null while that has not come yet. */
  #findEnd(): number | null {
    for (;;) {
      const at = this.#data.indexOf(0xff, this.#at)
      this.#at = at < 0 ? Math.max(this.#at, this.#data.length) : at
      const kind = this.#data[this.#at + 1]
      if (at < 0 || kind === undefined) return null
      if (kind === marker.eoi) return this.#at + 2
      if (kind === marker.soi) {
        this.incomplete++
        this.#begin(this.#at)
      } else if (kind === 0xff) this.#at++
      else if (kind === 0 || kind === 1 || (kind >= 0xd0 && kind <= 0xd7)) this.#at += 2
      else if (!this.#skipSegment()) return null
    }
  }

  /** Steps over a segment with a length; false while the length has not come yet. */
  #skipSegment(): boolean {
    if (this.#data.length < this.#at + 4) return false
    this.#at += 2 + Math.max(2, this.#data.readUInt16BE(this.#at + 2))
    return true
  }
}

function noJpeg(): GapcamError {
  return new GapcamError('CAMERA_FORMAT', 'there is no JPEG in the stream')
}
