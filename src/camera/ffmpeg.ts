/** RTSP, HTTP (MJPEG and whatever else ffmpeg reads) and video files, through an ffmpeg child. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { GapcamError } from '../errors.js'
import { redact, shownAddress } from '../secrets.js'
import type { Camera, CameraOptions } from './camera.js'
import { endingWithUs, openChild, requireProgram, type ChildSource } from './child.js'

const probeMs = 15_000

export function openFfmpeg(uri: string, options: CameraOptions): Camera {
  return openChild(async (signal) => {
    requireProgram('ffmpeg', uri, 'ffmpeg')
    const isFile = !/^(rtsps?|https?|rtmp|udp):\/\//.test(uri)
    if (isFile && !existsSync(uri)) throw new GapcamError('CAMERA_NOT_FOUND', `video ${uri}: there is no such file`)
    const input = await inputOf(uri, isFile)
    return sourceOf(uri, isFile, { ...input, ...(await probe(uri, input, signal)) }, options)
  })
}

/** How ffmpeg and ffprobe are told what to open. */
interface Input {
  readonly args: readonly string[]
  /** For their stdin. */
  readonly text?: string
}

interface Probed {
  readonly width: number
  readonly height: number
  readonly fps: number
}

function sourceOf(uri: string, isFile: boolean, probed: Probed & Input, options: CameraOptions): ChildSource {
  const { width, height } = scaled(probed, options)
  const fps = options.fps && options.fps > 0 ? Math.min(options.fps, probed.fps || options.fps) : probed.fps
  const filters = [
    ...(options.fps && options.fps < probed.fps ? [`fps=${options.fps}`] : []),
    ...(width === probed.width && height === probed.height ? [] : [`scale=${width}:${height}`]),
  ]
  const loop = options.loop ? ['-stream_loop', '-1'] : []
  const args = [
    '-nostdin',
    '-hide_banner',
    '-loglevel',
    'error',
    ...(isFile ? loop : ['-fflags', 'nobuffer', '-flags', 'low_delay']),
    ...probed.args,
    '-map',
    '0:v:0',
    '-an',
    '-sn',
    ...(filters.length > 0 ? ['-vf', filters.join(',')] : []),
    '-f',
    'rawvideo',
    '-pix_fmt',
    'yuv420p',
    'pipe:1',
  ]
  return {
    uri: shownAddress(uri),
    name: shownAddress(uri),
    command: 'ffmpeg',
    args,
    ...(probed.text === undefined ? {} : { input: probed.text }),
    width,
    height,
    format: 'i420',
    stride: width,
    fps,
    isLive: !isFile,
  }
}

/** A live source ends when the other side is silent. */
async function inputOf(uri: string, isFile: boolean): Promise<Input> {
  if (isFile) return { args: ['-i', uri] }
  const options = uri.startsWith('rtsp') ? { rtsp_transport: 'tcp', timeout: '10000000' } : { rw_timeout: '10000000' }
  const isSecret = shownAddress(uri) !== uri
  if (isSecret && (await hasPlaylistOptions())) return playlist(uri, options)
  return { args: [...Object.entries(options).flatMap(([name, value]) => [`-${name}`, value]), '-i', uri] }
}

/**
 * Every user can read command lines. An address with a password goes to ffmpeg's stdin instead, as a playlist
 * (ffconcat) of one.
 */
function playlist(uri: string, options: Readonly<Record<string, string>>): Input {
  const address = uri.replace(/['\\\s]/g, (character) => encodeURIComponent(character).replace("'", '%27'))
  const lines = [
    'ffconcat version 1.0',
    `file '${address}'`,
    ...Object.entries(options).map(([name, value]) => `option ${name} ${value}`),
    '',
  ]
  const protocols = 'pipe,fd,file,rtsp,rtp,rtmp,tcp,udp,tls,http,https,httpproxy,crypto'
  return {
    args: ['-f', 'concat', '-safe', '0', '-protocol_whitelist', protocols, '-i', 'pipe:0'],
    text: lines.join('\n'),
  }
}

let playlistOptions: Promise<boolean> | undefined

/** Playlists take options since FFmpeg 5; a build of its own without a number is newer. */
function hasPlaylistOptions(): Promise<boolean> {
  playlistOptions ??= new Promise((resolve) => {
    execFile('ffmpeg', ['-version'], { timeout: probeMs }, (error, stdout) => {
      const [, major] = /^ffmpeg version n?(\d+)\./.exec(stdout) ?? []
      resolve(!error && (major === undefined || Number(major) >= 5))
    })
  })
  return playlistOptions
}

/** The wanted size where both sides are given, else the source's own. */
function scaled(probed: Probed, { width, height }: CameraOptions): { width: number; height: number } {
  return width && height ? { width, height } : { width: probed.width, height: probed.height }
}

/** Asks ffprobe for the size of the picture, rotation applied. */
async function probe(uri: string, input: Input, signal: AbortSignal): Promise<Probed> {
  const entries = 'stream=width,height,avg_frame_rate,r_frame_rate:stream_side_data=rotation'
  const text = await output(
    'ffprobe',
    ['-v', 'error', '-select_streams', 'v:0', '-show_entries', entries, '-of', 'json', ...input.args],
    { uri, signal, ...(input.text === undefined ? {} : { input: input.text }) },
  )
  const [stream] =
    (
      JSON.parse(text) as {
        streams?: {
          width?: number
          height?: number
          avg_frame_rate?: string
          r_frame_rate?: string
          side_data_list?: { rotation?: number }[]
        }[]
      }
    ).streams ?? []
  if (!stream?.width || !stream.height)
    throw new GapcamError('CAMERA_FORMAT', `camera ${shownAddress(uri)}: there is no video in it`)
  const isTurned =
    stream.side_data_list?.some(({ rotation }) => rotation !== undefined && rotation % 180 !== 0) ?? false
  const fps = rate(stream.avg_frame_rate) || rate(stream.r_frame_rate)
  return isTurned
    ? { width: stream.height, height: stream.width, fps }
    : { width: stream.width, height: stream.height, fps }
}

function rate(text = ''): number {
  const [numerator = 0, denominator = 1] = text.split('/').map(Number)
  const value = numerator / denominator
  return Number.isFinite(value) ? Math.round(value * 100) / 100 : 0
}

interface Asking {
  readonly uri: string
  readonly input?: string
  readonly signal: AbortSignal
}

function output(program: string, args: readonly string[], { uri, input, signal }: Asking): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      ...endingWithUs(program, args),
      { timeout: probeMs, signal, maxBuffer: 1 << 20 },
      (error, stdout, stderr) => {
        if (!error) return resolve(stdout)
        const why = redact(stderr.trim().split('\n').at(-1) ?? '').replace(/^pipe:0: /, '') || 'it does not answer'
        const hint = /\b40[13]\b/.test(why) ? { hint: 'Check the user and the password of the camera.' } : {}
        reject(
          new GapcamError('CAMERA_NOT_FOUND', `camera ${shownAddress(uri)} cannot be opened: ${why}`, {
            cause: error,
            ...hint,
          }),
        )
      },
    )
    child.stdin?.on('error', () => undefined).end(input)
  })
}
