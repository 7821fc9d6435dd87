/** The table of camera sources: which URI opens which. A new source is one file and one row here. */
import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { GapcamError } from '../errors.js'
import { shownAddress } from '../secrets.js'
import type { Camera, CameraOptions } from './camera.js'
import { openStream, openVideo } from './ffmpeg.js'
import { openCsi, openGstreamer } from './gstreamer.js'
import { openHttp } from './http.js'
import { isPicture, openPictures } from './pictures.js'
import { openScene } from './scene.js'
import { openV4l2 } from './v4l2.js'

/** One kind of source: the URIs that it opens, one of them, and how. */
interface SourceRow {
  readonly pattern: RegExp
  readonly example: string
  readonly open: (uri: string, options: CameraOptions) => Camera
}

/** In the order in which they are tried. Schemes are compared without case. */
export const sourceTable: readonly SourceRow[] = [
  {
    pattern: /^v4l2:\/\/\/./i,
    example: 'v4l2:///dev/video0',
    open: (uri, options) => openV4l2(uri.slice('v4l2://'.length), options),
  },
  { pattern: /^\/dev\//, example: '/dev/video0', open: openV4l2 },
  { pattern: /^csi:\/\//i, example: 'csi://0', open: openCsi },
  {
    pattern: /^gst:/i,
    example: 'gst:videotestsrc',
    open: (uri, options) => openGstreamer(uri.slice('gst:'.length), options),
  },
  { pattern: /^(rtsps?|rtmps?|udp|srt):\/\//i, example: 'rtsp://camera/stream', open: openStream },
  { pattern: /^https?:\/\//i, example: 'http://camera/video.mjpg', open: openHttp },
  { pattern: /^test:\/\//i, example: 'test://', open: openScene },
  { pattern: /^file:\/\//i, example: 'file:///photos', open: (uri, options) => openPath(pathOf(uri), options) },
  // A path may hold a colon, but not :// before a slash, which is a scheme that no row has.
  { pattern: /^(?![a-z][a-z0-9+.-]*:\/\/)./is, example: 'photos/', open: openPath },
]

/**
 * The camera of a URI or path, not opened. Throws CONFIG_INVALID for a URI of no known kind.
 *
 *     const camera = openCamera('rtsp://192.168.1.20/live', { fps: 5 })
 *     const { width, height } = await camera.open(signal)
 */
export function openCamera(uri: string, options: CameraOptions): Camera {
  const row = sourceTable.find(({ pattern }) => pattern.test(uri))
  if (row) return row.open(uri, options)
  throw new GapcamError(
    'CONFIG_INVALID',
    `camera ${JSON.stringify(shownAddress(uri))} is of no known kind; known are ${sourceTable.map(({ example }) => example).join(', ')}`,
  )
}

/** The path of a file:// URI. file://photos, which names no absolute path, is read as a path from the working folder. */
function pathOf(uri: string): string {
  try {
    return fileURLToPath(uri)
  } catch {
    return decodeURIComponent(uri.slice('file://'.length))
  }
}

/** A folder or a picture is shown; any other file is a video. */
function openPath(path: string, options: CameraOptions): Camera {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
  return isFolder || isPicture(path) ? openPictures(path, options) : openVideo(path, options)
}
