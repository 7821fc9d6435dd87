/** The page in a real Chromium, used as on a phone and on a desktop. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import sharp, { type Sharp } from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { endAll, gapcam } from '../process.js'
import { hasChromium, launchChromium } from './chromium.js'
import { startPage, type RunningPage } from './running.js'

let server: RunningPage
let browser: Browser
let state: string
const contexts: BrowserContext[] = []
const faults: string[] = []

/** A small picture of one brightness. */
const grey = (level: number): Sharp =>
  sharp({ create: { width: 64, height: 48, channels: 3, background: { r: level, g: level, b: level } } }).png()

describe.skipIf(!hasChromium)("in Chromium (skipped where Debian's chromium is not installed)", () => {
  beforeAll(async () => {
    state = mkdtempSync(join(tmpdir(), 'gapcam-browser-'))
    ;[server, browser] = await Promise.all([startPage(['test://'], { GAPCAM_STATE_DIR: state }), launchChromium()])
  })
  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close()
  })
  afterAll(async () => {
    await browser.close()
    await endAll()
    rmSync(state, { recursive: true, force: true })
  })

  async function open(options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 390, height: 844 }, ...options })
    contexts.push(context)
    const page = await context.newPage()
    page.on('pageerror', (error) => faults.push(error.message))
    page.on('console', (message) => {
      if (/Content Security Policy|Trusted/i.test(message.text())) faults.push(message.text())
    })
    await page.goto(server.url)
    return page
  }
  const picture = (page: Page): ReturnType<Page['getByRole']> => page.getByRole('img', { name: /^Picture of cam0: / })
  const seq = async (page: Page): Promise<number> => Number(await picture(page).getAttribute('data-seq'))
  const camera = async (): Promise<{
    threshold: number
    roi: { x: number; y: number; width: number; height: number } | null
  }> =>
    ((await (await fetch(`${server.url}/api/state`)).json()) as { cameras: [{ threshold: number; roi: null }] })
      .cameras[0]
  const patient = { timeout: 20_000 }
  let clips: Promise<RunningPage> | undefined
  /** A node whose network looks at clips. */
  const video = (): Promise<RunningPage> =>
    (clips ??= startPage(['test://', '--task', 'video'], { GAPCAM_STATE_DIR: join(state, 'video') }))

  it('the picture moves, with its label and the heat map over it', async () => {
    const page = await open()
    await picture(page).waitFor(patient)
    const first = await seq(page)
    await expect.poll(() => seq(page), patient).toBeGreaterThan(first + 2)
    const pixels = (): Promise<string> =>
      page.locator('canvas.picture').evaluate((canvas) => (canvas as unknown as { toDataURL(): string }).toDataURL())
    const before = await pixels()
    expect(before.length).toBeGreaterThan(10_000)
    await expect.poll(async () => (await pixels()) !== before, patient).toBe(true)
    await expect.poll(() => page.locator('.label-column > .verdict p.label').textContent(), patient).not.toBe('unknown')
    await expect.poll(() => page.locator('.live-view canvas.heat').isVisible(), patient).toBe(true)
    expect(await page.locator('.scores ol.bars > li').count()).toBe(5)
    await expect.poll(() => page.getByRole('img', { name: /milliseconds now/ }).count(), patient).toBe(1)
  })

  it('a frozen picture stays, and continues when it is unfrozen', async () => {
    const page = await open()
    await picture(page).waitFor(patient)
    await page.getByRole('button', { name: 'Freeze' }).click()
    await page.getByText(/^Frozen at/).waitFor(patient)
    const frozen = await seq(page)
    // New states still arrive, and the picture stays.
    const uptime = (): Promise<string | null> => page.locator('dl.tiles div:last-child dd').textContent()
    const before = await uptime()
    await expect.poll(uptime, patient).not.toBe(before)
    expect(await seq(page)).toBe(frozen)
    await page.getByRole('button', { name: 'Freeze' }).click()
    await expect.poll(() => seq(page), patient).toBeGreaterThan(frozen)
  })

  it('a region drawn on the picture becomes the region of the camera', async () => {
    const page = await open({ viewport: { width: 1280, height: 900 } })
    await picture(page).waitFor(patient)
    await page.getByRole('button', { name: 'Region' }).click()
    const box = (await page.locator('.live-view').boundingBox())!
    await page.mouse.move(box.x + box.width * 0.25, box.y + box.height * 0.2)
    await page.mouse.down()
    await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.5, { steps: 4 })
    await page.mouse.move(box.x + box.width * 0.75, box.y + box.height * 0.8, { steps: 4 })
    await page.mouse.up()
    await expect
      .poll(async () => (await camera()).roi, patient)
      .toMatchObject({
        x: expect.closeTo(0.25, 1),
        y: expect.closeTo(0.2, 1),
        width: expect.closeTo(0.5, 1),
        height: expect.closeTo(0.6, 1),
      })
    await expect.poll(() => page.locator('rect.roi').isVisible(), patient).toBe(true)
    // By keyboard, in numbers.
    const left = page.getByRole('spinbutton', { name: 'Left' })
    await left.fill('10')
    await left.press('Tab')
    await expect.poll(async () => (await camera()).roi?.x, patient).toBeCloseTo(0.1)
    await page.getByRole('button', { name: 'Whole frame' }).click()
    await expect.poll(async () => (await camera()).roi, patient).toEqual({ x: 0, y: 0, width: 1, height: 1 })
    await page.getByRole('button', { name: 'Done' }).click()
    expect(await page.getByRole('form', { name: 'Region' }).isVisible()).toBe(false)
  })

  it('two pages that set one threshold both show the last value', async () => {
    const [one, two] = [await open(), await open({ viewport: { width: 1280, height: 900 } })]
    const slider = (page: Page): ReturnType<Page['getByRole']> => page.getByRole('slider', { name: 'Threshold' })
    await slider(one).fill('0.6')
    await slider(two).fill('0.45')
    await expect.poll(async () => (await camera()).threshold, patient).toBe(0.45)
    for (const page of [one, two]) await expect.poll(() => slider(page).inputValue(), patient).toBe('0.45')
    await slider(one).press('ArrowRight')
    await expect.poll(async () => (await camera()).threshold, patient).toBe(0.46)
    await expect.poll(() => slider(two).inputValue(), patient).toBe('0.46')
  })

  it('"This is wrong" keeps the picture that the person saw', async () => {
    const page = await open()
    await picture(page).waitFor(patient)
    await page.getByRole('button', { name: 'This is wrong' }).click()
    const dialog = page.getByRole('dialog', { name: 'This is wrong' })
    await dialog.getByRole('textbox').fill('a robin')
    await dialog.getByRole('textbox').press('Enter')
    await page.getByText('Saved on the device').waitFor(patient)
    const reports = (await (await fetch(`${server.url}/api/reports`)).json()) as { note: string; isExact: boolean }[]
    expect(reports).toMatchObject([{ note: 'a robin', isExact: true }])
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Snapshot' }).click(),
    ])
    expect(download.suggestedFilename()).toMatch(/^cam0-.*\.jpg$/)
  })

  it.each(['dark', 'light'] as const)(
    'every control has a name, and nothing is wider than a phone: %s',
    async (colorScheme) => {
      const page = await open({ colorScheme })
      await picture(page).waitFor(patient)
      await page.getByText('Camera controls').click()
      await page.getByText('About', { exact: true }).click()
      const nameless = await page.evaluate(() => {
        const document = (
          globalThis as unknown as {
            document: {
              querySelectorAll(selector: string): Iterable<{
                outerHTML: string
                textContent: string
                labels?: { length: number }
                getAttribute(name: string): string | null
                hasAttribute(name: string): boolean
              }>
            }
          }
        ).document
        return [...document.querySelectorAll('button, input, select, summary, [role=img], section')]
          .filter(
            (element) =>
              !element.hasAttribute('aria-label') &&
              !element.hasAttribute('aria-labelledby') &&
              !element.labels?.length &&
              element.textContent.trim() === '',
          )
          .map(({ outerHTML }) => outerHTML.slice(0, 120))
      })
      expect(nameless.filter((html) => !html.includes('class="plot"'))).toEqual([])
      expect(
        await page.evaluate(() => {
          const {
            documentElement: { scrollWidth, clientWidth },
          } = (globalThis as unknown as { document: { documentElement: { scrollWidth: number; clientWidth: number } } })
            .document
          return scrollWidth - clientWidth
        }),
      ).toBe(0)
      expect(await page.locator('[aria-live=polite]').count()).toBeGreaterThan(0)
      expect(await page.locator('html').getAttribute('lang')).toBe('en')
    },
  )

  it('the page reconnects after a restart of gapcam', async () => {
    const { run, port } = await startPage(['test://'])
    const page = await open()
    await page.goto(`http://127.0.0.1:${port}`)
    await picture(page).waitFor(patient)
    run.kill('SIGINT')
    await run.ended
    await page.getByText('Connection lost, reconnecting').waitFor(patient)
    const again = gapcam(['run', 'test://', '--json', '--broker', 'none', '--set', `page.port=${port}`])
    await again.until(/^page {5}/m)
    await page.locator('.link', { hasText: 'Live' }).waitFor(patient)
    const first = await seq(page)
    await expect.poll(() => seq(page), patient).not.toBe(first)
  })

  it('the page asks for the token, or takes it from the address', async () => {
    const token = 'a-token-of-24-characters'
    const { port } = await startPage(['test://', '--set', `page.token=${token}`])
    const page = await open()
    await page.goto(`http://127.0.0.1:${port}/`)
    await page.getByRole('textbox', { name: 'Token' }).or(page.getByLabel('Token')).last().fill(token)
    await page.getByRole('button', { name: 'Open' }).click()
    await picture(page).waitFor(patient)
    const other = await open()
    await other.goto('about:blank')
    await other.goto(`http://127.0.0.1:${port}/#token=${token}`)
    await picture(other).waitFor(patient)
    expect(other.url()).not.toContain('token')
  })

  it('heat and focus box are offered only where there are heat maps: a network over clips has none', async () => {
    const page = await open()
    const tool = (name: string): ReturnType<Page['getByRole']> =>
      page.getByRole('button', { name, includeHidden: true })
    const areOffered = (): Promise<boolean[]> =>
      Promise.all(['Heat', 'Focus box'].map((name) => tool(name).isVisible()))
    await picture(page).waitFor(patient)
    expect(await areOffered()).toEqual([true, true])
    const { url } = await video()
    await page.goto(url)
    await picture(page).waitFor(patient)
    expect(await tool('Freeze').isVisible()).toBe(true)
    await expect.poll(areOffered, patient).toEqual([false, false])
  })

  it('files are taught as clips: an animated picture and a recording; others are refused', async () => {
    const frames = Array.from({ length: 16 }, (_, i) => grey(5 * i))
    mkdirSync(join(state, 'frames'))
    for (const [i, frame] of frames.slice(0, 2).entries()) await frame.toFile(join(state, 'frames', `${i}.png`))
    const recording = join(state, 'recording.gcrec')
    const run = gapcam(['record', join(state, 'frames'), '--frames', '16', '-o', recording])
    const animated = await sharp(await Promise.all(frames.map((frame) => frame.png().toBuffer())), {
      join: { animated: true },
    })
      .gif()
      .toBuffer()
    const { url } = await video()
    const page = await open()
    await page.goto(`${url}/#teach`)
    await page.getByRole('textbox', { name: 'New state' }).fill('stays')
    await page.getByRole('textbox', { name: 'New state' }).press('Enter')
    expect(await run.ended).toBe(0)
    await page.getByLabel('Add files to stays').setInputFiles([
      { name: 'a.gif', mimeType: 'image/gif', buffer: animated },
      { name: 'b.gcrec', mimeType: '', buffer: readFileSync(recording) },
      { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no clip') },
    ])
    await page.getByText('1 file is no clip or too large').waitFor(patient)
    await page.getByText('2 clips').first().waitFor(patient)
    await expect.poll(() => page.locator('.taught-group .thumb').count(), patient).toBe(2)
  })

  it('no page threw an error or violated its security policy', () => {
    expect(faults).toEqual([])
  })
})
