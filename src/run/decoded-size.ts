/** The size at which a camera's pictures are decoded, for logs and commands. */
import type { Size } from '../camera/decode-size.js'

/** The size of a camera's pictures, and the one at which they are decoded for its zones. */
export interface DecodedSize {
  readonly full: Size
  readonly decoded: Size
}

/** The sizes of one camera in words. */
export function sizesInWords({ full, decoded }: DecodedSize): string {
  const whole = `${full.width} x ${full.height}`
  return full.width === decoded.width && full.height === decoded.height
    ? `pictures of ${whole} are decoded at full size`
    : `pictures of ${whole} are decoded at ${decoded.width} x ${decoded.height}: its zones need no more`
}
