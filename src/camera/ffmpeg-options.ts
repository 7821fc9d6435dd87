/**
 * The options that one ffmpeg understands. Boards carry releases from 4.1 to 8: options were renamed and removed between
 * them, and distributions name their builds freely, so the version of libavformat decides.
 */
import { execFile } from 'node:child_process'
import { GapcamError } from '../errors.js'

/** libavformat's major version: 58 for FFmpeg 4, 59 for 5, 60 for 6, 61 for 7, 62 for 8. */
export type FormatVersion = number

const askMs = 10_000
const asked = new Map<string, Promise<FormatVersion>>()

/** The version of the ffmpeg at this path; asked once for each path. Rejects with CAMERA_TOOL_MISSING where it does not run. */
export function formatVersion(path: string): Promise<FormatVersion> {
  let version = asked.get(path)
  if (!version) {
    version = ask(path)
    asked.set(path, version)
    version.catch(() => asked.delete(path))
  }
  return version
}

function ask(path: string): Promise<FormatVersion> {
  return new Promise((resolve, reject) => {
    execFile(path, ['-version'], { timeout: askMs }, (error, stdout) => {
      const [, major] = /^libavformat\s+(\d+)\./m.exec(stdout) ?? []
      if (major !== undefined) return resolve(Number(major))
      reject(new GapcamError('CAMERA_TOOL_MISSING', `${path} does not run, or is not ffmpeg`, { cause: error }))
    })
  })
}

/** Every decoded frame is written once, whatever the stream's times are: they may leap or be invented. */
export function passthrough(version: FormatVersion): string[] {
  return version >= 60 ? ['-fps_mode', 'passthrough'] : ['-vsync', '0']
}

const silenceUs = '30000000'

/** Ends a connection that is silent for 30 s. Before FFmpeg 5 `-timeout` told an RTSP demuxer to listen. */
export function silenceLimit(version: FormatVersion, scheme: string): string[] {
  if (!scheme.startsWith('rtsp')) return ['-rw_timeout', silenceUs]
  return [version >= 59 ? '-timeout' : '-stimeout', silenceUs]
}

const transports = ['tcp', 'udp', 'udp_multicast', 'http', 'https'] as const

/** RTSP asks for TCP, and for UDP where the camera refuses TCP; `transport` in the address's query chooses one. */
export function transportOptions(path: string): { readonly path: string; readonly args: string[] } {
  const [, before = '', wanted, after = ''] = /^(.*?[?&])transport=([^&]*)&?(.*)$/.exec(path) ?? []
  if (wanted === undefined) return { path, args: ['-rtsp_flags', 'prefer_tcp'] }
  if (!transports.some((transport) => transport === wanted))
    throw new GapcamError(
      'CONFIG_INVALID',
      `the transport of an RTSP camera must be one of ${transports.join(', ')}, such as ?transport=udp`,
    )
  return { path: `${before}${after}`.replace(/[?&]$/, ''), args: ['-rtsp_transport', wanted] }
}

/** At most so many frames a second, chosen by the time of each; the first frame of each slot passes. */
export function rateFilter(fps: number): string {
  const slot = (time: string): string => `floor(${time}*${fps}+0.001)`
  return `select=isnan(prev_selected_t)+gt(${slot('t')}\\,${slot('prev_selected_t')})`
}
