/** Network cameras through the whole program: a real RTSP server, with and without a password, and MJPEG over HTTP. */
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { endAll, gapcam, type Running } from '../process.js'
import { freePort } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'
import { makeClips, settings, startRtspServer, type Clips } from './clips.js'

let clips: Clips

beforeAll(async () => {
  clips = await makeClips()
})
afterEach(endAll)
afterAll(() => clips.remove())

describe('a real RTSP server', () => {
  it('gives labels, also at another size; the camera is lost when the server is killed, and is back when it is', async () => {
    const port = await freePort()
    const [still, other] = [join(clips.folder, 'now.jpg'), join(clips.folder, 'other.jpg')]
    copyFileSync(clips.still, still)
    const server = await startRtspServer(port, still)
    const run = gapcam(['run', `rtsp://user:secret@127.0.0.1:${port}/bird`, ...settings])
    await run.until(/"label":"chickadee"/)
    // The stream changes its resolution and goes on: the pictures keep the size that they were opened with.
    await sharp(join(projectRoot, 'models/photos/cat.jpg')).resize(960, 640, { fit: 'cover' }).jpeg().toFile(other)
    renameSync(other, still)
    await run.until(/"label":"Egyptian cat"/)
    expect(run.stderr()).not.toContain('trying again')
    server.kill('SIGKILL')
    await server.ended
    await run.until(/trying again/)
    await startRtspServer(port, clips.still)
    await run.until(/the camera is back/, 60_000)
    run.kill('SIGINT')
    expect(await run.ended).toBe(130)
    expect(`${run.stdout()}${run.stderr()}`).not.toContain('secret')
  }, 90_000)
})

describe('an RTSP server with a password', () => {
  it('is opened again, for all its zones, with the new password after its file was replaced', async () => {
    const port = await freePort()
    const [password, file] = [join(clips.folder, 'password'), join(clips.folder, 'guarded.yaml')]
    const start = async (secret: string): Promise<Running> => {
      writeFileSync(password, `${secret}\n`, { mode: 0o600 })
      return startRtspServer(port, clips.still, 'viewer', secret)
    }
    writeFileSync(
      file,
      `cameras: [{ id: gate, source: 'rtsp://127.0.0.1:${port}/bird', username: viewer, passwordFile: ${password},
  zones: [{ id: bird }, { id: corner, region: { x: 0, y: 0, w: 0.3, h: 0.3 }, trigger: motion, policy: { threshold: 0, margin: 0 } }] }]\n`,
    )
    const before = await start('first-secret')
    const run = gapcam(['run', '--config', file, ...settings])
    await run.until(/"camera":"gate\/bird","label":"chickadee"/)
    await run.until(/"camera":"gate\/corner","label":"(?!unknown)/)
    before.kill('SIGKILL')
    await before.ended
    await start('other-secret')
    await run.until(/the camera is back/, 60_000)
    await run.until(/"label":"unknown"(?:.*\n)*.*"camera":"gate\/bird","label":"chickadee"/)
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
        const jpeg = readFileSync(clips.still)
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

  it('gives labels, and the camera is back when the server is', async () => {
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
