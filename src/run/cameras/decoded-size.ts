/** The size at which a camera's pictures are decoded, for logs and commands. */
import type { Size } from '../../camera/decode-size.js'

/** What became of a camera's pictures for its zones. */
export interface DecodedSize {
  /** Their size without zones; null: only the source knows it. */
  readonly full: Size | null
  readonly decoded: Size
  /** The source was asked for less, so that snapshots have the reduced size too. */
  readonly isReducedBySource: boolean
}

/** The sizes of one camera in words. */
export function sizesInWords({ full, decoded, isReducedBySource }: DecodedSize): string {
  const own = `${decoded.width} x ${decoded.height}`
  if (full === null) return `its program was asked for no more than its zones need, and delivers ${own}`
  const whole = `${full.width} x ${full.height}`
  return full.width === decoded.width && full.height === decoded.height
    ? `pictures of ${whole} are decoded at full size`
    : isReducedBySource
      ? `it was opened at ${own} in place of ${whole}: its zones need no more`
      : `pictures of ${whole} are decoded at ${own}: its zones need no more`
}
