// Runs a real Home Assistant with a real broker and a real gapcam, and checks the device that results.
//
//   node scripts/try/homeassistant.mjs [--python python3.13] [--version 2025.4.0] [--picture docs/home-assistant.png]
//
// The first run fetches Home Assistant from PyPI into .cache/homeassistant (about 500 MB; that version needs Python
// 3.13). Prints one line for each check, and ends with status 1 if one failed. --picture needs Debian's chromium.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { check, end, folder, gapcam, photo, project, trial, until } from './bench.mjs'
import { homeOptions, openHome } from './home.mjs'

const { values: options } = parseArgs({
  options: { ...homeOptions, picture: { type: 'string' } },
})

/** Broker and Home Assistant, running, and how to start a gapcam. */
async function open() {
  const { broker, home } = await openHome(options)
  const run = (source, ...more) =>
    gapcam('run', ...source, '--broker', broker.url, '--set', `stateDir=${folder}`, ...more)
  const one = (...more) => run([photo('bird'), '--loop', '--fps', '10', '--node', 'dock1'], ...more)
  return { broker, home, run, one }
}

/** The device appears with all its entities, states and pictures. */
async function appears({ home }) {
  await home.is('sensor.dock1_label', 'chickadee')
  const first = await until(async () => {
    const event = await home.state('event.dock1_event')
    return event?.attributes.event_type && event
  }, 15)
  check(
    'the first event after the first discovery arrived',
    first && first.attributes.event_type === 'label_changed',
    first ? `${first.attributes.event_type} ${first.attributes.label}` : 'none',
  )
  const startMs = performance.now()
  await until(async () => (await home.state('sensor.dock1_fps'))?.state !== 'unknown')
  const seconds = (performance.now() - startMs) / 1000
  check('the health entities have a state within 10 seconds', seconds < 10, `${seconds.toFixed(1)} s`)
  const ids = await home.ids('dock1')
  process.stdout.write(`        entities: ${ids.join(', ')}\n`)
  check('every entity is available', await home.areAvailable('dock1'))
  await showsPictures(home, 'without a button')
  const model = await home.template("{{ device_attr(device_id('sensor.dock1_label'), 'model') }}")
  check('the device has a model', model !== '' && model !== 'None', model)
  check('there is no warning', home.warnings().length === 0, home.warnings().join('\n'))
}

async function showsPictures(home, when) {
  const ids = await home.ids('dock1')
  for (const entity of ['image.dock1_snapshot', 'camera.dock1_heat']) {
    if (!ids.includes(entity)) continue
    const picture = await home.picture(entity)
    const isJpeg = picture && picture.readUInt16BE(0) === 0xffd8
    check(`${entity} shows a JPEG ${when}`, isJpeg, picture ? `${picture.length} bytes` : 'none')
  }
}

/** Switch, threshold and buttons do what they say. */
async function isControlled({ home }) {
  await home.call('switch.turn_off', 'switch.dock1_enabled')
  await home.is('switch.dock1_enabled', 'off')
  await home.is('sensor.dock1_label', 'unavailable')
  await home.is('binary_sensor.dock1_camera_ok', 'off')
  await home.call('switch.turn_on', 'switch.dock1_enabled')
  await home.is('sensor.dock1_label', 'chickadee')
  await home.call('number.set_value', 'number.dock1_threshold', { value: 0.99 })
  await home.is('number.dock1_threshold', '0.99')
  await home.is('sensor.dock1_label', 'unknown')
  await home.call('number.set_value', 'number.dock1_threshold', { value: 0.3 })
  await home.is('sensor.dock1_label', 'chickadee')
  const ids = await home.ids('dock1')
  for (const button of ['take_snapshot', 'take_heat'])
    if (ids.includes(`button.dock1_${button}`)) await home.call('button.press', `button.dock1_${button}`)
  await showsPictures(home, 'after its button')
}

/** Everything returns after a restart of Home Assistant and of the broker. */
async function recovers({ broker, home }) {
  await end(home.child)
  await home.start()
  await home.is('sensor.dock1_label', 'chickadee')
  check('after a restart of Home Assistant all is available', await until(() => home.areAvailable('dock1'), 30))
  await showsPictures(home, 'after a restart of Home Assistant')
  await end(broker.child, 'SIGKILL')
  await home.is('sensor.dock1_label', 'unavailable')
  broker.child = broker.start()
  await home.is('sensor.dock1_label', 'chickadee', 90)
}

/** The restart button starts gapcam again. */
async function restarts({ home }) {
  await home.call('button.press', 'button.dock1_restart')
  await home.is('sensor.dock1_label', 'unavailable')
  await home.is('sensor.dock1_label', 'chickadee', 60)
}

/** A second camera comes and goes. */
async function hasTwoCameras({ broker, home }) {
  const file = join(folder, 'two.yaml')
  const camera = (id, name) => `  - { id: ${id}, source: ${photo(name)}, loop: true, fps: 5 }\n`
  writeFileSync(
    file,
    `node: dock1\nstateDir: ${folder}\nmqtt: { broker: "${broker.url}" }\ncameras:\n${camera('cam0', 'bird')}${camera('gate', 'cat')}`,
  )
  const child = gapcam('run', '--config', file)
  await home.is('sensor.dock1_gate_label', 'Egyptian cat')
  await home.is('sensor.dock1_cam0_label', 'chickadee')
  const via = "{{ device_attr(device_attr(device_id('sensor.dock1_gate_label'), 'via_device_id'), 'name') }}"
  check("the gate's device is connected via the node's", (await home.template(via)) === 'Dock1')
  check("the first camera's entities have moved", (await home.state('sensor.dock1_label')) === null)
  await end(child)
}

async function losesCameras({ home, one }) {
  const single = one()
  await home.is('sensor.dock1_label', 'chickadee')
  const isGone = (part, seconds) => until(async () => (await home.ids(part)).length === 0, seconds)
  const goneCamera = await isGone('dock1_gate', 15)
  check('a camera that left the configuration is gone', goneCamera, (await home.ids('dock1_gate')).join(', '))
  await end(single)
  const silent = one('--set', 'homeassistant=false')
  const goneDevice = await isGone('dock1', 30)
  check('homeassistant: false removes the device', goneDevice, (await home.ids('dock1')).join(', '))
  await end(silent)
}

/** Unusual labels, each as the label of every class, so that the model's answer does not matter. */
async function takesOddLabels({ home, run }) {
  for (const label of ['Müller’s "Käse" ☕ {{ 7*7 }} \\ <b>', 'None', '  spaces  ', '🦆'.repeat(300)]) {
    const labels = join(folder, 'odd.txt')
    const isFixed = label === 'None' || label.length > 255
    // Ten classes; their labels must differ where that is possible.
    writeFileSync(labels, Array.from({ length: 10 }, (_, i) => `${label}${isFixed ? '' : i}`).join('\n'))
    const model = ['--model', join(project, 'models/convnet-gap.onnx'), '--labels', labels, '--threshold', '0']
    const source = [photo('bird'), '--loop', '--fps', '10', '--node', 'odd', ...model]
    const child = run(source, '--set', 'policy.margin=0', '--set', 'policy.hysteresis=0')
    const literal = label.trim().replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    const other = label === 'None' ? /^none$/ : new RegExp(`^${literal} *\\d$`, 'u')
    const wanted = label.length > 255 ? /^(🦆){255}$/u : other
    let last
    const isRight = await until(
      async () => wanted.test((last = (await home.state('sensor.odd_label'))?.state ?? '')),
      30,
    )
    check(`the label ${JSON.stringify(label.slice(0, 40))} arrives`, isRight, last)
    await end(child)
  }
}

/** A screenshot of the device's page. */
async function takePicture({ home }, path) {
  const { chromium } = await import('playwright-core')
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  try {
    const page = await browser.newPage({ viewport: { width: 1180, height: 860 } })
    const tokens = { ...home.tokens, hassUrl: home.url, clientId: `${home.url}/`, expires: Date.now() + 1_000_000 }
    await page.addInitScript((value) => {
      localStorage.setItem('hassTokens', value)
      localStorage.setItem('dockedSidebar', '"always_hidden"')
    }, JSON.stringify(tokens))
    const id = await home.template("{{ device_id('sensor.dock1_label') }}")
    await page.goto(`${home.url}/config/devices/device/${id}`)
    await page.getByText('Take snapshot').first().waitFor({ timeout: 60_000 })
    await page.waitForTimeout(3000)
    await page.screenshot({ path, type: 'png' })
    check('a picture of the device', true, path)
  } finally {
    await browser.close()
  }
}

await trial(async () => {
  const all = await open()
  const child = all.one()
  await appears(all)
  await isControlled(all)
  if (options.picture) await takePicture(all, options.picture)
  await recovers(all)
  await restarts(all)
  await end(child)
  await hasTwoCameras(all)
  await losesCameras(all)
  await takesOddLabels(all)
  const expected =
    /No device components to cleanup|The connection was lost|Unexpected disconnection|Disconnected from|Failed to connect|Unable to reconnect/
  const others = all.home.warnings().filter((line) => !expected.test(line))
  check('there is no warning except about what was removed', others.length === 0, others.join('\n'))
  if (process.env.HASS_LOG) writeFileSync(process.env.HASS_LOG, all.home.said)
})
