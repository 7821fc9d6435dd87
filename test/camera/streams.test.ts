/** Cameras that are another program's: a video file, a real RTSP server, MJPEG over HTTP, GStreamer. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openCamera } from '../../src/camera/sources.js'
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
  execFileSync('ffmpeg', ['-v', 'error', '-loop', '1', '-framerate', '10', '-t', '3', '-i', still, '-pix_fmt', 'yuv420p', video])
})
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The processes below one of ours, by their command names. */
function childrenOf(pid: number): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const [, comm, , parent] = /^\d+ \((.*)\) (\S) (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? []
      return Number(parent) === pid ? [comm!] : []
    } catch {
      return [] // it has ended meanwhile
    }
  })
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

  it('that is cut short or no video is said to be so', async () => {
    const run = gapcam(['run', join(projectRoot, 'package.json'), ...settings])
    expect(await run.ended).toBe(3)
    expect(run.stderr()).toMatch(/package\.json/)
  })
})

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

describe('MJPEG over HTTP', () => {
  let server: Server
  const open = new Set<ServerResponse>()
  let port = 0

  const serve = (): Promise<void> => new Promise((resolve) => {
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
  const stop = (): Promise<void> => new Promise((resolve) => {
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
    expect(childrenOf(run.pid)).toContain('ffmpeg')
    const [child] = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && existsSync(`/proc/${name}/stat`)).filter((name) => {
      try {
        return new RegExp(`\\) \\S ${run.pid} `).test(readFileSync(`/proc/${name}/stat`, 'utf8'))
      } catch {
        return false
      }
    })
    run.kill('SIGKILL')
    await run.ended
    await until(() => !existsSync(`/proc/${child}`) || /\) Z /.test(readFileSync(`/proc/${child}/stat`, 'utf8')), 'ffmpeg to end')
  })

  it('are gone when the camera is closed, and a slow reader gets the newest frame with drops counted', async () => {
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
    await camera.close()
    expect(childrenOf(process.pid)).not.toContain('ffmpeg')
  }, 60_000)
})
