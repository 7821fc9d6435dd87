/** Any GStreamer pipeline (`gst:PIPELINE`), and CSI cameras: rpicam-vid on a Raspberry Pi, Argus on a Jetson. */
import { existsSync } from 'node:fs'
import { GapcamError } from '../errors.js'
import { redact } from '../secrets.js'
import type { Camera, CameraOptions } from './camera.js'
import { openChild, type ChildSource } from './child.js'
import { scaleNeeded, streamSize } from './decode-size.js'
import { paddedCutter, rawCutter } from './cutters.js'
import { programPath, requireProgram } from './programs.js'

const defaults = { width: 640, height: 480, fps: 30 } as const

/**
 * A camera over a GStreamer pipeline that ends in raw video of any size; scaling and the pipe to us are added. Widths are
 * in steps of 8: GStreamer aligns the rows of both kinds of plane to 4 bytes.
 */
export function openGstreamer(pipeline: string, options: CameraOptions): Camera {
  return openChild(async () => {
    requireProgram('gst-launch-1.0', `gst:${pipeline}`, 'gstreamer1.0-tools gstreamer1.0-plugins-base')
    const full = sizeOf(options, 8)
    const { width, height } = sizeOf(fitting(options), 8)
    const words = pipeline.split(/\s+/).filter((word) => word !== '')
    const caps = `video/x-raw,format=I420,width=${width},height=${height}`
    return {
      ...gstSource(`gst:${pipeline}`, [...words, '!', 'videoconvert', '!', 'videoscale', '!', caps], width, height),
      fps: options.fps || undefined,
      ...(width === full.width ? {} : { fullSize: full }),
      periodMs: options.fps ? 1000 / options.fps : undefined,
    }
  })
}

/** A camera on the board's own connector, `csi://0`. Throws CONFIG_INVALID for an address without a number. */
export function openCsi(uri: string, options: CameraOptions): Camera {
  const index = /^csi:\/\/(\d+)$/i.exec(uri)?.[1]
  if (index === undefined)
    throw new GapcamError(
      'CONFIG_INVALID',
      `camera ${uri}: expected csi:// with the number of the camera, such as csi://0`,
    )
  return openChild(async () => {
    const program = csiProgram()
    if (program === 'argus') return argusSource(uri, index, options)
    if (program !== null) return libcameraSource(program, uri, index, options)
    throw new GapcamError(
      'CAMERA_TOOL_MISSING',
      `camera ${uri} needs rpicam-vid (Raspberry Pi) or nvarguscamerasrc (Jetson), and neither is installed`,
      { hint: 'Raspberry Pi OS: sudo apt-get install rpicam-apps' },
    )
  })
}

/** Any even size: what the image processor adds to the rows shows in what the program writes. */
function libcameraSource(program: string, uri: string, index: string, options: CameraOptions): ChildSource {
  const { width, height } = sizeOf(options, 2)
  const fps = options.fps || defaults.fps
  const size = ['--width', String(width), '--height', String(height), '--framerate', String(fps)]
  return {
    uri,
    name: `CSI camera ${index}`,
    command: program,
    args: ['-t', '0', '-n', '--flush', '--camera', index, ...size, '--codec', 'yuv420', '-o', '-'],
    cutter: paddedCutter({ width, height, fps }),
    fps,
    keepsNewest: true,
    isLive: true,
  }
}

function argusSource(uri: string, index: string, options: CameraOptions): ChildSource {
  const { width, height } = sizeOf(options, 64)
  const fps = options.fps || defaults.fps
  const source = `nvarguscamerasrc sensor-id=${index} ! video/x-raw(memory:NVMM),width=1280,height=720,framerate=${Math.round(fps)}/1 ! nvvidconv ! video/x-raw,format=I420,width=${width},height=${height}`
  return { ...gstSource(uri, source.split(' '), width, height), fps, isLive: true }
}

/** The program that reads CSI cameras on this board: 'argus', a libcamera program, or null. */
export function csiProgram(): string | null {
  const libcamera = ['rpicam-vid', 'libcamera-vid'].find((program) => programPath(program) !== null)
  if (libcamera) return libcamera
  return existsSync('/tmp/argus_socket') && programPath('gst-launch-1.0') !== null ? 'argus' : null
}

/** The options with the size that zones need, where that is smaller than the wanted one. */
function fitting(options: CameraOptions): CameraOptions {
  const { width = defaults.width, height = defaults.height, needs, fitsStreams } = options
  const size = fitsStreams && needs ? streamSize({ width, height }, scaleNeeded({ width, height }, needs())) : null
  return size === null ? options : { ...options, ...size }
}

/** The wanted size with a width of whole steps, which keeps the rows of programs that align them free of padding. */
function sizeOf(
  { width = defaults.width, height = defaults.height }: CameraOptions,
  step: number,
): { width: number; height: number } {
  return {
    width: Math.max(16, step, Math.round(width / step) * step),
    height: Math.max(2, Math.round(height / 2) * 2),
  }
}

function gstSource(uri: string, words: readonly string[], width: number, height: number): ChildSource {
  return {
    uri: redact(uri),
    name: redact(uri),
    command: 'gst-launch-1.0',
    args: ['-q', ...words, '!', 'fdsink', 'fd=1', 'sync=false'],
    cutter: rawCutter({ width, height, stride: width, format: 'i420' }),
    keepsNewest: true,
    isLive: false,
  }
}
