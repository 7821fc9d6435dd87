/** A text inside a JPEG file, as the comment segment of ITU-T T.81 B.2.4.5: one file then holds the picture and what is known of it. */

const startOfScan = 0xda
const comment = 0xfe
const mostBytes = 0xffff - 2

/** The JPEG with a comment after its first segment. Throws RangeError for a text of more than 65,533 bytes. */
export function withComment(jpeg: Uint8Array, text: string): Buffer {
  const payload = Buffer.from(text)
  if (payload.length > mostBytes) throw new RangeError(`Expected a comment of at most ${mostBytes} bytes`)
  const head = Buffer.from([0xff, comment, 0, 0])
  head.writeUInt16BE(payload.length + 2, 2)
  // JFIF demands that its own segment is the first one.
  const at = jpeg[2] === 0xff && jpeg[3] === 0xe0 ? 4 + Buffer.from(jpeg).readUInt16BE(4) : 2
  return Buffer.concat([jpeg.subarray(0, at), head, payload, jpeg.subarray(at)])
}

/** The first comment among the segments in front of the pixels; null where there is none, or in what is no JPEG. */
export function commentOf(jpeg: Buffer): string | null {
  if (jpeg.length < 4 || jpeg.readUInt16BE(0) !== 0xffd8) return null
  for (let at = 2; at + 4 <= jpeg.length && jpeg[at] === 0xff; ) {
    const [marker, length] = [jpeg[at + 1], jpeg.readUInt16BE(at + 2)]
    const end = at + 2 + length
    if (marker === startOfScan || length < 2 || end > jpeg.length) return null
    if (marker === comment) return jpeg.toString('utf8', at + 4, end)
    at = end
  }
  return null
}
