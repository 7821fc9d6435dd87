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
      if (kind === marker.soi) this.#restart(this.#at)
      else if (!hasLength(kind)) this.#at += kind === 0xff ? 1 : 2
      else if (!this.#skipSegment(kind)) return null
    }
  }

  /** The picture was interrupted: another begins at `at`. */
  #restart(at: number): void {
    this.incomplete++
    this.#begin(at)
  }

  /**
   * Steps over a segment; false while its end has not come yet. Only application segments may hold another picture (a
   * thumbnail). In any other, a picture's beginning shows that this one was cut, and the length was read from its successor.
   */
  #skipSegment(kind: number): boolean {
    if (this.#data.length < this.#at + 4) return false
    const end = this.#at + 2 + Math.max(2, this.#data.readUInt16BE(this.#at + 2))
    const inside = isApplication(kind) ? -1 : this.#data.subarray(this.#at + 2, end).indexOf(startOfImage)
    if (inside >= 0) {
      this.#restart(this.#at + 2 + inside)
      return true
    }
    if (this.#data.length < end) return false
    this.#at = end
    return true
  }
}

/** Frame, table, scan, application and comment segments; everything else behind 0xff is data or stray. */
function hasLength(kind: number): boolean {
  const isFrameOrTable = kind >= 0xc0 && kind <= 0xcf
  return isFrameOrTable || (kind >= 0xda && kind <= 0xdf) || isApplication(kind) || kind === 0xfe
}

function isApplication(kind: number): boolean {
  return kind >= 0xe0 && kind <= 0xef
}

function noJpeg(): GapcamError {
  return new GapcamError('CAMERA_FORMAT', 'there is no JPEG in the stream')
}
