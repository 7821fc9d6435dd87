/** Teaching a zone of a running node over HTTP: a camera of pictures that change, states, a third thing, undo, a restart. */
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openClassifier } from '../../src/classifier.js'
import { frameOf } from '../../src/frame.js'
import { decodeFile } from '../../src/pixels/decode.js'
import { teachStatus, type TeachStatus } from '../../src/server/teach-messages.js'
import { endAll } from '../process.js'
import { projectRoot } from '../shared.js'
import { startPage, type RunningPage } from './running.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-teach-page-'))
const scene = join(folder, 'scene.png')
const config = join(folder, 'gapcam.yaml')
let page: RunningPage
let seed = 0
/** Other tests run at the same time. */
const patience = { timeout: 30_000 }

/** A bar that lies or stands in front of noise; a third thing is a photograph. */
async function show(thing: 'lying' | 'standing' | 'photograph'): Promise<void> {
  const data = Uint8Array.from({ length: 96 * 96 * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % 96, Math.floor(i / 288)]
    const isBar = thing === 'lying' ? y > 38 && y < 58 : x > 38 && x < 58
    seed = (seed * 1103515245 + 12345) & 0x7fffffff
    return (isBar ? [220, 60, 40] : [70, 90, 110])[i % 3]! + ((seed >> 16) % 20)
  })
  const fresh = join(folder, 'fresh.png')
  if (thing === 'photograph') {
    const photo = join(projectRoot, 'models/photos/parrot.jpg')
    writeFileSync(fresh, await sharp(photo).resize(96, 96, { fit: 'fill' }).png().toBuffer())
  } else
    writeFileSync(
      fresh,
      await sharp(data, { raw: { width: 96, height: 96, channels: 3 } })
        .png()
        .toBuffer(),
    )
  renameSync(fresh, scene)
}

beforeAll(async () => {
  await show('lying')
  writeFileSync(
    config,
    [
      `model: ${join(projectRoot, 'models/convnet-gap.onnx')}`,
      'inputSize: "32"',
      'threads: 1',
      `cameras: [{ id: cam0, source: ${JSON.stringify(scene)}, loop: true, holdMs: 20, zones: [{ id: gate, region: [0, 0, 1, 1] }] }]`,
      'policy: { consecutive: 2, smoothingMs: 100 }',
      '',
    ].join('\n'),
  )
  page = await startPage(['--config', config], { GAPCAM_STATE_DIR: folder })
})
afterAll(async () => {
  await endAll()
  rmSync(folder, { recursive: true, force: true })
})

const path = '/api/teach/cam0%2Fgate'
const status = async (): Promise<TeachStatus> => teachStatus.parse(await (await page.get(path)).json())
async function write(method: string, below: string, body: unknown = {}): Promise<TeachStatus> {
  const response = await page.write(method, `${path}${below}`, body)
  const answer: unknown = await response.json()
  expect(response.status, JSON.stringify(answer)).toBe(200)
  return teachStatus.parse(answer)
}
interface SeenZone {
  readonly label: string
  readonly reason: string | null
  readonly frames: number
}
const zone = async (): Promise<SeenZone> => {
  const { cameras } = (await (await page.get('/api/state')).json()) as { cameras: { zones: SeenZone[] }[] }
  return cameras[0]!.zones[0]!
}
const settled = async (): Promise<TeachStatus> => {
  await expect.poll(async () => (await status()).isFitting, patience).toBe(false)
  return status()
}
/** The zone has seen the scene: its pictures come from frames after this. */
async function present(thing: 'lying' | 'standing' | 'photograph'): Promise<void> {
  await settled()
  await show(thing)
  const frames = (await zone()).frames
  await expect.poll(async () => (await zone()).frames, patience).toBeGreaterThan(frames + 4)
}
const wrongState = async (state: string): Promise<number> =>
  (await page.write('POST', `${path}/capture`, { state })).status

it('a zone that was not taught has no head', async () => {
  expect(await status()).toMatchObject({ head: 'cam0_gate', isServing: false, states: [], pictures: [], report: null })
  expect((await page.get('/api/teach/cam0%2Fdoor')).status).toBe(404)
  const model = await page.get(`${path}/model.onnx`)
  expect(model.status).toBe(400)
  // A hint about the command line would help nobody here.
  expect(await model.json()).toEqual({
    error: { code: 'USAGE', message: 'head cam0_gate has not been fitted yet', hint: '' },
  })
})

it('labels of its own arrive when two states were shown five times each, and a third thing is unknown', async () => {
  for (let i = 0; i < 5; i++)
    for (const thing of ['lying', 'standing'] as const) {
      await present(thing)
      await write('POST', '/capture', { state: thing })
    }
  const { report, states, pictures } = await settled()
  expect(states).toEqual([
    { state: 'lying', pictures: 5 },
    { state: 'standing', pictures: 5 },
  ])
  expect(report).toMatchObject({ accuracy: 1, enough: true, doubts: [] })
  expect(pictures.map(({ state, label }) => [state, label])).toEqual(pictures.map(({ state }) => [state, state]))
  for (const thing of ['lying', 'standing'] as const) {
    await show(thing)
    await expect.poll(zone, patience).toMatchObject({ label: thing })
  }
  await show('photograph')
  await expect.poll(zone, patience).toMatchObject({ label: 'unknown', reason: 'novel' })
})

it('a picture under the wrong state is found, and undoing takes it back', async () => {
  const before = await status()
  const wrong = before.pictures.find(({ state }) => state === 'lying')!
  await write('PUT', `/pictures/${wrong.id}`, { state: 'standing' })
  const after = await settled()
  expect(after.report!.doubts.map(({ id, called }) => [id, called])).toEqual([[wrong.id, 'lying']])
  expect(after.pictures.find(({ id }) => id === wrong.id)!.doubt).toMatchObject({ called: 'lying' })
  const undone = await write('POST', '/undo')
  expect(undone.pictures).toEqual(before.pictures)
  expect(undone.report).toEqual(before.report)
})

it('pictures are uploaded, shown small and removed', async () => {
  const data = readFileSync(join(projectRoot, 'models/photos/cat.jpg')).toString('base64')
  const added = await write('POST', '/pictures', { state: 'cat', pictures: [{ data, atMs: 5 }] })
  const cat = added.pictures.find(({ state }) => state === 'cat')!
  const small = await page.get(`${path}/pictures/${cat.id}/thumbnail.jpg`)
  const { width, height } = await sharp(Buffer.from(await small.arrayBuffer())).metadata()
  expect(Math.max(width, height)).toBe(160)
  const again = await page.write('POST', `${path}/pictures`, { state: 'lying', pictures: [{ data }] })
  expect(await again.text()).toContain('the same picture is taught as cat already')
  const gone = await write('DELETE', `/pictures/${cat.id}`)
  expect(gone.states.map(({ state }) => state)).toEqual(['lying', 'standing'])
  await settled()
})

it('a state gets another name, is joined and removed, and undoing brings it back', async () => {
  const counts = ({ states }: TeachStatus): unknown => states.map(({ state, pictures }) => [state, pictures])
  await write('PUT', '/states/lying', { state: 'a/b' })
  const renamed = await settled()
  expect(counts(renamed)).toEqual([
    ['a/b', 5],
    ['standing', 5],
  ])
  expect(Object.keys(renamed.report!.confusion)).toEqual(['a/b', 'standing'])
  expect(counts(await write('DELETE', '/states/a%2Fb'))).toEqual([['standing', 5]])
  expect(counts(await write('POST', '/undo'))).toEqual(counts(renamed))
  expect(counts(await write('PUT', '/states/a%2Fb', { state: 'standing' }))).toEqual([['standing', 10]])
  expect(counts(await write('POST', '/undo'))).toEqual(counts(renamed))
  const reserved = await page.write('PUT', `${path}/states/a%2Fb`, { state: 'unknown' })
  expect(reserved.status).toBe(400)
  const gone = await page.write('DELETE', `${path}/states/gone`, {})
  expect(gone.status).toBe(400)
  expect(await gone.text()).toContain('head cam0_gate has no state gone')
  await write('PUT', '/states/a%2Fb', { state: 'lying' })
  await settled()
  // A zone without a label that its rules name could not answer.
  const dwell = (values: unknown): Promise<Response> =>
    page.write('PUT', '/api/cameras/cam0/zones/gate', { values: { dwell: values } })
  expect((await dwell({ lying: '1s' })).status).toBe(200)
  for (const refused of [
    await page.write('PUT', `${path}/states/lying`, { state: 'down' }),
    await page.write('DELETE', `${path}/states/lying`, {}),
  ]) {
    expect(refused.status).toBe(400)
    expect(await refused.text()).toContain('dwell or transitions of zone cam0/gate name lying')
  }
  expect((await dwell(null)).status).toBe(200)
})

it.each([
  ['no state', ''],
  ['the label of what is no state', 'unknown'],
  ['300 characters', 'x'.repeat(300)],
  ['a control character', 'a\nb'],
])('%s is refused as a state', async (_, state) => {
  expect(await wrongState(state)).toBe(400)
})

it('a broken picture is refused and a state may be called like a path', async () => {
  const broken = await page.write('POST', `${path}/pictures`, { state: 'x', pictures: [{ data: 'bm8gcGljdHVyZQ==' }] })
  expect(broken.status).toBe(400)
  expect(await broken.text()).toContain('picture that was given')
  const data = readFileSync(join(projectRoot, 'models/photos/cat.jpg')).toString('base64')
  await write('POST', '/pictures', { state: '../../🐈', pictures: [{ data }] })
  await settled()
  const zip = Buffer.from(await (await page.get(`${path}/pictures.zip`)).arrayBuffer())
  expect(zip.includes('%2E.%2F..%2F')).toBe(true)
  await write('POST', '/undo')
})

it('the head is still there after a restart, and is one ONNX model outside', async () => {
  const before = await settled()
  page.run.kill('SIGTERM')
  await page.run.ended
  page = await startPage(['--config', config], { GAPCAM_STATE_DIR: folder })
  expect(await settled()).toEqual(before)
  await show('standing')
  await expect.poll(zone, patience).toMatchObject({ label: 'standing' })
  const file = join(folder, 'out.onnx')
  writeFileSync(file, Buffer.from(await (await page.get(`${path}/model.onnx`)).arrayBuffer()))
  const classifier = await openClassifier({ model: file, threads: 1 })
  const outcome = await classifier.classify(frameOf(await decodeFile(scene)))
  expect(outcome.ok && outcome.prediction.top[0]!.label).toBe('standing')
  await classifier.close()
})
