/** An MJPEG camera over HTTP that repeats one picture is frozen; when its picture changes, the label comes back. */
import { readFileSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { endAll, gapcam } from '../process.js'
import { projectRoot } from '../shared.js'

/** Two pictures of a bird that differ by a little noise. */
let pictures: readonly Buffer[]
let isMoving = true
let server: Server
const streams = new Set<ServerResponse>()

beforeAll(async () => {
  const bird = readFileSync(join(projectRoot, 'models/photos/bird.jpg'))
  pictures = await Promise.all(
    [1, 1.02].map((brightness) => sharp(bird).resize(320, 240).modulate({ brightness }).jpeg().toBuffer()),
  )
  server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'multipart/x-mixed-replace; boundary=frame' })
    streams.add(response)
    response.on('close', () => streams.delete(response))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
let sent = 0
const sending = setInterval(() => {
  const picture = pictures?.[isMoving ? sent++ % 2 : 0]
  if (!picture) return
  for (const stream of streams)
    stream.write(
      Buffer.concat([
        Buffer.from(`--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ${picture.length}\r\n\r\n`),
        picture,
        Buffer.from('\r\n'),
      ]),
    )
}, 100)
afterEach(endAll)
afterAll(() => {
  clearInterval(sending)
  for (const stream of streams) stream.destroy()
  server.close()
})

it('its label is withdrawn as frozen and settles again', async () => {
  const { port } = server.address() as AddressInfo
  const run = gapcam(
    ['run', `http://127.0.0.1:${port}/stream`, '--json', '--broker', 'none', '--set', 'page.enabled=false'].concat([
      '--set',
      'lens.frozenAfterMs=2000',
    ]),
  )
  await run.until(/"label":"chickadee"/, 60_000)
  isMoving = false
  await run.until(/"label":"unknown"[^\n]*"reason":"frozen"/, 60_000)
  isMoving = true
  await run.until(/"reason":"frozen"[^]*"label":"chickadee"/, 60_000)
  run.kill('SIGTERM')
  expect(await run.ended).toBe(143)
  expect(run.stderr()).not.toMatch(/trying again/)
}, 200_000)
