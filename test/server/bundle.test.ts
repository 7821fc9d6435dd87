/** A candidate on the page of a real node: it is compared, serves, and is rolled back. The browser is Debian's Chromium. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeBundle } from '../bundle/bundles.js'
import { endAll, gapcam, type Running } from '../process.js'
import { freePort } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'
import { hasChromium, launchChromium } from './chromium.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-page-bundle-'))
const env = { GAPCAM_STATE_DIR: join(folder, 'state') }
const patient = { timeout: 30_000 }
let run: Running
let port: number

interface State {
  readonly state: string
  readonly shadow: { readonly compared: number; readonly pictures: readonly { readonly number: number }[] } | null
}
const state = async (): Promise<State> => (await (await fetch(`http://127.0.0.1:${port}/api/bundle`)).json()) as State

beforeAll(async () => {
  // A small network of other labels in the place of the model that comes with gapcam: they never agree.
  const { file } = await makeBundle(folder, { name: 'efficientnet-lite0', version: '2.0.0' })
  const installing = gapcam(['model', 'install', file, '--shadow'], { env })
  expect(await installing.ended, installing.stderr()).toBe(0)
  port = await freePort()
  const shadow = ['--set', 'models={shadow: {every: 1, budget: 1}}', '--set', `page.port=${port}`]
  const camera = `cameras=[{id: cam0, source: ${join(projectRoot, 'models/photos')}, loop: true, fps: 5}]`
  run = gapcam(['run', '--json', '--broker', 'none', ...shadow, '--set', camera], { env })
  await run.until(/^page {5}(http:\/\/\S+)$/m)
}, 60_000)
afterAll(async () => {
  await endAll()
  rmSync(folder, { recursive: true, force: true })
})

it('the API shows the comparison, and pictures on which the labels differ', async () => {
  await expect.poll(async () => (await state()).shadow?.pictures.length, patient).toBeGreaterThan(0)
  const { state: phase, shadow } = await state()
  expect(phase).toBe('shadow')
  expect(shadow).toMatchObject({ agreed: 0, failed: 0, objection: null })
  const picture = await fetch(`http://127.0.0.1:${port}/api/bundle/pictures/${shadow!.pictures[0]!.number}`)
  expect(picture.headers.get('content-type')).toBe('image/jpeg')
  expect(Buffer.from(await picture.arrayBuffer()).subarray(0, 2)).toEqual(Buffer.from([0xff, 0xd8]))
  expect((await fetch(`http://127.0.0.1:${port}/api/bundle/pictures/99`)).status).toBe(404)
  expect((await fetch(`http://127.0.0.1:${port}/api/bundle/pictures/..%2Fpointer.json`)).status).toBe(400)
})

describe.skipIf(!hasChromium)("in Chromium (skipped where Debian's chromium is not installed)", () => {
  let browser: Browser
  let page: Page
  beforeAll(async () => {
    browser = await launchChromium()
    page = await browser.newPage({ viewport: { width: 390, height: 844 } })
    await page.goto(`http://127.0.0.1:${port}/`)
  })
  afterAll(() => browser.close())

  it('a candidate shows agreement, time, changed labels and a picture; it serves, and is rolled back', async () => {
    const panel = page.locator('section.bundle')
    await panel.getByRole('heading', { name: 'A new model is compared' }).waitFor(patient)
    await panel.getByText(/^0\.0 % of \d+ pictures?$/).waitFor(patient)
    await panel.getByText(/ ms, the present model \d+\.\d ms$/).waitFor(patient)
    expect(await panel.locator('li').first().textContent()).toMatch(/^.+ → .+: \d+$/)
    const image = panel.locator('figure img').first()
    await expect
      .poll(() => image.evaluate((element) => (element as unknown as { naturalWidth: number }).naturalWidth), patient)
      .toBeGreaterThan(0)

    await panel.getByRole('button', { name: 'Let it serve' }).click()
    await panel.getByRole('heading', { name: 'A new model is on probation' }).waitFor(patient)
    await run.until(/another bundle is to serve[\s\S]*page {5}http/)
    await expect
      .poll(
        () =>
          state()
            .then(({ state: phase }) => phase)
            .catch(() => null),
        patient,
      )
      .toBe('probation')

    await panel.getByRole('button', { name: 'Roll back' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click()
    await panel.waitFor({ state: 'hidden', ...patient })
    const list = gapcam(['model', 'list', '--json'], { env })
    expect(await list.ended).toBe(0)
    expect(JSON.parse(list.stdout())).toMatchObject([{ name: 'efficientnet-lite0', phase: 'settled', serving: null }])
  }, 90_000)
})
