/** Cameras that are another program's: a video file, a real RTSP server, MJPEG over HTTP, GStreamer. */
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openCamera } from '../../src/camera/sources.js'
import { systemClock } from '../../src/clock.js'
import type { Activity } from '../../src/run/deadlines.js'
import { superviseCamera } from '../../src/run/supervisor.js'
import { endAll, gapcam, jsonLines, launch, type Running } from '../process.js'
import { freePort, until } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-streams-'))
const bird = join(projectRoot, 'models/photos/bird.jpg')
const video = join(folder, 'bird.mp4')
const still = join(folder, 'bird.jpg')
const settings = ['--json', '--broker', 'none']

beforeAll(async () => {
  // Even sizes, as H.264 wants them.
  await sharp(bird).resize(480, 320, { fit: 'cover' }).jpeg().toFile(still)
  execFileSync('ffmpeg', [
    '-v',
    'error',
    '-loop',
    '1',
    '-framerate',
    '10',
    '-t',
    '3',
    '-i',
    still,
    '-pix_fmt',
    'yuv420p',
    video,
  ])
})
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The processes below one of ours. */
function childrenOf(parent: number): { pid: number; name: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const { name, parent: itsParent } = statOf(Number(pid))
      return itsParent === parent ? [{ pid: Number(pid), name }] : []
    })
}

/** Gone, or only waiting for its parent to look. */
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

describe('a video file', () => {
  it('is classified frame by frame to its end, none lost', async () => {
    const run = gapcam(['run', video, ...settings])
    expect(await run.ended, run.stderr()).toBe(0)
    expect(run.stderr()).toMatch(/480 x 320 i420/)
    expect(run.stderr()).toMatch(/^30 frames classified .* 0 dropped/m)
    expect(jsonLines(run.stdout())[0]).toMatchObject({ label: 'chickadee' })
  })

  it('begins again with --loop', async () => {
    const run = gapcam(['run', video, ...settings, '--loop', '--frames', '70'])
    expect(await run.ended, run.stderr()).toBe(0)
    expect(run.stderr()).toMatch(/^70 frames classified/m)
  })

  it('that is no video, is cut before its index, or is not there is said to be so', async () => {
    const cut = join(folder, 'cut.mp4')
    writeFileSync(cut, readFileSync(video).subarray(0, 5000)) // MP4's index is at its end
    for (const file of [join(projectRoot, 'package.json'), cut, join(folder, 'none.mp4')]) {
      const run = gapcam(['run', file, ...settings])
      expect(await run.ended).toBe(3)
      expect(run.stderr()).toContain(file)
      expect(run.stderr()).not.toMatch(/ {4}at /) // no stack
    }
  })
})

it('a folder that is looped is read again in each round: what came, what was replaced, what went', async () => {
  const box = join(folder, 'box')
  mkdirSync(box)
  const put = (photo: string, name: string): void => {
    // As a careful program does it, so that no half picture is seen.
    copyFileSync(join(projectRoot, 'models/photos', photo), join(box, `${name}.part`))
    renameSync(join(box, `${name}.part`), join(box, name))
  }
  put('bird.jpg', 'a.jpg')
  const run = gapcam([
    'run',
    ...settings,
    '--set',
    'policy.consecutive=1',
    '--set',
    'policy.smoothingMs=0',
    '--set',
    `cameras=[{"id":"box","source":"${box}","loop":true,"holdMs":200}]`,
  ])
  await run.until(/"label":"chickadee"/)
  put('parrot.jpg', 'a.jpg')
  await run.until(/"label":"macaw"/)
  put('bird.jpg', 'b.jpg')
  await run.until(/"label":"macaw"[^]*"label":"chickadee"/)
  rmSync(join(box, 'a.jpg'))
  rmSync(join(box, 'b.jpg'))
  await run.until(/(the folder holds none|none of the pictures).*trying again/)
  put('parrot.jpg', 'c.jpg')
  await run.until(/the camera is back/)
  run.kill('SIGINT')
  expect(await run.ended).toBe(130)
}, 60_000)

describe('a real RTSP server', () => {
  const startServer = async (port: number): Promise<Running> => {
    const server = launch('/usr/bin/python3', [join(projectRoot, 'test/camera/rtsp-server.py'), String(port), still])
    await server.until(/ready/)
    return server
  }

  it('gives labels; when it is killed the camera is lost, and comes back with it', async () => {
    const port = await freePort()
    const server = await startServer(port)
    const run = gapcam(['run', `rtsp://user:secret@127.0.0.1:${port}/bird`, ...settings])
    await run.until(/"label":"chickadee"/)
    server.kill('SIGKILL')
    await server.ended
    await run.until(/trying again/)
    await startServer(port)
    await run.until(/the camera is back/, 60_000)
    run.kill('SIGINT')
    expect(await run.ended).toBe(130)
    expect(`${run.stdout()}${run.stderr()}`).not.toContain('secret')
  }, 90_000)
})

describe('an RTSP server that wants a password', () => {
  it('is let in with a new one when the file of it was replaced meanwhile', async () => {
    const port = await freePort()
    const [password, file] = [join(folder, 'password'), join(folder, 'guarded.yaml')]
    const start = async (secret: string): Promise<Running> => {
      writeFileSync(password, `${secret}\n`, { mode: 0o600 })
      const server = launch('/usr/bin/python3', [
        join(projectRoot, 'test/camera/rtsp-server.py'),
        String(port),
        still,
        'viewer',
        secret,
      ])
      await server.until(/ready/)
      return server
    }
    writeFileSync(
      file,
      `cameras: [{ id: gate, source: 'rtsp://127.0.0.1:${port}/bird', username: viewer, passwordFile: ${password} }]\n`,
    )
    const before = await start('first-secret')
    const run = gapcam(['run', '--config', file, ...settings])
    await run.until(/"label":"chickadee"/)
    before.kill('SIGKILL')
    await before.ended
    await start('other-secret')
    await run.until(/the camera is back/, 60_000)
    const stranger = gapcam(['run', `rtsp://viewer:first-secret@127.0.0.1:${port}/bird`, ...settings])
    expect(await stranger.ended).toBe(3)
    expect(stranger.stderr()).toMatch(/401[^]*\nCheck the user and the password of the camera\.\n/)
    run.kill('SIGINT')
    expect(await run.ended).toBe(130)
    expect(`${run.stdout()}${run.stderr()}`).not.toMatch(/first-secret|other-secret/)
  }, 90_000)
})

describe('MJPEG over HTTP', () => {
  let server: Server
  const open = new Set<ServerResponse>()
  let port = 0

  const serve = (): Promise<void> =>
    new Promise((resolve) => {
      server = createServer((_, response) => {
        open.add(response)
        response.writeHead(200, { 'content-type': 'multipart/x-mixed-replace; boundary=frame' })
        const jpeg = readFileSync(still)
        const timer = setInterval(() => {
          response.write(`--frame\r\ncontent-type: image/jpeg\r\ncontent-length: ${jpeg.length}\r\n\r\n`)
          response.write(jpeg)
          response.write('\r\n')
        }, 50)
        response.on('close', () => clearInterval(timer))
      }).listen(port, '127.0.0.1', () => {
        port = (server.address() as AddressInfo).port
        resolve()
      })
    })
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      for (const response of open) response.destroy()
      server.close(() => resolve())
    })

  it('gives labels, and recovers when the server comes back', async () => {
    await serve()
    const run = gapcam(['run', `http://127.0.0.1:${port}/stream`, ...settings])
    await run.until(/"label":"chickadee"/)
    await stop()
    await run.until(/trying again/)
    await serve()
    await run.until(/the camera is back/, 60_000)
    run.kill('SIGINT')
    expect(await run.ended).toBe(130)
    await stop()
  }, 90_000)
})

it('a GStreamer pipeline is a camera', async () => {
  const run = gapcam(['run', 'gst:videotestsrc', ...settings, '--frames', '8'])
  expect(await run.ended, run.stderr()).toBe(0)
  expect(run.stderr()).toMatch(/^8 frames classified/m)
})

it('a program that ends before its first picture is an error at the start; one that is waited for is never said to be back', async () => {
  const source = 'gst:no-such-element'
  const run = gapcam(['run', source, ...settings])
  expect(await run.ended, run.stderr()).toBe(3)
  expect(run.stderr()).toMatch(/no element "no-such-element"[^]*before it delivered a picture/)
  const waiting = gapcam(['run', source, ...settings, '--set', 'waitForCameras=true', '--log-level', 'debug'])
  // The second attempt, so that there was one to be back from.
  await waiting.until(/(trying again[^]*){2}/)
  waiting.kill('SIGINT')
  expect(await waiting.ended).toBe(130)
  expect(waiting.stderr().match(/"level":"warn".*trying again/g)).toHaveLength(1)
  expect(waiting.stderr()).not.toMatch(/is back|^camera {3}/m)
  expect(waiting.stderr()).toMatch(/ 0 camera recoveries/)
})

it('a camera that ends soon after every start is opened again ever more seldom', async () => {
  const camera = join(folder, 'flapping.mkv')
  execFileSync('ffmpeg', ['-v', 'error', '-i', video, '-frames:v', '1', '-c:v', 'rawvideo', camera])
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
  // A pause is taken in steps of a second: the third is of two seconds, less a quarter at most.
  const pauses = stages
    .join()
    .split('opening the camera')
    .map((between) => between.split('pausing').length - 1)
  expect(Math.max(...pauses)).toBeGreaterThan(1)
}, 60_000)

it('test:// carries the true label of what it shows', async () => {
  const camera = openCamera('test://?fps=100', {})
  const { signal } = new AbortController()
  await camera.open(signal)
  const frame = await camera.next(signal)
  expect(frame).toMatchObject({ width: 640, height: 480, format: 'rgb24', truth: 'chickadee' })
  await camera.close()
})

describe('children', () => {
  it('end with us, even when we are killed', async () => {
    const run = gapcam(['run', video, '--loop', ...settings])
    await run.until(/"label"/)
    expect(childrenOf(run.pid).map(({ name }) => name)).toEqual(['ffmpeg'])
    const [child] = childrenOf(run.pid)
    run.kill('SIGKILL')
    await run.ended
    await until(() => hasEnded(child!.pid), 'ffmpeg to end')
  })

  it('end with us while they still wait for a server that says nothing', async () => {
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

  it('are gone when the camera is closed, and a slow reader gets the newest frame with drops counted, in memory that does not grow', async () => {
    const port = await freePort()
    const server = launch('/usr/bin/python3', [join(projectRoot, 'test/camera/rtsp-server.py'), String(port), still])
    await server.until(/ready/)
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
    // However many frames there are, they lie in the same few buffers.
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
