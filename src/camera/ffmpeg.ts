/**
 * RTSP, video over HTTP, RTMP, UDP and SRT, and video files, through one ffmpeg child that opens one connection. It writes
 * YUV4MPEG2, whose header carries the size of the picture, so nothing has to be asked before.
 */
import { existsSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { parseCameraAddress, type CameraAddress } from '../address/camera.js'
import { GapcamError } from '../errors.js'
import type { Camera, CameraOptions } from './camera.js'
import { openChild, type ChildSource } from './child.js'
import { y4mCutter } from './cutters.js'
import { extentOf } from './decode-size.js'
import {
  formatVersion,
  passthrough,
  rateFilter,
  silenceLimit,
  transportOptions,
  type FormatVersion,
} from './ffmpeg-options.js'
import { openHandover } from './handover.js'
import { requireProgram } from './programs.js'

/** A camera over a video file. `path` may hold any character, a colon too. */
export function openVideo(path: string, options: CameraOptions): Camera {
  return openChild(async () => {
    // A folder of pictures that is gone comes here too: nothing tells it from a video that is gone.
    if (!existsSync(path)) throw new GapcamError('CAMERA_NOT_FOUND', `camera ${path}: there is no such file or folder`)
    const program = requireProgram('ffmpeg', path, 'ffmpeg')
    const loop = options.loop ? ['-stream_loop', '-1'] : []
    const args = [...loop, ...(options.ffmpegOptions ?? []), '-i', `file:${path}`]
    return sourceOf(path, args, await formatVersion(program), options, { isLive: false })
  })
}

/** A camera at a network address that ffmpeg reads, such as rtsp://192.168.1.20/live. Throws CONFIG_INVALID for no address. */
export function openStream(uri: string, options: CameraOptions): Camera {
  const address = cameraAddress(uri)
  return openChild(async () => {
    const version = await formatVersion(requireProgram('ffmpeg', uri, 'ffmpeg'))
    const { args, input, release } = await inputOf(address, version, options.ffmpegOptions ?? [])
    return { ...sourceOf(address.shown, args, version, options, { isLive: true }), input, release }
  })
}

/** A camera over a stream that is open already, such as MPEG-TS over HTTP. `uri` is for people; the stream is destroyed on close. */
export function openPiped(uri: string, input: Readable, options: CameraOptions): Camera {
  return openChild(async () => {
    const version = await formatVersion(requireProgram('ffmpeg', uri, 'ffmpeg'))
    const args = [...liveOptions, '-analyzeduration', analysisUs, ...(options.ffmpegOptions ?? []), '-i', 'pipe:0']
    return { ...sourceOf(uri, args, version, options, { isLive: true }), input, release: () => input.destroy() }
  })
}

/** The parts of a camera's address. Throws CONFIG_INVALID, without repeating the address: it may hold a password. */
export function cameraAddress(uri: string): CameraAddress {
  const address = parseCameraAddress(uri)
  if (address) return address
  throw new GapcamError(
    'CONFIG_INVALID',
    'the address of a camera cannot be read; it may hold a password and is not repeated',
    {
      hint: 'Percent-encode characters such as @ / # and blanks in the user and the password: %40 %2F %23 %20.',
    },
  )
}

function sourceOf(
  uri: string,
  input: readonly string[],
  version: FormatVersion,
  options: CameraOptions,
  { isLive }: { readonly isLive: boolean },
): ChildSource {
  const { width, height, fps } = options
  const fitting = width && height ? '' : fittingScale(options)
  const size = width && height ? `${width}:${height}:` : fitting
  // The pixel path reads limited range; newer ffmpegs would pass the full range of JPEG through.
  const filters = [...(fps ? [rateFilter(fps)] : []), `scale=${size}out_range=tv`]
  const output = [
    '-map',
    '0:v:0',
    '-an',
    '-sn',
    '-vf',
    filters.join(','),
    '-pix_fmt',
    'yuv420p',
    ...passthrough(version),
  ]
  const cutter = y4mCutter()
  return {
    uri,
    name: uri,
    command: 'ffmpeg',
    args: [
      '-nostdin',
      '-hide_banner',
      '-loglevel',
      'error',
      ...input,
      ...output,
      '-flush_packets',
      '1',
      '-f',
      'yuv4mpegpipe',
      'pipe:1',
    ],
    cutter,
    ...(fitting === '' ? {} : { fullSize: null }),
    // The header of a live stream states a guess.
    get fps() {
      return isLive || cutter.fps === 0 ? undefined : Math.min(cutter.fps, fps || cutter.fps)
    },
    keepsNewest: isLive,
    isLive,
    explain: (why) => openFault(uri, isLive, why),
  }
}

/**
 * The size that zones need, as expressions of ffmpeg's filter: it alone knows the size of the stream. See `scaleNeeded`; a
 * scale near 1 is not worth a scaler.
 */
function fittingScale({ needs, fitsStreams }: CameraOptions): string {
  const all = fitsStreams ? (needs?.() ?? []) : []
  if (all.length === 0) return ''
  const each = all
    .map(extentOf)
    .map(
      ({ across, down, isContained }) =>
        `${isContained ? 'min' : 'max'}(${across.toFixed(2)}/iw,${down.toFixed(2)}/ih)`,
    )
  const scale = each.reduce((most, next) => `max(${most},${next})`)
  const side = (length: 'iw' | 'ih'): string => `'if(gt(${scale},0.86),${length},2*ceil(${length}*${scale}/2))'`
  return `w=${side('iw')}:h=${side('ih')}:flags=bilinear:`
}

/** How ffmpeg is told what to open. */
interface Input {
  readonly args: readonly string[]
  readonly input?: string | undefined
  readonly release?: (() => void) | undefined
}

/** Bounds what ffmpeg reads before it decodes, and stamps frames with the time of their arrival. */
const liveOptions = [
  '-flags',
  'low_delay',
  '-fpsprobesize',
  '0',
  '-max_ts_probe',
  '0',
  '-use_wallclock_as_timestamps',
  '1',
]

/** Streams that announce their parts as they go need a look at more than the first packet. */
const analysisUs = '2000000'

async function inputOf(address: CameraAddress, version: FormatVersion, own: readonly string[]): Promise<Input> {
  const isRtsp = address.scheme.startsWith('rtsp')
  const transport = isRtsp ? transportOptions(address.path) : { path: address.path, args: [] }
  const analysis = ['-analyzeduration', isRtsp ? '1' : analysisUs]
  const media = isRtsp ? ['-allowed_media_types', 'video'] : []
  const silence = silenceLimit(version, address.scheme)
  const options = [...liveOptions, ...analysis, ...media, ...transport.args, ...silence, ...own]
  const url = `${address.url.slice(0, address.url.length - address.path.length)}${transport.path}`
  if (!holdsSecret(address)) return { args: [...options, '-i', url] }
  if (isRtsp || /^https?$/.test(address.scheme)) {
    const handover = await openHandover(isRtsp ? 'rtsp' : 'http', url)
    return { args: [...options, '-i', handover.url], release: () => handover.close() }
  }
  return playlist(url, options)
}

/** A path or query that is shown only in part may hold a secret too. */
function holdsSecret({ user, url, shown }: CameraAddress): boolean {
  return user !== null || shown !== url
}

/** Schemes without redirects get the address on ffmpeg's stdin, as a playlist (ffconcat) of one. */
function playlist(url: string, options: readonly string[]): Input {
  const address = url.replace(/['\\\s]/g, (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
  const protocols = 'pipe,fd,file,rtp,rtmp,rtmps,tcp,udp,tls,srt,http,https,httpproxy,crypto'
  const list = ['-f', 'concat', '-safe', '0', '-protocol_whitelist', protocols, '-i', 'pipe:0']
  return { args: [...options, ...list], input: `ffconcat version 1.0\nfile '${address}'\n` }
}

/** Why a source did not open, from ffmpeg's last words. */
function openFault(uri: string, isLive: boolean, why: string): GapcamError {
  if (/matches no streams/.test(why)) return new GapcamError('CAMERA_FORMAT', `camera ${uri}: there is no video in it`)
  const hint = /\b40[13]\b/.test(why)
    ? 'Check the user and the password of the camera.'
    : /Protocol not found/.test(why)
      ? 'This ffmpeg was built without that protocol: ffmpeg -protocols lists what it has.'
      : isLive
        ? 'Check the address, and that the camera is switched on and can be reached.'
        : 'Look at the file with another program, such as ffplay.'
  // The redirect's own address and the playlist's pipe mean nothing to the reader.
  const told =
    why.replace(/(?:rtsp|http):\/\/127\.0\.0\.1:\d+\/[0-9a-f]{24}|pipe:0/g, uri) || 'ffmpeg has ended without a word'
  return new GapcamError(
    'CAMERA_NOT_FOUND',
    `camera ${uri} cannot be opened: ${told.startsWith(`${uri}: `) ? told.slice(uri.length + 2) : told}`,
    { hint },
  )
}
