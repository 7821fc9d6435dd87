/**
 * What every camera is to the rest of the program: something that is opened, delivers frames until it ends or fails,
 * and is closed. Retry, backoff and the watchdog on frame age live above (`supervisor.ts`), not in the sources.
 */
import type { Frame } from '../frame.js'

export interface CameraOptions {
  /** Wanted size in pixels; a source takes the nearest that it has. */
  readonly width?: number | undefined
  readonly height?: number | undefined
  /** Upper bound of frames a second; 0 or absent: as fast as the source is. */
  readonly fps?: number | undefined
  /** Start again at the end of a file or folder. */
  readonly loop?: boolean | undefined
  /** How long each picture of a folder stays, in milliseconds (default: as fast as frames are taken). */
  readonly holdMs?: number | undefined
}

/** What an open camera turned out to be; for the banner, `gapcam cameras` and health. */
export interface CameraDescription {
  readonly uri: string
  readonly name: string
  readonly width: number
  readonly height: number
  readonly format: string
  readonly fps?: number
}

export interface Camera {
  /** Opens the device and starts streaming. Rejects with a GapcamError (CAMERA_*). */
  open(signal: AbortSignal): Promise<CameraDescription>
  /**
   * The next frame, the newest there is (older ones are released and counted in `dropped`); null at the end of a
   * finite source. Rejects with a GapcamError when the camera is lost. The caller owns the frame.
   */
  next(signal: AbortSignal): Promise<Frame | null>
  /** Frames that the source captured and nobody took, since open. */
  readonly dropped: number
  /** Things worth telling that did not end the stream, such as a picture that cannot be decoded. */
  onWarning?: (error: Error) => void
  /** Stops streaming, ends children, frees the device. Safe to call twice, and while open or next is pending. */
  close(): Promise<void>
}
