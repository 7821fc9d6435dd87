#!/usr/bin/env node
// Takes the screenshots of docs/page.md: runs gapcam on the photographs of this repository and opens its page in Debian's
// Chromium, as on a phone in dark colours and on a desktop in light ones.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { startPage } from '../bench/loopback.mjs'
import { chromiumOptions } from './chromium.mjs'

if (process.argv.includes('--help')) {
  console.log(
    'node scripts/docs/page-screenshots.mjs [FOLDER]: writes page-phone.png and page-desktop.png (default: into docs)',
  )
  process.exit(0)
}
const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = process.argv[2] ?? join(root, 'docs')
const state = mkdtempSync(join(tmpdir(), 'gapcam-shots-'))
const camera = JSON.stringify([{ id: 'bench', source: join(root, 'models/photos'), loop: true, holdMs: 6000, fps: 10 }])
const settings = { cameras: camera, 'page.port': 0, stateDir: state }
const { run, url } = await startPage([
  '--node',
  'workshop',
  ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
])
const browser = await chromium.launch(chromiumOptions)
try {
  // The timeline needs some history.
  await new Promise((resolve) => setTimeout(resolve, 60_000))
  for (const [name, width, height, colorScheme, scale] of [
    ['phone', 390, 844, 'dark', 2],
    ['desktop', 1360, 860, 'light', 1],
  ]) {
    const page = await (
      await browser.newContext({
        viewport: { width, height },
        deviceScaleFactor: scale,
        colorScheme,
        reducedMotion: 'reduce',
      })
    ).newPage()
    await page.goto(url)
    await page.getByRole('img', { name: /^Picture of bench: (?!unknown)/ }).waitFor()
    await page.waitForFunction(
      () =>
        document.querySelector('rect.focus:not([hidden])') &&
        Number(document.querySelector('.score')?.textContent) > 0.6,
    )
    await page.waitForTimeout(2500)
    await page.screenshot({ path: join(folder, `page-${name}.png`), fullPage: true })
  }
} finally {
  await browser.close()
  run.kill('SIGINT')
  await new Promise((resolve) => run.once('close', resolve))
  rmSync(state, { recursive: true, force: true })
}
