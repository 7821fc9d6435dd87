/** A camera as routes see it. */
import type { Picture } from '../zone/picture.js'

/** One camera, as far as the API needs it. */
export interface ApiCamera {
  readonly id: string
  readonly isEnabled: boolean
  readonly source: string
  /** The next frame as a picture. Rejects when the signal aborts first. */
  capture(options: {
    readonly maxSide?: number
    readonly mask?: boolean
    readonly signal: AbortSignal
  }): Promise<Picture>
}
