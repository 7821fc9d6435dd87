/** RTSP, HTTP (MJPEG and whatever else ffmpeg reads) and video files, through an ffmpeg child. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { GapcamError } from '../errors.js'
import type { Camera, CameraOptions } from './camera.js'
import { endingWithUs, hideCredentials, openChild, requireProgram, type ChildSource } from './child.js'

const probeMs = 15_000

export function openFfmpeg(uri: string, options: CameraOptions): Camera {
  return openChild(async (signal) => {
    requireProgram('ffmpeg', uri, 'ffmpeg')
    const isFile = !/^(rtsps?|https?|rtmp|udp):\/\//.test(uri)
    if (isFile && !existsSync(uri)) throw new GapcamError('CAMERA_NOT_FOUND', `video ${uri}: there is no such file`)
    return sourceOf(uri, isFile, await probe(uri, signal), options)
  })
}

interface Probed {
  readonly width: number
  readonly height: number
  readonly fps: number
}

function sourceOf(uri: string, isFile: boolean, probed: Probed, options: CameraOptions): ChildSource {
  const { width, height } = scaled(probed, options)
  const fps = options.fps && options.fps > 0 ? Math.min(options.fps, probed.fps || options.fps) : probed.fps
  const filters = [...(options.fps && options.fps < probed.fps ? [`fps=${options.fps}`] : []), ...(width === probed.width && height === probed.height ? [] : [`scale=${width}:${height}`])]
  const args = [
    '-nostdin', '-hide_banner', '-loglevel', 'error', ...inputArguments(uri, isFile, options), '-i', uri, '-map', '0:v:0', '-an', '-sn',
    ...(filters.length > 0 ? ['-vf', filters.join(',')] : []), '-f', 'rawvideo', '-pix_fmt', 'yuv420p', 'pipe:1',
  ]
  return { uri: hideCredentials(uri), name: hideCredentials(uri), command: 'ffmpeg', args, width, height, format: 'i420', stride: width, fps, isLive: !isFile }
}

/** Live sources: no buffering, and an end when the other side is silent. Files: again from the start where wanted. */
function inputArguments(uri: string, isFile: boolean, { loop }: CameraOptions): string[] {
  if (isFile) return loop ? ['-stream_loop', '-1'] : []
  const live = ['-fflags', 'nobuffer', '-flags', 'low_delay']
  if (uri.startsWith('rtsp')) return [...live, '-rtsp_transport', 'tcp', '-timeout', '10000000']
  return [...live, '-rw_timeout', '10000000']
}

/** The wanted size where both sides are given, else the source's own. */
function scaled(probed: Probed, { width, height }: CameraOptions): { width: number; height: number } {
  return width && height ? { width, height } : { width: probed.width, height: probed.height }
}

/** Asks ffprobe for the size of the picture, rotation applied. */
async function probe(uri: string, signal: AbortSignal): Promise<Probed> {
  const timeout = uri.startsWith('rtsp') ? ['-rtsp_transport', 'tcp', '-timeout', '10000000'] : []
  const entries = 'stream=width,height,avg_frame_rate,r_frame_rate:stream_side_data=rotation'
  const text = await output('ffprobe', ['-v', 'error', ...timeout, '-select_streams', 'v:0', '-show_entries', entries, '-of', 'json', uri], uri, signal)
  const [stream] = (JSON.parse(text) as { streams?: { width?: number; height?: number; avg_frame_rate?: string; r_frame_rate?: string; side_data_list?: { rotation?: number }[] }[] }).streams ?? []
  if (!stream?.width || !stream.height) throw new GapcamError('CAMERA_FORMAT', `camera ${hideCredentials(uri)}: there is no video in it`)
  const isTurned = stream.side_data_list?.some(({ rotation }) => rotation !== undefined && rotation % 180 !== 0) ?? false
  const fps = rate(stream.avg_frame_rate) || rate(stream.r_frame_rate)
  return isTurned ? { width: stream.height, height: stream.width, fps } : { width: stream.width, height: stream.height, fps }
}

function rate(text = ''): number {
  const [numerator = 0, denominator = 1] = text.split('/').map(Number)
  const value = numerator / denominator
  return Number.isFinite(value) ? Math.round(value * 100) / 100 : 0
}

function output(program: string, args: readonly string[], uri: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(...endingWithUs(program, args), { timeout: probeMs, signal, maxBuffer: 1 << 20 }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout)
      const why = hideCredentials(stderr.trim().split('\n').at(-1) ?? '') || 'it does not answer'
      reject(new GapcamError('CAMERA_NOT_FOUND', `camera ${hideCredentials(uri)} cannot be opened: ${why}`, { cause: error }))
    })
  })
}
