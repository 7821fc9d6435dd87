#!/usr/bin/env node
// Takes the screenshots of docs/page.md and docs/zones.md: runs gapcam on the photographs of this repository and opens its page in
// Debian's Chromium, as on a phone in dark colours and on a desktop in light ones. Those of docs/teach.md: scripts/try/teach.mjs.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import sharp from 'sharp'
import { startPage } from '../bench/loopback.mjs'
import { chromiumOptions } from './chromium.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const photos = join(root, 'models/photos')

if (process.argv.includes('--help')) {
  console.log(
    'node scripts/docs/page-screenshots.mjs [FOLDER]: writes page- and zones- with phone.png and desktop.png (default: into docs)',
  )
  process.exit(0)
}
const folder = process.argv[2] ?? join(root, 'docs')

const screens = [
  { name: 'phone', viewport: { width: 390, height: 844 }, colorScheme: 'dark', deviceScaleFactor: 2 },
  { name: 'desktop', viewport: { width: 1360, height: 860 }, colorScheme: 'light', deviceScaleFactor: 1 },
]

/** Runs gapcam with one camera while `use` works with the address of its page. */
async function withPage(id, camera, use) {
  const state = mkdtempSync(join(tmpdir(), 'gapcam-shots-'))
  const settings = {
    cameras: JSON.stringify([{ id, source: photos, loop: true, fps: 10, ...camera }]),
    'page.port': 0,
    stateDir: state,
  }
  const flags = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])
  const { run, url } = await startPage(['--node', 'workshop', '--broker', 'none', ...flags])
  try {
    await use(url)
  } finally {
    run.kill('SIGINT')
    await new Promise((resolve) => run.once('close', resolve))
    rmSync(state, { recursive: true, force: true })
  }
}

async function shoot(browser, url, what, prepare) {
  for (const { name, ...screen } of screens) {
    const page = await (await browser.newContext({ ...screen, reducedMotion: 'reduce' })).newPage()
    await page.goto(url)
    await prepare(page)
    const shot = await page.screenshot({ fullPage: true })
    await sharp(shot)
      .png({ palette: true, quality: 90 })
      .toFile(join(folder, `${what}-${name}.png`))
    await page.context().close()
  }
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const browser = await chromium.launch(chromiumOptions)
try {
  await withPage('bench', { holdMs: 6000 }, async (url) => {
    // The timeline needs some history.
    await wait(60_000)
    await shoot(browser, url, 'page', async (page) => {
      await page.getByRole('img', { name: /^Picture of bench: (?!unknown)/ }).waitFor()
      await page.waitForFunction(
        () =>
          document.querySelector('rect.focus:not([hidden])') &&
          Number(document.querySelector('.label-column > .verdict .score')?.textContent) > 0.6,
      )
      await page.waitForTimeout(2500)
    })
  })

  const leaf = [
    [0.04, 0.5],
    [0.4, 0.56],
    [0.46, 0.92],
    [0.08, 0.94],
  ]
  const zones = [
    { id: 'leaf', name: 'Leaf', region: leaf },
    { id: 'perch', name: 'Perch', region: { x: 0.24, y: 0.1, w: 0.66, h: 0.72 } },
  ]
  await withPage('yard', { source: join(photos, 'dragonfly.jpg'), zones }, async (url) => {
    await wait(10_000)
    await shoot(browser, `${url}/#zones`, 'zones', async (page) => {
      await page.locator('.zone-row', { hasText: 'Perch' }).click()
      await page.waitForFunction(() => Number(document.querySelector('.zone-card .score')?.textContent) > 0.5)
      await page.waitForTimeout(2500)
    })
  })
} finally {
  await browser.close()
}
