/**
 * Network cameras and files with each release of ffmpeg that boards carry: the installed one, and those that
 * scripts/fetch/ffmpegs.mjs fetched. The cameras are real RTSP servers that misbehave (rtsp-cam.py).
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CameraOptions } from '../../src/camera/camera.js'
import { openCamera } from '../../src/camera/sources.js'
import { endAll, launch, type Running } from '../process.js'
import { freePort } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-ffmpeg-'))
const clip = join(folder, 'clip.h264')
const video = join(folder, 'clip 12:30.mkv')
const path = process.env['PATH']
const { signal } = new AbortController()

beforeAll(() => {
  const source = ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc=size=320x240:rate=10', '-t', '3', '-pix_fmt', 'yuv420p']
  const coded = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', '10']
  execFileSync('ffmpeg', [...source, ...coded, '-f', 'h264', clip])
  execFileSync('ffmpeg', [...source, ...coded, `file:${video}`])
})
afterAll(() => {
  process.env['PATH'] = path
  endAll()
  rmSync(folder, { recursive: true, force: true })
})

/** An RTSP camera with the faults that its flags name. */
async function rtspCamera(...flags: readonly string[]): Promise<{ readonly port: number; readonly server: Running }> {
  const port = await freePort()
  const args = [join(projectRoot, 'test/camera/rtsp-cam.py'), '--port', String(port), '--files', clip, ...flags]
  const server = launch('/usr/bin/python3', args)
  await server.until(/ready/)
  return { port, server }
}

interface Seen {
  readonly firstMs: number
  readonly frames: number
  readonly size: string
}

/** Opens a camera and counts frames for so long after the first; a file is read to its end. */
async function look(uri: string, forMs: number, options: CameraOptions = {}): Promise<Seen> {
  const camera = openCamera(uri, options)
  const begin = performance.now()
  try {
    const { width, height } = await camera.open(signal)
    let [firstMs, frames] = [0, 0]
    while (frames === 0 || performance.now() - begin - firstMs < forMs) {
      const frame = await camera.next(signal)
      if (!frame) break
      if (frames++ === 0) firstMs = performance.now() - begin
      frame.release()
    }
    return { firstMs, frames, size: `${width}x${height}` }
  } finally {
    await camera.close()
  }
}

/** The command lines of our ffmpegs, as every user of the machine sees them. */
function commandLines(): string {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
      } catch {
        return '' // it has ended
      }
    })
    .filter((line) => line.includes('-nostdin'))
    .join('\n')
}

const releases = ['installed', '4.2', '4.4', '6.0', '7.0', '8.0'].map((release) => ({
  release,
  folder: release === 'installed' ? null : join(projectRoot, '.cache/ffmpeg', release),
}))

describe.each(releases)('ffmpeg $release', ({ folder: programs }) => {
  // Skipped only where the release could not be fetched; scripts/test.mjs reports that.
  const hasProgram = programs === null || existsSync(join(programs, 'ffmpeg'))
  const use = (): void => {
    process.env['PATH'] = programs === null ? path : `${programs}:${path}`
  }

  it.skipIf(!hasProgram)(
    'reads a file to its end and cameras that are slow, leap in time, want a password, or send UDP only',
    async () => {
      use()
      const password = 'p#a/s?s w:ord'
      const slow = await rtspCamera('--fps', '1')
      const leaping = await rtspCamera('--fps', '10', '--jump-after', '12', '--jump-by', '-3600')
      const guarded = await rtspCamera('--auth', 'digest', '--user', 'viewer', '--password', password, '--limit', '1')
      const udp = await rtspCamera('--transport', 'udp', '--audio', 'first')
      const looks = Promise.all([
        look(video, Infinity),
        look(`rtsp://127.0.0.1:${slow.port}/x`, 0),
        look(`RTSP://127.0.0.1:${leaping.port}/x`, 2000),
        look(`rtsp://viewer:${password}@127.0.0.1:${guarded.port}/x`, 1000),
        look(`rtsp://127.0.0.1:${udp.port}/x`, 1000),
        look(`rtsp://127.0.0.1:${leaping.port}/y`, 2000, { fps: 2, width: 160, height: 120 }),
      ])
      await guarded.server.until(/PLAY/)
      const lines = commandLines()
      expect(lines).toContain('yuv4mpegpipe')
      expect(lines).not.toMatch(/p#a|p%23a|viewer/)

      const [file, slowly, leapt, admitted, sent, limited] = await looks
      expect(file).toMatchObject({ frames: 30, size: '320x240' })
      expect(slowly.firstMs).toBeLessThan(5000)
      // 20 frames in 2 s and a few of the time before the first; a leap that is filled gives thousands.
      expect(leapt.frames).toBeGreaterThan(13)
      expect(leapt.frames).toBeLessThan(40)
      expect(admitted.frames).toBeGreaterThan(5)
      expect(sent.frames).toBeGreaterThan(3)
      expect(limited.size).toBe('160x120')
      expect(limited.frames).toBeGreaterThanOrEqual(3)
      expect(limited.frames).toBeLessThanOrEqual(6)
      // One connection: the camera with a single session was asked for it once.
      expect(guarded.server.stdout().match(/SETUP/g)).toHaveLength(1)
      expect(guarded.server.stdout()).not.toMatch(/453/)
      for (const { server } of [slow, leaping, guarded, udp]) server.kill('SIGKILL')
    },
    40_000,
  )
})

describe('the installed ffmpeg', () => {
  it('gives a wrong password as one sentence that repeats nothing of it', async () => {
    process.env['PATH'] = path
    const { port } = await rtspCamera('--auth', 'basic', '--user', 'u', '--password', 'right')
    const error = await look(`rtsp://u:wr#ng/1@127.0.0.1:${port}/x`, 0).catch((fault: unknown) => fault as Error)
    expect(error).toMatchObject({
      code: 'CAMERA_NOT_FOUND',
      message: expect.stringMatching(new RegExp(`^camera rtsp://127\\.0\\.0\\.1:${port}/x cannot be opened: .*401`)),
      hint: 'Check the user and the password of the camera.',
    })
    expect((error as Error).message).not.toMatch(/wr#ng|wr%23ng/)
  })

  it('takes options from the configuration', async () => {
    const { port, server } = await rtspCamera()
    await look(`rtsp://127.0.0.1:${port}/x`, 0, { ffmpegOptions: ['-rtsp_transport', 'udp'] })
    expect(server.stdout()).toMatch(/SETUP .*RTP\/AVP\/UDP/)
    await look(`rtsp://127.0.0.1:${port}/x?transport=udp`, 0)
    expect(server.stdout().match(/SETUP .*RTP\/AVP\/UDP/g)).toHaveLength(2)
  })

  it('opens a camera again whose only session is freed late', async () => {
    const { port, server } = await rtspCamera('--limit', '1', '--linger', '1')
    await look(`rtsp://127.0.0.1:${port}/x`, 0)
    await expect(look(`rtsp://127.0.0.1:${port}/x`, 0)).rejects.toMatchObject({ code: 'CAMERA_NOT_FOUND' })
    await server.until(/453/)
    await new Promise((resolve) => setTimeout(resolve, 1200))
    expect((await look(`rtsp://127.0.0.1:${port}/x`, 0)).frames).toBe(1)
  })
})

it.each([
  ['rtsp://u:p@', /cannot be read/],
  ['rtsp://cam/x?transport=pigeon', /must be one of tcp, udp/],
  ['ftp://u:hunter2@cam/x', /^(?!.*hunter2).*of no known kind/],
])('%s is refused without being repeated', async (uri, sentence) => {
  const opening = (async () => openCamera(uri, {}).open(signal))()
  await expect(opening).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(sentence) })
})
