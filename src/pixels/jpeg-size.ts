/** Reads the size of a JPEG from its header, without decoding it. */

const [startOfImage, startOfScan, exif] = [0xd8, 0xda, 0xe1]

/**
 * Width and height in pixels; null for what is no JPEG, is damaged before its frame header, or may be turned by EXIF: its
 * decoded size is not that of the file.
 */
export function jpegSize(bytes: Uint8Array): { readonly width: number; readonly height: number } | null {
  if (bytes[0] !== 0xff || bytes[1] !== startOfImage) return null
  const word = (at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
  for (let at = 2; at + 8 < bytes.length; ) {
    const marker = bytes[at + 1]!
    if (bytes[at] !== 0xff || marker === startOfScan || marker === exif) return null
    if (marker === 0xff) {
      at++
      continue
    }
    if (isFrameHeader(marker)) {
      const [height, width] = [word(at + 5), word(at + 7)]
      return width > 0 && height > 0 ? { width, height } : null
    }
    at += 2 + Math.max(2, word(at + 2))
  }
  return null
}

/** SOF0 to SOF15 [ITU T.81, table B.1]; the codes between them define tables. */
function isFrameHeader(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
}
