/**
 * What every camera is to the rest of the program: it is opened, delivers frames until it ends or fails, and is closed.
 * Sources do not retry and do not watch the age of frames; the supervisor above them does.
 */
import type { Frame } from '../frame.js'
import type { PictureNeed, Size } from './decode-size.js'

/** What a camera is asked for. A source ignores what does not apply to it. */
export interface CameraOptions {
  /** Wanted size in pixels; a source takes the nearest that it has. */
  readonly width?: number | undefined
  readonly height?: number | undefined
  /** Most frames a second; 0 or absent: as many as the source gives. Of a live source the newest frame is taken. */
  readonly fps?: number | undefined
  /** Start again at the end of a file or folder. */
  readonly loop?: boolean | undefined
  /** How long each picture of a folder stays, in milliseconds. */
  readonly holdMs?: number | undefined
  /**
   * What is needed of each picture now; empty: all of it. A source reads it for each picture, or when it is opened. Absent:
   * pictures are never reduced.
   */
  readonly needs?: (() => readonly PictureNeed[]) | undefined
  /** Reduce streams of ffmpeg and GStreamer too, whose pictures cannot be had at full size again. */
  readonly fitsStreams?: boolean | undefined
  /** Input options for ffmpeg, each a name followed by its value; see docs/cameras.md. */
  readonly ffmpegOptions?: readonly string[] | undefined
}

/** What an open camera is; for the banner, `gapcam cameras` and health. */
export interface CameraDescription {
  /** For people: without secrets. */
  readonly uri: string
  readonly name: string
  readonly width: number
  readonly height: number
  readonly format: string
  /** Frames a second where the source states a rate that can be relied on. */
  readonly fps?: number | undefined
  /**
   * The size of its pictures without `needs`, where the source itself was asked for smaller ones; null: only the source
   * knows it. Absent: it delivers all that it was asked for.
   */
  readonly fullSize?: Size | null | undefined
}

/** One source of frames. */
export interface Camera {
  /** Opens the device and starts streaming. Rejects with a GapcamError (CAMERA_*). */
  open(signal: AbortSignal): Promise<CameraDescription>
  /**
   * The newest frame (older ones are released and counted in `dropped`), or null at the end of a finite source. Rejects
   * with a GapcamError when the camera is lost. The caller owns the frame.
   */
  next(signal: AbortSignal): Promise<Frame | null>
  /** Frames captured since open that were not taken. */
  readonly dropped: number
  /**
   * True for a camera whose picture changes from frame to frame by its sensor's noise (V4L2, CSI, RTSP, MJPEG), so that
   * identical frames mean a frozen camera. Absent or false for files, pictures, polled stills, test:// and gst:. Known
   * after open.
   */
  readonly isLive?: boolean | undefined
  /** Hears of problems that do not end the stream, such as a picture that cannot be decoded. */
  onWarning?: (error: Error) => void
  /** Stops streaming, ends children, frees the device. Safe to call twice, and while open or next is pending. */
  close(): Promise<void>
}
