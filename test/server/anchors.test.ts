/** Regions that follow a real MJPEG camera which is pushed, turned away and brought back; over the page's API. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Region } from '../../src/pixels/spec.js'
import { draw } from '../lens/blots.js'
import { projectRoot } from '../shared.js'
import { startPage, type RunningPage } from './running.js'

/** What the camera shows now. */
let jpeg: Buffer
let camera: Server
const folder = mkdtempSync(join(tmpdir(), 'gapcam-anchors-'))
const running: RunningPage[] = []

async function show(dx: number, dy: number, { seed = 3, width = 320, height = 180 } = {}): Promise<void> {
  const { pixels } = draw(dx, dy, 1, seed)
  jpeg = await sharp(pixels as Uint8Array, { raw: { width: 320, height: 180, channels: 1 } })
    .resize(width, height, { fit: 'fill' })
    .jpeg()
    .toBuffer()
}

beforeAll(async () => {
  await show(0, 0)
  camera = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'multipart/x-mixed-replace; boundary=frame' })
    const send = (): void => {
      response.write(`--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ${jpeg.length}\r\n\r\n`)
      response.write(jpeg)
      response.write('\r\n')
    }
    send()
    const timer = setInterval(send, 100)
    response.on('close', () => clearInterval(timer))
  })
  await new Promise<void>((resolve) => camera.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  for (const page of running) await stop(page)
  camera.closeAllConnections()
  camera.close()
  rmSync(folder, { recursive: true, force: true })
})

function stop({ run }: RunningPage): Promise<number | NodeJS.Signals> {
  run.kill('SIGTERM')
  return run.ended
}

const region = { x: 0.3, y: 0.3, width: 0.3, height: 0.4 }

async function start(): Promise<RunningPage> {
  const config = join(folder, 'gapcam.yaml')
  writeFileSync(
    config,
    `model: ${join(projectRoot, 'models/convnet-gap.onnx')}
policy: { threshold: 0, hysteresis: 0, margin: 0, consecutive: 1 }
cameras:
  - id: yard
    source: http://127.0.0.1:${(camera.address() as AddressInfo).port}/
    zones:
      - { id: gate, region: { x: 0.3, y: 0.3, w: 0.3, h: 0.4 } }
      - { id: sky, region: { x: 0, y: 0, w: 1, h: 0.2 }, anchor: false }
`,
  )
  const page = await startPage(['--config', config, '--set', `stateDir=${folder}`, '--set', 'node=n'])
  running.push(page)
  return page
}

interface Zone {
  readonly id: string
  readonly label: string
  readonly reason: string | null
  readonly seenRegion: Region | null
  readonly frames: number
}

async function zoneOf({ get }: RunningPage, name: string): Promise<Zone> {
  const { cameras } = (await (await get('/api/state')).json()) as { cameras: { zones: Zone[] }[] }
  return cameras[0]!.zones.find(({ id }) => id === name)!
}
const anchorOf = async ({ get }: RunningPage): Promise<{ state: string; shift: { x: number; y: number } }> =>
  (await (await get('/api/cameras/yard/anchor')).json()) as never

/** Asks until it is true, for half a minute at most. */
async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (await isTrue()) return
    await wait(100)
  }
  throw new Error(`waited in vain for ${what}`)
}

const isAt = async (page: RunningPage, x: number, y: number): Promise<boolean> => {
  const { seenRegion } = await zoneOf(page, 'gate')
  return seenRegion !== null && Math.abs(seenRegion.x - x) < 0.006 && Math.abs(seenRegion.y - y) < 0.006
}

it('a region follows its camera, also over a restart and another resolution, and is never in a wrong place', async () => {
  const page = await start()
  await until('a held view', async () => (await anchorOf(page)).state === 'held')
  expect(await isAt(page, region.x, region.y)).toBe(true)

  await show(20, -9)
  await until('the region to follow', () => isAt(page, region.x + 20 / 320, region.y - 9 / 180))
  expect((await anchorOf(page)).shift).toEqual({ x: expect.closeTo(20 / 320, 2), y: expect.closeTo(-9 / 180, 2) })
  expect(await zoneOf(page, 'sky')).toMatchObject({ seenRegion: { x: 0, y: 0, width: 1, height: 0.2 } })

  await show(20, -9, { width: 640, height: 360 })
  const { frames } = await zoneOf(page, 'gate')
  await until('looks at the larger picture', async () => (await zoneOf(page, 'gate')).frames > frames + 3)
  expect(await isAt(page, region.x + 20 / 320, region.y - 9 / 180)).toBe(true)
  expect(await stop(page)).toBe(143)

  await show(-10, 5)
  const again = await start()
  await until('the region after a restart', () => isAt(again, region.x - 10 / 320, region.y + 5 / 180))
  expect(readFileSync(join(folder, 'n/view-yard.json'), 'utf8').length).toBeLessThan(100_000)
}, 60_000)

it('a camera that shows another view has zones that say so, until the view is back or another one is accepted', async () => {
  const page = running.at(-1)!
  await show(0, 0, { seed: 8 })
  await until('unknown', async () => (await zoneOf(page, 'gate')).reason === 'moved')
  expect((await anchorOf(page)).state).toBe('moved')
  expect(await zoneOf(page, 'sky')).toMatchObject({ reason: null })
  const [reference, present] = await Promise.all(
    ['reference', 'present'].map(async (name) => {
      const answer = await page.get(`/api/cameras/yard/anchor/${name}.jpg`)
      const { data, info } = await sharp(Buffer.from(await answer.arrayBuffer()))
        .raw()
        .toBuffer({ resolveWithObject: true })
      expect([info.width, info.height]).toEqual([160, 90])
      return data
    }),
  )
  expect(reference!.equals(present!)).toBe(false)

  await show(4, 0)
  await until('a label again', async () => (await zoneOf(page, 'gate')).reason === null)

  await show(0, 0, { seed: 8 })
  await until('unknown again', async () => (await zoneOf(page, 'gate')).reason === 'moved')
  const { frames } = await zoneOf(page, 'gate')
  const accepted = await page.write('POST', '/api/cameras/yard/anchor/accept', {})
  expect(await accepted.json()).toEqual({ camera: 'yard', same: false })
  await until('a label in the new view', async () => (await zoneOf(page, 'gate')).frames > frames)
  expect(await zoneOf(page, 'gate')).toMatchObject({ reason: null })
  expect(await isAt(page, region.x, region.y)).toBe(true)
  const nowhere = await page.get('/api/cameras/none/anchor')
  expect(nowhere.status).toBe(404)
}, 60_000)
