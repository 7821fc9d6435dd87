#!/usr/bin/env node
// Takes the picture of docs/video.md: runs gapcam on the scene of clips and opens its page in Debian's Chromium when a
// photograph passes. Prints what comes over MQTT meanwhile.
//
//   npm run build && node scripts/docs/video-page.mjs
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import mqtt from 'mqtt'
import { chromium } from 'playwright-core'
import sharp from 'sharp'
import { freePort, startPage } from '../bench/loopback.mjs'
import { chromiumOptions } from './chromium.mjs'

const docs = fileURLToPath(new URL('../../docs', import.meta.url))
const state = mkdtempSync(join(tmpdir(), 'gapcam-shots-'))
const port = await freePort()
const camera = [{ id: 'hall', source: 'test://?scene=clips' }]
const settings = { cameras: JSON.stringify(camera), 'page.port': 0, stateDir: state, 'mqtt.port': port }
const flags = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])
const { run, url } = await startPage(['--node', 'workshop', '--broker', 'embedded', '--task', 'video', ...flags])
const client = mqtt.connect(`mqtt://127.0.0.1:${port}`)
client.on('message', (topic, payload) => console.log(topic, String(payload)))
await client.subscribeAsync('gapcam/workshop/hall/label')
const browser = await chromium.launch(chromiumOptions)
try {
  const page = await (
    await browser.newContext({ viewport: { width: 1180, height: 720 }, reducedMotion: 'reduce' })
  ).newPage()
  await page.goto(url)
  await page.waitForTimeout(20_000)
  await page.getByRole('img', { name: /^Picture of hall: passes/ }).waitFor({ timeout: 90_000 })
  await page.waitForTimeout(300)
  const shot = await page.screenshot()
  await sharp(shot).jpeg({ quality: 82 }).toFile(join(docs, 'video-page.jpg'))
} finally {
  await browser.close()
  await client.endAsync()
  run.kill('SIGINT')
  await new Promise((resolve) => run.once('close', resolve))
  rmSync(state, { recursive: true, force: true })
}
