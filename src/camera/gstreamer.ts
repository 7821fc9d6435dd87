/** Any GStreamer pipeline (`gst:PIPELINE`), and CSI cameras: rpicam-vid on a Raspberry Pi, Argus on a Jetson. */
import { existsSync } from 'node:fs'
import { GapcamError } from '../errors.js'
import { redact } from '../secrets.js'
import type { Camera, CameraOptions } from './camera.js'
import { isInstalled, openChild, requireProgram, type ChildSource } from './child.js'

const defaults = { width: 640, height: 480, fps: 30 } as const

/** The pipeline up to raw video of any size; scaling and the pipe to us are added. */
export function openGstreamer(pipeline: string, options: CameraOptions): Camera {
  return openChild(async () => {
    requireProgram('gst-launch-1.0', `gst:${pipeline}`, 'gstreamer1.0-tools gstreamer1.0-plugins-base')
    const { width, height } = sizeOf(options)
    const caps = `video/x-raw,format=I420,width=${width},height=${height}`
    return gstSource(
      `gst:${pipeline}`,
      [...pipeline.split(/\s+/).filter((word) => word !== ''), '!', 'videoconvert', '!', 'videoscale', '!', caps],
      width,
      height,
      options.fps,
    )
  })
}

/** A camera on the board's own connector. */
export function openCsi(uri: string, options: CameraOptions): Camera {
  const index = /^csi:\/\/(\d+)$/.exec(uri)?.[1]
  if (index === undefined)
    throw new GapcamError(
      'CONFIG_INVALID',
      `camera ${uri}: expected csi:// with the number of the camera, such as csi://0`,
    )
  return openChild(async () => {
    const program = csiProgram()
    const { width, height } = sizeOf(options)
    const fps = options.fps && options.fps > 0 ? options.fps : defaults.fps
    if (program === null) {
      throw new GapcamError(
        'CAMERA_TOOL_MISSING',
        `camera ${uri} needs rpicam-vid (Raspberry Pi) or nvarguscamerasrc (Jetson), and neither is installed`,
        { hint: 'Raspberry Pi OS: sudo apt-get install rpicam-apps' },
      )
    }
    if (program === 'argus') {
      const source = `nvarguscamerasrc sensor-id=${index} ! video/x-raw(memory:NVMM),width=1280,height=720,framerate=${Math.round(fps)}/1 ! nvvidconv ! video/x-raw,format=I420,width=${width},height=${height}`
      return gstSource(uri, source.split(' '), width, height, fps)
    }
    const args = [
      '-t',
      '0',
      '-n',
      '--flush',
      '--camera',
      index,
      '--width',
      String(width),
      '--height',
      String(height),
      '--framerate',
      String(fps),
      '--codec',
      'yuv420',
      '-o',
      '-',
    ]
    return {
      uri,
      name: `CSI camera ${index}`,
      command: program,
      args,
      width,
      height,
      format: 'i420',
      stride: width,
      fps,
      isLive: true,
    }
  })
}

/** The program that reads CSI cameras on this board: 'argus', a libcamera program, or null. */
export function csiProgram(): string | null {
  const libcamera = ['rpicam-vid', 'libcamera-vid'].find(isInstalled)
  if (libcamera) return libcamera
  return existsSync('/tmp/argus_socket') && isInstalled('gst-launch-1.0') ? 'argus' : null
}

/** Widths in steps of 64: then no tool pads the rows that it writes. */
function sizeOf({ width = defaults.width, height = defaults.height }: CameraOptions): {
  width: number
  height: number
} {
  return { width: Math.max(64, Math.round(width / 64) * 64), height: Math.max(2, Math.round(height / 2) * 2) }
}

function gstSource(
  uri: string,
  words: readonly string[],
  width: number,
  height: number,
  fps: number | undefined,
): ChildSource {
  const args = ['-q', ...words, '!', 'fdsink', 'fd=1', 'sync=false']
  return {
    uri: redact(uri),
    name: redact(uri),
    command: 'gst-launch-1.0',
    args,
    width,
    height,
    format: 'i420',
    stride: width,
    ...(fps ? { fps } : {}),
    isLive: true,
  }
}
