/** The table of camera sources: which URI opens which. A new source is one file and one line here. */
import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { GapcamError } from '../errors.js'
import type { Camera, CameraOptions } from './camera.js'
import { openFfmpeg } from './ffmpeg.js'
import { openCsi, openGstreamer } from './gstreamer.js'
import { isPicture, openPictures } from './pictures.js'
import { openScene } from './scene.js'
import { openV4l2 } from './v4l2.js'

interface SourceRow {
  readonly pattern: RegExp
  readonly example: string
  readonly open: (uri: string, options: CameraOptions) => Camera
}

export const sourceTable: readonly SourceRow[] = [
  {
    pattern: /^v4l2:\/\/\/./,
    example: 'v4l2:///dev/video0',
    open: (uri, options) => openV4l2(uri.slice('v4l2://'.length), options),
  },
  { pattern: /^\/dev\//, example: '/dev/video0', open: openV4l2 },
  { pattern: /^csi:\/\//, example: 'csi://0', open: openCsi },
  {
    pattern: /^gst:/,
    example: 'gst:videotestsrc',
    open: (uri, options) => openGstreamer(uri.slice('gst:'.length), options),
  },
  { pattern: /^(rtsps?|https?|rtmp|udp):\/\//, example: 'rtsp://camera/stream', open: openFfmpeg },
  { pattern: /^test:\/\//, example: 'test://', open: openScene },
  { pattern: /^file:\/\//, example: 'file:///photos', open: (uri, options) => openPath(pathOf(uri), options) },
  { pattern: /^[^:]*$|^\.{0,2}\//, example: 'photos/', open: openPath },
]

/** The camera of a URI or path, not opened. Throws CONFIG_INVALID for a URI of no known kind. */
export function openCamera(uri: string, options: CameraOptions): Camera {
  const row = sourceTable.find(({ pattern }) => pattern.test(uri))
  if (!row || uri === '') {
    throw new GapcamError(
      'CONFIG_INVALID',
      `camera ${JSON.stringify(uri)} is of no known kind; known are ${sourceTable.map(({ example }) => example).join(', ')}`,
    )
  }
  return row.open(uri, options)
}

function pathOf(uri: string): string {
  try {
    return fileURLToPath(uri)
  } catch {
    // file://photos names no absolute path: what people mean is a path from here.
    return decodeURIComponent(uri.slice('file://'.length))
  }
}

/** A folder or a picture is shown; any other file is a video. */
function openPath(path: string, options: CameraOptions): Camera {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
  return isFolder || isPicture(path) ? openPictures(path, options) : openFfmpeg(path, options)
}
