/** Teaching on the page in a real Chromium: capture, a wrong label that is found, undo; and the review of pictures. */
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { GalleryState } from '../../src/server/gallery-messages.js'
import type { LiveState } from '../../src/server/messages.js'
import type { TeachStatus } from '../../src/server/teach-messages.js'
import { endAll } from '../process.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'
import { hasChromium, launchChromium } from './chromium.js'
import { startPage, type RunningPage } from './running.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-teach-browser-'))
const scene = join(folder, 'scene.png')
const random = new Random(7)
const contexts: BrowserContext[] = []
const faults: string[] = []
const desktop = { viewport: { width: 1280, height: 900 } }
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }
const patient = { timeout: 20_000 }
let server: RunningPage
let browser: Browser

/** A bar in front of noise. */
function bar(thing: 'lying' | 'standing'): Promise<Buffer> {
  const at = 34 + Math.floor(random.next() * 8)
  const data = Uint8Array.from({ length: 96 * 96 * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % 96, Math.floor(i / 288)]
    const along = thing === 'lying' ? y : x
    const isBar = along > at && along < at + 20
    return (isBar ? [220, 60, 40] : [70, 90, 110])[i % 3]! + Math.floor(random.next() * 20)
  })
  return sharp(data, { raw: { width: 96, height: 96, channels: 3 } })
    .png()
    .toBuffer()
}

const show = async (thing: 'lying' | 'standing'): Promise<void> => put(await bar(thing))

/** What the camera shows at present: the bar is red, and only a lying one reaches the left border. */
async function shown(): Promise<'lying' | 'standing'> {
  const jpeg = await (await server.get('/api/cameras/cam0/picture.jpg')).arrayBuffer()
  const { data, info } = await sharp(jpeg).raw().toBuffer({ resolveWithObject: true })
  const row = (48 * info.width + 4) * info.channels
  return data[row]! > data[row + 2]! + 50 ? 'lying' : 'standing'
}

function put(picture: Buffer): void {
  writeFileSync(join(folder, 'fresh.png'), picture)
  renameSync(join(folder, 'fresh.png'), scene)
}

/** A photograph, a little differently cut each time. */
const photograph = (name: string): Promise<Buffer> =>
  sharp(join(projectRoot, `models/photos/${name}.jpg`))
    .resize(110, 110, { fit: 'fill' })
    .extract({ left: Math.floor(random.next() * 14), top: Math.floor(random.next() * 14), width: 96, height: 96 })
    .png()
    .toBuffer()

async function open(tab: string, options: Parameters<Browser['newContext']>[0]): Promise<Page> {
  const context = await browser.newContext(options)
  contexts.push(context)
  const page = await context.newPage()
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (/Content Security Policy|Trusted/i.test(message.text())) faults.push(message.text())
  })
  await page.goto(`${server.url}/#${tab}`)
  return page
}

const path = '/api/teach/cam0%2Fgate'
const status = async (): Promise<TeachStatus> => (await (await server.get(path)).json()) as TeachStatus
const counts = async (): Promise<Record<string, number>> =>
  Object.fromEntries((await status()).states.map(({ state, pictures }) => [state, pictures]))
const label = async (): Promise<string | undefined> =>
  ((await (await server.get('/api/state')).json()) as LiveState).cameras[0]!.zones[0]?.label

async function nameState(page: Page, name: string): Promise<void> {
  await page.getByRole('textbox', { name: 'New state' }).fill(name)
  await page.getByRole('textbox', { name: 'New state' }).press('Enter')
}
const stateButton = (page: Page, name: string): Locator =>
  page.getByRole('button', { name: new RegExp(`^Teach ${name}, `) })

describe.skipIf(!hasChromium)("in Chromium (skipped where Debian's chromium is not installed)", () => {
  beforeAll(async () => {
    await show('lying')
    const config = join(folder, 'gapcam.yaml')
    writeFileSync(
      config,
      [
        `model: ${join(projectRoot, 'models/convnet-gap.onnx')}`,
        'inputSize: "32"',
        'threads: 1',
        `cameras: [{ id: cam0, source: ${JSON.stringify(scene)}, loop: true, holdMs: 50, zones: [{ id: gate, region: [0, 0, 1, 1] }] }]`,
        'policy: { consecutive: 2, smoothingMs: 100 }',
        'collector: { perMinute: 60 }',
        '',
      ].join('\n'),
    )
    ;[server, browser] = await Promise.all([
      startPage(['--config', config], { GAPCAM_STATE_DIR: join(folder, 'state') }),
      launchChromium(),
    ])
  })
  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close()
  })
  afterAll(async () => {
    await browser.close()
    await endAll()
    rmSync(folder, { recursive: true, force: true })
  })

  it('two buttons that are pressed while the scene changes teach two states', { timeout: 90_000 }, async () => {
    const page = await open('teach', phone)
    await page.getByText('Nothing is taught here yet.').waitFor(patient)
    for (const name of ['Save the pictures (ZIP)', 'Save the model (ONNX)', 'Undo'])
      expect(await page.getByRole('button', { name }).isDisabled(), name).toBe(true)
    await nameState(page, 'unknown')
    await page.getByText('choose another one').waitFor(patient)
    await nameState(page, 'W'.repeat(64))
    await stateButton(page, 'W+').waitFor(patient)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(phone.viewport.width)
    for (const [state, thing] of [
      ['down', 'lying'],
      ['up', 'standing'],
    ] as const) {
      await nameState(page, state)
      for (let n = 1; n <= 4; n++) {
        await show(thing)
        await expect.poll(shown, patient).toBe(thing)
        await stateButton(page, state).tap()
        await expect.poll(async () => (await counts())[state], patient).toBe(n)
      }
    }
    await expect.poll(label, patient).toBe('up')
    await show('lying')
    await expect.poll(label, patient).toBe('down')
    await page.getByText('Your states answer here.').waitFor(patient)
    await expect.poll(() => page.locator('.taught-group .thumb').count(), patient).toBe(8)
    await page.locator('.goodness .label', { hasText: '%' }).waitFor(patient)
    const heading = await page.locator('.goodness').getByRole('columnheader', { name: 'down' }).boundingBox()
    expect(heading!.height, 'a short name takes one line').toBeLessThan(50)
  })

  it('holding a button takes a picture every second, and undo takes the last one back', async () => {
    const page = await open('teach', desktop)
    const before = (await counts())['down']!
    await stateButton(page, 'down').hover()
    await page.mouse.down()
    // Equal pictures would count once.
    const next = async (): Promise<number | undefined> => {
      await show('lying')
      return (await counts())['down']
    }
    await expect.poll(next, { ...patient, interval: 300 }).toBeGreaterThanOrEqual(before + 2)
    await page.mouse.up()
    await page.getByText('Your states answer here.').waitFor(patient)
    const held = (await counts())['down']!
    await page.getByRole('button', { name: 'Undo' }).click()
    await expect.poll(async () => (await counts())['down'], patient).toBeLessThan(held)
  })

  it('a picture under the wrong state is found, and one press moves it', { timeout: 60_000 }, async () => {
    const page = await open('teach', desktop)
    const files = async (thing: 'lying' | 'standing', n: number) =>
      Promise.all(
        Array.from({ length: n }, async (_, i) => ({
          name: `${thing}${i}.png`,
          mimeType: 'image/png',
          buffer: await bar(thing),
        })),
      )
    const add = (state: string): Locator => page.getByLabel(`Add files to ${state}`)
    await add('up').setInputFiles(await files('standing', 4))
    await expect.poll(async () => (await counts())['up'], patient).toBe(8)
    const down = (await counts())['down']!
    await add('down').setInputFiles([
      ...(await files('standing', 1)),
      { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no picture') },
    ])
    await page.getByText('1 file is no picture or too large').waitFor(patient)
    await expect.poll(async () => (await counts())['down'], patient).toBe(down + 1)
    const doubt = page.locator('.doubts li').first()
    await doubt.getByText('looks like up').waitFor(patient)
    await doubt.getByRole('button', { name: 'Move to up' }).click()
    await expect.poll(counts, patient).toEqual({ down, up: 9 })
    await expect.poll(() => page.locator('.doubts li').count(), patient).toBe(0)
    await page.locator('.taught-group', { hasText: 'up' }).locator('.thumb').first().click()
    await page.getByRole('button', { name: 'Remove' }).click()
    await expect.poll(counts, patient).toEqual({ down, up: 8 })
  })

  it('a state is renamed and deleted, and undo brings it back', { timeout: 60_000 }, async () => {
    const page = await open('teach', desktop)
    const dialog = page.getByRole('dialog')
    const down = (await counts())['down']!
    const rename = async (from: string, to: string): Promise<void> => {
      await page.getByRole('button', { name: `Rename ${from}` }).click()
      await dialog.getByLabel('New name').fill(to)
      await dialog.getByRole('button', { name: 'Rename' }).click()
    }
    await rename('up', 'raised')
    await expect.poll(counts, patient).toEqual({ down, raised: 8 })
    await page.locator('.goodness').getByRole('columnheader', { name: 'raised' }).waitFor(patient)
    await page.getByRole('button', { name: 'Delete raised' }).click()
    await dialog.getByRole('button', { name: 'Delete' }).click()
    await expect.poll(counts, patient).toEqual({ down })
    await page.getByText('Two states are needed.').waitFor(patient)
    await page.getByRole('button', { name: 'Undo' }).click()
    await expect.poll(counts, patient).toEqual({ down, raised: 8 })
    await page.getByText('The last change is taken back').waitFor(patient)
    await rename('raised', 'up')
    await expect.poll(counts, patient).toEqual({ down, up: 8 })
    await page.locator('.goodness').getByRole('columnheader', { name: 'up' }).waitFor(patient)
  })

  it('a label that is wrong is corrected, and its picture is taught at once', async () => {
    const page = await open('live', desktop)
    const up = (await counts())['up']!
    await show('standing')
    await expect.poll(label, patient).toBe('up')
    await page.getByRole('button', { name: 'This is wrong' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('gate is called up.').waitFor(patient)
    await dialog.getByLabel('What is it really?').fill('up')
    await dialog.getByRole('checkbox', { name: 'Teach it too' }).waitFor(patient)
    await dialog.getByRole('button', { name: 'Save the picture' }).click()
    await expect.poll(async () => (await counts())['up'], patient).toBe(up + 1)
    await page.getByText('Saved, and taught as up').waitFor(patient)
  })

  it('what is collected is labelled in groups, and the last label is taken back', { timeout: 60_000 }, async () => {
    const page = await open('review', phone)
    await page.getByRole('button', { name: 'Collect pictures' }).click()
    const state = async (): Promise<{ pictures: number; labelled: number }> =>
      (await (await server.get('/api/review')).json()) as { pictures: number; labelled: number }
    for (let i = 0; (await state()).pictures < 2 && i < 40; i++) {
      await show(i % 2 === 0 ? 'standing' : 'lying')
      await page.waitForTimeout(400)
    }
    await page.getByRole('button', { name: 'Stop collecting' }).click()
    await page.getByRole('button', { name: 'Look again' }).click()
    const before = (await state()).labelled
    const group = page.locator('.review-group').first()
    await group.locator('.thumb').first().waitFor(patient)
    const all = await page.locator('.review-group').count()
    await group.getByRole('textbox', { name: 'Another label' }).fill('gate')
    await group.getByRole('button', { name: 'Label', exact: true }).click()
    await expect.poll(async () => (await state()).labelled, patient).toBeGreaterThan(before)
    await expect.poll(() => page.locator('.review-group').count(), patient).toBe(all - 1)
    await page.getByRole('button', { name: 'Teach these pictures' }).click()
    await expect.poll(async () => (await counts())['gate'], patient).toBeGreaterThan(0)
    await page.getByRole('button', { name: 'Take the last label back' }).click()
    await expect.poll(async () => (await state()).labelled, patient).toBe(before)
  })

  it('a gallery is enrolled, answers for a zone, and forgets a name with its files', { timeout: 60_000 }, async () => {
    const page = await open('galleries', phone)
    const names = async (): Promise<Record<string, number>> => {
      const [gallery] = (await (await server.get('/api/galleries')).json()) as GalleryState[]
      return Object.fromEntries((gallery?.names ?? []).map(({ name, pictures }) => [name, pictures]))
    }
    await page.getByRole('textbox', { name: 'Gallery' }).fill('pets')
    await page.getByRole('combobox', { name: 'Zone', exact: true }).selectOption('cam0/gate')
    await page.getByRole('textbox', { name: 'Name' }).fill('Lia')
    put(await photograph('cat'))
    await page.getByRole('button', { name: 'Enrol the present picture' }).click()
    await expect.poll(names, patient).toEqual({ Lia: 1 })
    for (const name of ['Stan', 'Stanley']) {
      await page.getByRole('textbox', { name: 'Name' }).fill(name)
      const buffers = await Promise.all([photograph('parrot'), photograph('parrot')])
      const files = buffers.map((buffer, i) => ({ name: `${i}.png`, mimeType: 'image/png', buffer }))
      await page.getByLabel('Enrol files').setInputFiles(files)
      await expect.poll(names, patient).toMatchObject({ [name]: 2 })
    }
    const card = page.locator('.gallery-card')
    await card.locator('[data-name="Stanley"]').getByRole('button', { name: 'Rename' }).click()
    await page.getByLabel('New name').fill('Stan')
    await page.getByRole('dialog').getByRole('button', { name: 'Rename' }).click()
    await page.getByRole('button', { name: 'Join' }).click()
    await expect.poll(names, patient).toEqual({ Lia: 1, Stan: 4 })
    await card.getByText(/A name needs a cosine of \d/).waitFor(patient)
    await card.getByRole('combobox', { name: 'Let a zone answer' }).selectOption('cam0/gate')
    put(await photograph('parrot'))
    await card.getByText('cam0/gate: Stan').waitFor(patient)
    // What the zone was taught is still there.
    expect(await status()).toMatchObject({ head: 'cam0_gate', isServing: false })
    expect(await counts()).toMatchObject({ up: expect.any(Number) })

    const files = (): string[] => readdirSync(join(folder, 'state'), { recursive: true, encoding: 'utf8' })
    const ofStan = (await (await server.get('/api/galleries')).json()) as GalleryState[]
    const { ids } = ofStan[0]!.names.find(({ name }) => name === 'Stan')!
    expect(files().filter((file) => ids.some((id) => file.endsWith(`pets/pictures/${id}`)))).toHaveLength(4)
    await card.locator('[data-name="Stan"]').getByRole('button', { name: 'Forget' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Forget' }).click()
    await page.getByText('Stan is forgotten; nothing of it had left this device').waitFor(patient)
    expect(await names()).toEqual({ Lia: 1 })
    expect(files().filter((file) => ids.some((id) => file.includes(id)))).toEqual([])
    await expect.poll(label, patient).not.toBe('Stan')
  })

  it('no page threw an error or violated its security policy', () => {
    expect(faults).toEqual([])
  })
})
