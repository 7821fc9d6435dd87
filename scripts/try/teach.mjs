// Does what a new user does, in a real browser: `npm start`, a zone drawn on the picture, two buttons pressed five times each while
// the scene changes, labels on MQTT with a heat map, `unknown` at a third thing, a wrong picture found, undo, a restart, the ONNX
// file. Prints one line for each check; status 1 if one failed.
//
//   node scripts/try/teach.mjs [--pictures docs]
//
// --pictures writes the ten pictures of docs/teach.md, teach-1.webp to teach-10.webp. Needs mosquitto and Debian's chromium.
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { connectAsync } from 'mqtt'
import { chromium } from 'playwright-core'
import sharp from 'sharp'
import { chromiumOptions } from '../docs/chromium.mjs'
import { check, end, folder, gapcam, launch, makeBroker, trial, until } from './bench.mjs'
import { draw, height, place, scene, things, width } from './scene.mjs'

const { values: options } = parseArgs({ options: { pictures: { type: 'string' } } })

/** gapcam by `npm start`, with its page. */
async function start(broker) {
  const camera = JSON.stringify([{ id: 'cam0', source: scene, loop: true, fps: 10, holdMs: 50 }])
  const child = launch('npm', [
    ...['start', '--silent', '--', '--node', 'yard', '--broker', broker.url, '--set', `cameras=${camera}`],
    ...['--set', 'page.port=0', '--set', `stateDir=${join(folder, 'state')}`],
    ...['--set', 'policy.smoothingMs=200', '--set', 'collector.perMinute=60'],
  ])
  const found = await until(() => /^page {5}(http:\/\/\S+)$/m.exec(child.said), 240)
  if (!found) throw new Error(`no page: ${child.said}`)
  return { child, url: found[1] }
}

/** What the broker has said last on each topic, and when. */
async function listen({ url }) {
  const client = await connectAsync(url)
  const said = new Map()
  client.on('message', (topic, payload) => said.set(topic, { payload, atMs: performance.now() }))
  await client.subscribeAsync('gapcam/yard/#')
  const text = (topic) => said.get(`gapcam/yard/${topic}`)?.payload.toString() ?? ''
  return { client, said, text, state: () => JSON.parse(text('cam0/plate/state') || '{}') }
}

let number = 0
/** The next picture of the docs: the window of a phone, with this part of the page at its top. */
async function shoot(page, locator) {
  number++
  if (!options.pictures) return
  await locator.evaluate((element) => element.scrollIntoView({ block: 'start' }))
  await page.waitForTimeout(700)
  const shot = await page.screenshot()
  await sharp(shot)
    .resize({ width: 390 })
    .webp({ quality: 78 })
    .toFile(join(options.pictures, `teach-${number}.webp`))
}

const button = (page, name) => page.getByRole('button', { name, exact: true })
const patient = { timeout: 60_000 }

/** Draws a zone with the mouse and names it. */
async function drawZone(page, url) {
  await page.goto(`${url}/#zones`)
  await page.getByRole('img', { name: /^Picture of cam0: / }).waitFor(patient)
  await button(page, 'Draw a rectangle').click()
  const box = await page.locator('.live-view').boundingBox()
  const at = (x, y) => [box.x + box.width * x, box.y + box.height * y]
  const far = place.size
  await page.mouse.move(...at(place.x, place.y))
  await page.mouse.down()
  await page.mouse.move(...at(place.x + far / 2, place.y + far / 2), { steps: 3 })
  await page.mouse.move(...at(place.x + far, place.y + far * (width / height)), { steps: 3 })
  await page.mouse.up()
  const dialog = page.getByRole('dialog', { name: 'New zone' })
  await dialog.getByRole('textbox', { name: 'Name' }).fill('Plate')
  await dialog.getByRole('button', { name: 'Add the zone' }).click()
  await page.locator('.zone-tag', { hasText: 'Plate' }).waitFor(patient)
  check('a zone that was drawn is there', true)
  await shoot(page, page.locator('.live-view'))
}

const countOf = async (url, state) => {
  const { states } = await (await fetch(`${url}/api/teach/cam0%2Fplate`)).json()
  return states.find((each) => each.state === state)?.pictures ?? 0
}

/** Changes the scene, and waits until the zone has seen it. */
async function show(url, thing) {
  const frames = async () => (await (await fetch(`${url}/api/state`)).json()).cameras[0].zones[0].frames
  await draw(thing)
  const before = await frames()
  await until(async () => (await frames()) > before + 2, 30)
}

/** Names two states, and presses the button of each five times while the scene changes. */
async function teach(page, url) {
  await page.goto(`${url}/#teach`)
  for (const state of ['empty', 'food']) {
    const field = page.getByRole('textbox', { name: 'New state' })
    await field.fill(state)
    await field.press('Enter')
  }
  const capture = (state) => page.getByRole('button', { name: new RegExp(`^Teach ${state}, `) })
  await shoot(page, page.locator('.teach-panel'))
  for (const state of ['empty', 'food']) {
    for (let n = 1; n <= 5; n++) {
      await show(url, things[state])
      await capture(state).click()
      const isTaken = await until(async () => (await countOf(url, state)) === n, 20)
      // A press that comes while a picture is being taken is left out.
      await until(async () => (await page.locator('.is-taking').count()) === 0, 20)
      if (!isTaken) check(`press ${n} of ${state} took a picture`, false, await page.locator('.toast').textContent())
    }
    if (state === 'empty') await shoot(page, page.locator('.live-view'))
  }
  const isServing = await page
    .getByText('Your states answer here.')
    .waitFor(patient)
    .then(
      () => true,
      () => false,
    )
  check('ten presses teach two states, and they answer', isServing)
  await shoot(page, page.locator('.live-view'))
}

/** Milliseconds from a change of the scene to the label on MQTT; null: it did not come. */
async function changesTo(mqtt, thing, label) {
  await draw(things[thing])
  const startMs = performance.now()
  const came = await until(() => mqtt.text('cam0/plate/label') === label, 20)
  return came ? mqtt.said.get('gapcam/yard/cam0/plate/label').atMs - startMs : null
}

/** Labels of one's own arrive on MQTT, with a heat map, and a third thing is unknown. */
async function answers(page, mqtt) {
  for (const [thing, label] of [
    ['empty', 'empty'],
    ['food', 'food'],
    ['empty', 'empty'],
    ['food', 'food'],
  ]) {
    const ms = await changesTo(mqtt, thing, label)
    check(
      `${label} arrives on MQTT within a second`,
      ms !== null && ms < 1000,
      ms === null ? 'never' : `${Math.round(ms)} ms`,
    )
  }
  mqtt.said.delete('gapcam/yard/cam0/plate/heat')
  await mqtt.client.publishAsync('gapcam/yard/request/heat', JSON.stringify({ camera: 'cam0', zone: 'plate' }))
  const heat = await until(() => mqtt.said.get('gapcam/yard/cam0/plate/heat')?.payload, 20)
  const size = heat ? await sharp(heat).metadata() : null
  check('a heat map arrives', size?.format === 'jpeg', size ? `${size.width} x ${size.height}` : 'none')
  await shoot(page, page.locator('.goodness'))
  const ms = await changesTo(mqtt, 'other', 'unknown')
  const { reason } = mqtt.state()
  check('a third thing is unknown', ms !== null && ms < 1000, ms === null ? 'never' : `${Math.round(ms)} ms, ${reason}`)
  check('the reason is novel', reason === 'novel', reason)
  await shoot(page, page.locator('.live-view'))
}

/** A picture under the wrong state is found, one press moves it, and undo takes that back. */
async function corrects(page, url) {
  await show(url, things.food)
  await page.getByRole('button', { name: /^Teach empty, / }).click()
  const doubt = page.locator('.doubts li').first()
  const isFound = await doubt
    .getByText('looks like food')
    .waitFor(patient)
    .then(
      () => true,
      () => false,
    )
  check('a picture under the wrong state is found', isFound)
  await shoot(page, page.locator('.goodness'))
  await doubt.getByRole('button', { name: 'Move to food' }).click()
  check('one press moves it', await until(async () => (await countOf(url, 'food')) === 6, 20))
  await until(async () => (await (await fetch(`${url}/api/teach/cam0%2Fplate`)).json()).isFitting === false, 20)
  await button(page, 'Undo').click()
  check('undo takes that back', await until(async () => (await countOf(url, 'food')) === 5, 20))
  await until(async () => (await (await fetch(`${url}/api/teach/cam0%2Fplate`)).json()).isFitting === false, 20)
  await page.locator('.doubts li').first().getByRole('button', { name: 'Move to food' }).click()
  await until(async () => (await countOf(url, 'food')) === 6, 20)
  await shoot(page, page.locator('.taught-panel'))
}

/** The collector keeps what is worth a label, and one press labels a group. */
async function reviews(page, url) {
  await page.goto(`${url}/#review`)
  await button(page, 'Collect pictures').click()
  const kept = async () => (await (await fetch(`${url}/api/review`)).json()).pictures
  for (let i = 0; i < 30 && (await kept()) < 5; i++) {
    await show(url, things[['food', 'other', 'empty'][i % 3]])
    await page.waitForTimeout(500)
  }
  await button(page, 'Stop collecting').click()
  await button(page, 'Look again').click()
  const isThere = await page
    .locator('.review-group')
    .first()
    .waitFor(patient)
    .then(
      () => true,
      () => false,
    )
  check('pictures worth a label are collected and grouped', isThere, `${await kept()} pictures`)
  await shoot(page, page.locator('.review-groups').first())
}

/** A third thing gets a name in a gallery. */
async function names(page, url) {
  await page.goto(`${url}/#galleries`)
  await page.getByRole('textbox', { name: 'Gallery' }).fill('birds')
  for (const [name, thing] of [
    ['Coco', 'parrot'],
    ['Pip', 'bird'],
  ]) {
    await page.getByRole('textbox', { name: 'Name' }).fill(name)
    await page.getByRole('combobox', { name: 'Zone', exact: true }).selectOption('cam0/plate')
    for (let n = 1; n <= 2; n++) {
      await show(url, thing)
      await button(page, 'Enrol the present picture').click()
      await page.getByText(`${name} has ${n}`).waitFor(patient)
    }
  }
  check('two names are enrolled on the page', (await page.locator('.gallery-card [data-name]').count()) === 2)
  await shoot(page, page.locator('.gallery-card'))
}

/** The head is still there after a restart, and is one ONNX file for other programs. */
async function lasts(page, broker, mqtt, first) {
  await end(first.child)
  const second = await start(broker)
  const food = await changesTo(mqtt, 'food', 'food')
  const empty = await changesTo(mqtt, 'empty', 'empty')
  check('after a restart the states still answer', food !== null && empty !== null)
  await page.goto(`${second.url}/#teach`)
  await page.getByText('Your states answer here.').waitFor(patient)
  const [download] = await Promise.all([page.waitForEvent('download'), button(page, 'Save the model (ONNX)').click()])
  const model = join(folder, 'plate.onnx')
  await download.saveAs(model)
  const region = [place.x, place.y, place.size, place.size * (width / height)].map((share) => share.toFixed(3)).join()
  for (const [thing, label] of [
    ['food', 'food'],
    ['empty', 'empty'],
    ['other', 'unknown'],
  ]) {
    await draw(things[thing])
    const run = gapcam('classify', '--model', model, '--engine', 'onnxruntime', '--roi', region, '--json', scene)
    await until(() => run.exitCode !== null, 60)
    const { label: found } = JSON.parse(run.said.split('\n').find((line) => line.startsWith('{')) ?? '{}')
    check(`onnxruntime calls the ${thing} picture ${label}`, found === label, found ?? run.said.slice(-200))
  }
  await end(second.child)
}

await trial(async () => {
  process.stdout.write(`load ${loadavg()[0].toFixed(1)} on ${availableParallelism()} cores\n`)
  await draw(things.empty)
  const broker = await makeBroker()
  broker.child = broker.start()
  const mqtt = await listen(broker)
  const first = await start(broker)
  const browser = await chromium.launch(chromiumOptions)
  try {
    const phone = {
      viewport: { width: 390, height: 780 },
      deviceScaleFactor: 2,
      colorScheme: 'light',
      reducedMotion: 'reduce',
    }
    const page = await (await browser.newContext({ ...phone, acceptDownloads: true })).newPage()
    await drawZone(page, first.url)
    await teach(page, first.url)
    await answers(page, mqtt)
    await corrects(page, first.url)
    await reviews(page, first.url)
    await names(page, first.url)
    await lasts(page, broker, mqtt, first)
  } finally {
    await browser.close()
    await mqtt.client.endAsync()
  }
})
