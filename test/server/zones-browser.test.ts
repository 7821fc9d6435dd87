/** Zones on the page in a real Chromium: drawn, dragged, renamed and removed, by mouse, touch and keyboard. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { CameraState, LiveState, ZoneState } from '../../src/server/messages.js'
import { endAll } from '../process.js'
import { projectRoot } from '../shared.js'
import { hasChromium, launchChromium } from './chromium.js'
import { startPage, type RunningPage } from './running.js'

let server: RunningPage
let browser: Browser
let state: string
const contexts: BrowserContext[] = []
const faults: string[] = []
const desktop = { viewport: { width: 1280, height: 900 } }
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }
const patient = { timeout: 20_000 }

/** A small model and few frames: the browser has the processor. */
const light = ['--model', join(projectRoot, 'models/convnet-gap.onnx'), '--fps', '5']
const start = (): Promise<RunningPage> => startPage(['test://', ...light], { GAPCAM_STATE_DIR: state })

async function open(options: Parameters<Browser['newContext']>[0] = desktop, { url } = server): Promise<Page> {
  const context = await browser.newContext(options)
  contexts.push(context)
  const page = await context.newPage()
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (/Content Security Policy|Trusted/i.test(message.text())) faults.push(message.text())
  })
  await page.goto(`${url}/#zones`)
  await page.getByRole('img', { name: /^Picture of cam0: / }).waitFor(patient)
  return page
}

const camera = async (): Promise<CameraState> =>
  ((await (await server.get('/api/state')).json()) as LiveState).cameras[0]!
const zones = async (): Promise<readonly ZoneState[]> => (await camera()).zones
const zone = async (id: string): Promise<ZoneState | undefined> => (await zones()).find((each) => each.id === id)
const set = (id: string, values: unknown): Promise<Response> =>
  server.write('PUT', `/api/cameras/cam0/zones/${id}`, { values })
const button = (page: Page, name: string | RegExp): Locator => page.getByRole('button', { name, exact: true })

/** A place of the picture in the window. */
async function at(page: Page, x: number, y: number): Promise<[number, number]> {
  const box = (await page.locator('.live-view').boundingBox())!
  return [box.x + box.width * x, box.y + box.height * y]
}

async function drag(page: Page, from: readonly [number, number], to: readonly [number, number]): Promise<void> {
  await page.mouse.move(...(await at(page, ...from)))
  await page.mouse.down()
  await page.mouse.move(...(await at(page, (from[0] + to[0]) / 2, (from[1] + to[1]) / 2)), { steps: 3 })
  await page.mouse.move(...(await at(page, ...to)), { steps: 3 })
  await page.mouse.up()
}

async function nameIt(page: Page, name: string): Promise<void> {
  const dialog = page.getByRole('dialog', { name: 'New zone' })
  await dialog.getByRole('textbox', { name: 'Name' }).fill(name)
  await dialog.getByRole('button', { name: 'Add the zone' }).click()
}

const select = (page: Page, name: string): Promise<void> => page.locator('.zone-row', { hasText: name }).click()

async function removeAll(): Promise<void> {
  for (const { id } of await zones()) await server.write('DELETE', `/api/cameras/cam0/zones/${id}`, {})
}

describe.skipIf(!hasChromium)("in Chromium (skipped where Debian's chromium is not installed)", () => {
  beforeAll(async () => {
    state = mkdtempSync(join(tmpdir(), 'gapcam-zones-browser-'))
    ;[server, browser] = await Promise.all([start(), launchChromium()])
  })
  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close()
    await removeAll()
  })
  afterAll(async () => {
    await browser.close()
    await endAll()
    rmSync(state, { recursive: true, force: true })
  })

  it('a rectangle that is drawn becomes a zone, is there after a restart, and is removed', async () => {
    const page = await open()
    await button(page, 'Draw a rectangle').click()
    await drag(page, [0.2, 0.3], [0.5, 0.7])
    await nameIt(page, 'Garden gate')
    await expect.poll(() => zone('garden-gate'), patient).toMatchObject({ name: 'Garden gate' })
    expect((await zone('garden-gate'))!.region).toEqual({
      x: expect.closeTo(0.2, 1),
      y: expect.closeTo(0.3, 1),
      width: expect.closeTo(0.3, 1),
      height: expect.closeTo(0.4, 1),
    })
    await page.locator('.zone-tag', { hasText: 'Garden gate' }).waitFor(patient)
    // Its question is asked at once: the tag has its label, or says why there is none.
    await expect.poll(() => page.locator('.zone-tag strong').textContent(), patient).toMatch(/\S/)
    server.run.kill('SIGINT')
    await server.run.ended
    server = await start()
    await page.goto(`${server.url}/#zones`)
    await page.locator('.zone-row', { hasText: 'Garden gate' }).click(patient)
    await button(page, 'Remove').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await expect.poll(() => zones(), patient).toEqual([])
    await expect.poll(() => page.locator('.zone-tag').count(), patient).toBe(0)
  })

  it('a polygon is drawn by a press for each corner, on a phone', async () => {
    const page = await open(phone)
    await button(page, 'Draw a polygon').tap()
    for (const [x, y] of [
      [0.2, 0.2],
      [0.7, 0.25],
      [0.6, 0.8],
    ] as const) {
      await page.touchscreen.tap(...(await at(page, x, y)))
    }
    await button(page, 'Close').tap()
    await nameIt(page, 'Bin')
    await expect.poll(() => zone('bin'), patient).toBeDefined()
    expect((await zone('bin'))!.region).toEqual([
      [expect.closeTo(0.2, 1), expect.closeTo(0.2, 1)],
      [expect.closeTo(0.7, 1), expect.closeTo(0.25, 1)],
      [expect.closeTo(0.6, 1), expect.closeTo(0.8, 1)],
    ])
    const { scrollWidth, clientWidth } = await page.locator('html').evaluate((html) => {
      const { scrollWidth, clientWidth } = html as unknown as { scrollWidth: number; clientWidth: number }
      return { scrollWidth, clientWidth }
    })
    expect(scrollWidth).toBe(clientWidth)
  })

  it('a region is dragged as a whole and by a corner', async () => {
    await set('bin', { region: { x: 0.3, y: 0.3, width: 0.2, height: 0.2 } })
    const page = await open()
    await select(page, 'bin')
    await drag(page, [0.35, 0.45], [0.55, 0.55])
    await expect
      .poll(async () => (await zone('bin'))!.region, patient)
      .toMatchObject({
        x: expect.closeTo(0.5, 1),
        y: expect.closeTo(0.4, 1),
        width: 0.2,
        height: 0.2,
      })
    await drag(page, [0.7, 0.6], [0.9, 0.9])
    await expect
      .poll(async () => (await zone('bin'))!.region, patient)
      .toMatchObject({
        x: expect.closeTo(0.5, 1),
        width: expect.closeTo(0.4, 1),
        height: expect.closeTo(0.5, 1),
      })
  })

  it('the keyboard alone places, moves, shapes and removes a zone', async () => {
    const page = await open()
    await button(page, 'Draw a polygon').press('Enter')
    await button(page, 'Place it in the middle').press('Enter')
    await page.getByRole('dialog').getByRole('textbox').press('Enter')
    await expect.poll(() => zone('zone-1'), patient).toBeDefined()
    const move = button(page, /^Move Zone 1/)
    await move.press('ArrowRight')
    await move.press('Shift+ArrowDown')
    await expect.poll(async () => (await zone('zone-1'))!.region, patient).toContainEqual([0.355, 0.4])
    await button(page, /^Corner 1\./).press('Delete')
    await expect.poll(async () => (await zone('zone-1'))!.region, patient).toHaveLength(3)
    await button(page, 'Add a corner after corner 1').press('Enter')
    await expect.poll(async () => (await zone('zone-1'))!.region, patient).toHaveLength(4)
    // Escape takes back what is not stored yet.
    await move.press('Shift+ArrowLeft')
    const before = (await zone('zone-1'))!.region
    await move.press('Escape')
    await move.press('Delete')
    expect((await zone('zone-1'))!.region).toEqual(before)
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).press('Enter')
    await expect.poll(() => zones(), patient).toEqual([])
  })

  it('the settings of a zone are changed, and a fault is told beside its field', async () => {
    await set('bin', { region: { x: 0.3, y: 0.3, width: 0.2, height: 0.2 }, policy: { margin: 0.1 } })
    const page = await open()
    await select(page, 'bin')
    const settings = page.getByRole('form', { name: 'Settings' })
    const save = settings.getByRole('button', { name: 'Save' })
    await settings.getByRole('combobox', { name: 'When it looks' }).selectOption('every')
    await settings.getByRole('textbox', { name: 'Interval' }).fill('soon')
    await save.click()
    const trigger = settings.locator('.field', { hasText: 'When it looks' })
    await trigger.getByRole('alert').waitFor(patient)
    expect(await trigger.getByRole('alert').textContent()).toMatch(/must be a time with its unit/)
    await settings.getByRole('textbox', { name: 'Interval' }).fill('2s')
    await settings.getByRole('textbox', { name: 'Name', exact: true }).fill('Blue bin')
    await settings.getByRole('textbox', { name: 'Name in topics' }).fill('blue-bin')
    await settings.getByRole('spinbutton', { name: 'Frames in a row' }).fill('4')
    await settings.getByRole('button', { name: 'Add a label' }).click()
    await settings.getByRole('combobox', { name: 'Label' }).fill('class 7')
    await settings.getByRole('textbox', { name: 'Time', exact: true }).fill('30s')
    await settings.getByRole('button', { name: 'Add a pair' }).click()
    await settings.getByRole('combobox', { name: 'First label' }).fill('class 7')
    await settings.getByRole('combobox', { name: 'Next label' }).fill('class 3')
    for (const name of ['First label', 'Next label']) {
      const box = await settings.getByRole('combobox', { name }).boundingBox()
      expect(box!.width, name).toBeGreaterThan(80)
    }
    await settings.getByRole('combobox', { name: 'When the camera moves' }).selectOption('the region stays')
    await settings.getByRole('spinbutton', { name: 'Evidence inside the region' }).fill('0.6')
    await save.click()
    await expect
      .poll(() => zone('blue-bin'), patient)
      .toMatchObject({
        name: 'Blue bin',
        values: {
          trigger: { every: '2s' },
          policy: { margin: 0.1, consecutive: 4 },
          dwell: { 'class 7': '30s' },
          transitions: { 'class 7': ['class 3'] },
          anchor: false,
          evidence: 0.6,
        },
      })
    // Until the page hears of the new id, its card is about no zone.
    await page.locator('.zone-tag', { hasText: 'Blue bin' }).waitFor(patient)
    await page.locator('.zone-card', { hasText: 'Blue bin' }).waitFor(patient)
    await page.getByRole('slider', { name: 'Threshold' }).last().fill('0.45')
    await expect.poll(async () => (await zone('blue-bin'))!.threshold, patient).toBe(0.45)
    await button(page, 'Pause zone').click()
    await expect.poll(async () => (await zone('blue-bin'))!.isEnabled, patient).toBe(false)
    await page.locator('.zone-tag', { hasText: 'paused' }).waitFor(patient)
  })

  it('what is changed elsewhere meanwhile is taken over, or told where both change the same', async () => {
    await set('bin', { region: { x: 0.3, y: 0.3, width: 0.2, height: 0.2 } })
    const page = await open()
    await select(page, 'bin')
    const settings = page.getByRole('form', { name: 'Settings' })
    const name = settings.getByRole('textbox', { name: 'Name', exact: true })
    await name.fill('Mine')
    await set('bin', { name: 'Theirs', trigger: { every: '7s' } })
    await settings.getByText('Changed elsewhere meanwhile, to: Theirs').waitFor(patient)
    expect(await settings.getByRole('textbox', { name: 'Interval' }).inputValue()).toBe('7s')
    expect(await name.inputValue()).toBe('Mine')
    await settings.getByRole('button', { name: 'Save my values' }).click()
    await expect.poll(() => zone('bin'), patient).toMatchObject({ name: 'Mine', values: { trigger: { every: '7s' } } })
  })

  it('a region that was changed elsewhere during a drag is not overwritten without a question', async () => {
    await set('bin', { region: { x: 0.3, y: 0.3, width: 0.2, height: 0.2 } })
    const page = await open()
    await select(page, 'bin')
    await page.mouse.move(...(await at(page, 0.35, 0.45)))
    await page.mouse.down()
    await page.mouse.move(...(await at(page, 0.45, 0.5)), { steps: 3 })
    await set('bin', { region: { x: 0.1, y: 0.1, width: 0.2, height: 0.2 } })
    await page.mouse.up()
    await page.getByText(/^bin was changed elsewhere while you moved it/).waitFor(patient)
    expect((await zone('bin'))!.region).toMatchObject({ x: 0.1 })
    await button(page, 'Mine').click()
    await expect.poll(async () => (await zone('bin'))!.region, patient).toMatchObject({ x: expect.closeTo(0.4, 1) })
  })

  it('twenty zones fit into the list, and a press on the live picture opens one', async () => {
    const twenty = Array.from({ length: 20 }, (_, i) => ({
      id: `z${i + 1}`,
      region: { x: (i % 5) / 5, y: Math.floor(i / 5) / 4, width: 0.18, height: 0.2 },
      trigger: 'command',
    }))
    const cameras = JSON.stringify([{ id: 'cam0', source: 'test://', fps: 5, zones: twenty }])
    const many = await startPage(['--set', `cameras=${cameras}`, ...light.slice(0, 2)])
    const page = await open(phone, many)
    await expect.poll(() => page.locator('.zone-row').count(), patient).toBe(20)
    await page.getByRole('link', { name: 'Live' }).tap()
    await page.locator('.zone-shapes polygon').nth(12).dispatchEvent('click')
    await page.getByRole('region', { name: 'Zone', exact: true }).getByRole('heading', { name: 'z13' }).waitFor(patient)
    expect(page.url()).toContain('#zones')
  })

  it('where zones say that the camera has moved, both views are shown, and the present one is accepted', async () => {
    await set('bin', { region: { x: 0.3, y: 0.3, width: 0.2, height: 0.2 } })
    const page = await open()
    const accepted: (string | null)[] = []
    // Only the browser is told: that cameras notice it is tested without one.
    await page.routeWebSocket(/api\/live/, (socket) => {
      const real = socket.connectToServer()
      socket.onMessage((message) => real.send(message))
      real.onMessage((message) => {
        const isState = typeof message === 'string'
        socket.send(isState ? message.replace(/("key":"cam0\/bin".*?"reason":)(null|"\w+")/, '$1"moved"') : message)
      })
    })
    await page.route(/anchor\/(reference|present)\.jpg/, async (route) => {
      const picture = await server.get('/api/cameras/cam0/picture.jpg?side=320')
      await route.fulfill({ contentType: 'image/jpeg', body: Buffer.from(await picture.arrayBuffer()) })
    })
    await page.route(/anchor\/accept/, async (route) => {
      accepted.push(route.request().postData())
      await route.fulfill({ json: {} })
    })
    await page.reload()
    await page.getByRole('img', { name: 'The view in which the regions were drawn' }).waitFor(patient)
    await page.getByRole('img', { name: 'The present view' }).waitFor(patient)
    await button(page, 'Accept new view').click()
    await expect.poll(() => accepted, patient).toEqual(['{}'])
    await button(page, 'Draw again').click()
    await button(page, /^Move bin/).waitFor(patient)
    expect(accepted).toEqual(['{}', '{}'])
  })

  it('no page threw an error or violated its security policy', () => {
    expect(faults).toEqual([])
  })
})
