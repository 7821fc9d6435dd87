/** Child programs as cameras: GStreamer pipelines, programs that end early, and that no child outlives its camera or us. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { PictureNeed } from '../../src/camera/decode-size.js'
import { openCamera } from '../../src/camera/sources.js'
import { systemClock } from '../../src/clock.js'
import type { Activity } from '../../src/run/guard/deadlines.js'
import { superviseCamera } from '../../src/run/cameras/supervisor.js'
import { endAll, gapcam } from '../process.js'
import { freePort, until } from '../publish/mosquitto.js'
import { makeClips, settings, startRtspServer, type Clips } from './clips.js'

let clips: Clips

beforeAll(async () => {
  clips = await makeClips()
})
afterEach(endAll)
afterAll(() => clips.remove())

/** The child processes of one of ours. */
function childrenOf(parent: number): { pid: number; name: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const { name, parent: itsParent } = statOf(Number(pid))
      return itsParent === parent ? [{ pid: Number(pid), name }] : []
    })
}

/** True for a process that has ended, also while its parent has not collected it. */
const hasEnded = (pid: number): boolean => ['', 'Z', 'X'].includes(statOf(pid).state)

function statOf(pid: number): { name: string; state: string; parent: number } {
  try {
    const [, name = '', state = '', parent] =
      /^\d+ \((.*)\) (\S) (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    return { name, state, parent: Number(parent) }
  } catch {
    return { name: '', state: '', parent: 0 } // it has ended
  }
}

it('a GStreamer pipeline is a camera', async () => {
  const run = gapcam(['run', 'gst:videotestsrc', ...settings, '--frames', '8'])
  expect(await run.ended, run.stderr()).toBe(0)
  expect(run.stderr()).toMatch(/^8 frames classified/m)
})

it('a GStreamer pipeline and ffmpeg deliver what zones need, as planar YUV, and say what they were asked for', async () => {
  const needs = (): PictureNeed[] => [
    { width: 64, height: 64, resize: 'contain', roi: { x: 0, y: 0, width: 0.5, height: 0.5 } },
  ]
  const seen = []
  for (const source of ['gst:videotestsrc', clips.video]) {
    const camera = openCamera(source, { needs, fitsStreams: true })
    const { signal } = new AbortController()
    try {
      const { fullSize } = await camera.open(signal)
      const { width, height, format, release } = (await camera.next(signal))!
      release()
      seen.push({ fullSize, width, height, format })
    } finally {
      await camera.close()
    }
  }
  // Half of 640 pixels, and of the clip's 480, becomes 64; GStreamer's rows are in steps of 8.
  expect(seen).toEqual([
    { fullSize: { width: 640, height: 480 }, width: 128, height: 96, format: 'i420' },
    { fullSize: null, width: 128, height: 86, format: 'i420' },
  ])
})

it('a program that ends before its first picture is an error at the start; with waitForCameras it is retried and never reported as back', async () => {
  const source = 'gst:no-such-element'
  const run = gapcam(['run', source, ...settings])
  expect(await run.ended, run.stderr()).toBe(3)
  expect(run.stderr()).toMatch(/no element "no-such-element"[^]*before it delivered a picture/)
  const waiting = gapcam(['run', source, ...settings, '--set', 'waitForCameras=true', '--log-level', 'debug'])
  // Wait for the second attempt: only then could the camera be reported as back.
  await waiting.until(/(trying again[^]*){2}/)
  waiting.kill('SIGINT')
  expect(await waiting.ended).toBe(130)
  expect(waiting.stderr().match(/"level":"warn".*trying again/g)).toHaveLength(1)
  expect(waiting.stderr()).not.toMatch(/is back|^camera {3}/m)
  expect(waiting.stderr()).toMatch(/ 0 camera recoveries/)
})

it('a camera that ends soon after every start is opened again after growing pauses', async () => {
  const camera = join(clips.folder, 'flapping.mkv')
  execFileSync('ffmpeg', ['-v', 'error', '-i', clips.video, '-frames:v', '1', '-c:v', 'rawvideo', camera])
  const stages: Activity[] = []
  let opened = 0
  let lost = 0
  const stopping = new AbortController()
  await superviseCamera(
    {
      make: () =>
        openCamera(`gst:filesrc location=${camera} ! matroskademux ! videoparse width=480 height=320 format=i420`, {
          width: 480,
          height: 320,
        }),
      clock: systemClock,
      stallMs: 10_000,
      frameMs: 10_000,
      isPatient: false,
      loop: {
        enter: (stage) => {
          stages.push(stage)
        },
        end: () => undefined,
      },
      onOpen: () => {
        opened++
      },
      onFrame: async (frame) => frame.release(),
      onLost: () => {
        if (++lost === 4) stopping.abort()
      },
      onWarning: () => undefined,
      onDropped: () => undefined,
    },
    stopping.signal,
  )
  expect(opened).toBe(4)
  // Pauses are made of steps of a second; the third pause is two seconds, less a quarter at most.
  const pauses = stages
    .join()
    .split('opening the camera')
    .map((between) => between.split('pausing').length - 1)
  expect(Math.max(...pauses)).toBeGreaterThan(1)
}, 60_000)

it('test:// frames carry their true label', async () => {
  const camera = openCamera('test://?fps=100', {})
  const { signal } = new AbortController()
  await camera.open(signal)
  const frame = await camera.next(signal)
  expect(frame).toMatchObject({ width: 640, height: 480, format: 'rgb24', truth: 'chickadee' })
  await camera.close()
})

describe('children', () => {
  it('end with us, even when we are killed', async () => {
    const run = gapcam(['run', clips.video, '--loop', ...settings])
    await run.until(/"label"/)
    expect(childrenOf(run.pid).map(({ name }) => name)).toEqual(['ffmpeg'])
    const [child] = childrenOf(run.pid)
    run.kill('SIGKILL')
    await run.ended
    await until(() => hasEnded(child!.pid), 'ffmpeg to end')
  })

  it('end with us while they wait for a silent server', async () => {
    const sockets = new Set<Socket>()
    const silent = createTcpServer((socket) => sockets.add(socket))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const run = gapcam(['run', `rtsp://127.0.0.1:${(silent.address() as AddressInfo).port}/`, ...settings])
    await until(() => sockets.size > 0, 'a connection')
    const [child] = childrenOf(run.pid)
    expect(child!.name).toBe('ffmpeg')
    run.kill('SIGKILL')
    await run.ended
    await until(() => hasEnded(child!.pid), 'ffmpeg to end')
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => silent.close(resolve))
  })

  it('end when the camera is closed; a slow reader gets the newest frame, drops are counted, memory stays the same', async () => {
    const port = await freePort()
    await startRtspServer(port, clips.still)
    const camera = openCamera(`rtsp://127.0.0.1:${port}/bird`, {})
    const { signal } = new AbortController()
    await camera.open(signal)
    const first = await camera.next(signal)
    first?.release()
    await new Promise((resolve) => setTimeout(resolve, 1500))
    const second = await camera.next(signal)
    expect(camera.dropped).toBeGreaterThan(3)
    expect(second!.seq - first!.seq).toBeGreaterThan(3)
    second?.release()
    // All frames lie in the same four buffers.
    const buffers = new Set<unknown>()
    for (let i = 0; i < 12; i++) {
      const frame = await camera.next(signal)
      buffers.add(frame!.pixels)
      frame!.release()
    }
    expect(buffers.size).toBeLessThanOrEqual(4)
    await camera.close()
    expect(childrenOf(process.pid).map(({ name }) => name)).not.toContain('ffmpeg')
  }, 60_000)
})
