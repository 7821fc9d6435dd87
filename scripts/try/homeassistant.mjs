// Runs a real Home Assistant beside a real broker and a real gapcam, and looks at what it makes of the device.
//
//   node scripts/try/homeassistant.mjs [--python python3.13] [--version 2025.4.0] [--picture docs/home-assistant.png]
//
// The first run fetches Home Assistant from PyPI into .cache/homeassistant (about 500 MB; that version needs Python 3.13).
// Prints a line a check, with what was found, and ends with status 1 if one failed. A picture needs Debian's chromium.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connectAsync } from 'mqtt'
import { freePort } from '../bench/loopback.mjs'

const { values: options } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3.13' },
    version: { type: 'string', default: '2025.4.0' },
    picture: { type: 'string' },
  },
})
const project = fileURLToPath(new URL('../../', import.meta.url))
const venv = join(project, '.cache/homeassistant', options.version)
const folder = mkdtempSync(join(tmpdir(), 'gapcam-homeassistant-'))
const bird = join(project, 'models/photos/bird.jpg')
const cat = join(project, 'models/photos/cat.jpg')
const children = new Set()
let failures = 0

function launch(name, program, args) {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  })
  children.add(child)
  child.said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      child.said += chunk
    })
  child.on('error', (error) => {
    child.said += `${name}: ${error.message}`
  })
  return child
}

async function end(child, signal = 'SIGTERM') {
  children.delete(child)
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  await once(child, 'exit')
}

async function until(condition, seconds = 60) {
  const endMs = performance.now() + seconds * 1000
  for (;;) {
    const result = await Promise.resolve(condition()).catch(() => false)
    if (result) return result
    if (performance.now() > endMs) return false
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

function check(what, isRight, found = '') {
  if (!isRight) failures++
  process.stdout.write(`${isRight ? 'ok    ' : 'FAILED'}  ${what}${found === '' ? '' : `: ${found}`}\n`)
}

function install() {
  if (existsSync(join(venv, 'bin/hass'))) return
  mkdirSync(venv, { recursive: true })
  const run = (program, args) => {
    const { status, error } = spawnSync(program, args, { stdio: ['ignore', 2, 2] })
    if (error || status !== 0)
      throw new Error(`${program} ${args.join(' ')} failed: ${error?.message ?? `status ${status}`}`)
  }
  run(options.python, ['-m', 'venv', venv])
  const pip = (...packages) => run(join(venv, 'bin/pip'), ['install', '-q', '--prefer-binary', ...packages])
  pip(`homeassistant==${options.version}`)
  // What the components that are used here ask for, of exactly the versions that this release names.
  const components = [
    'mqtt',
    'frontend',
    'camera',
    'stream',
    'recorder',
    'conversation',
    'file_upload',
    'image',
    'backup',
    'onboarding',
    'http',
    'history',
    'assist_pipeline',
    'tts',
    'ffmpeg',
    'zeroconf',
  ]
  const manifest = (name) =>
    join(
      venv,
      'lib',
      options.python.replace(/.*\//, ''),
      'site-packages/homeassistant/components',
      name,
      'manifest.json',
    )
  pip(
    ...new Set(
      components
        .filter((name) => existsSync(manifest(name)))
        .flatMap((name) => JSON.parse(readFileSync(manifest(name), 'utf8')).requirements ?? []),
    ),
  )
}

/** Home Assistant's configuration with one user, who has been through the welcome, and the MQTT integration set up. */
function configure(home, port, brokerPort) {
  mkdirSync(join(home, '.storage'), { recursive: true })
  writeFileSync(
    join(home, 'configuration.yaml'),
    `homeassistant:\n  name: Workshop\n  time_zone: UTC\nhttp:\n  server_host: 127.0.0.1\n  server_port: ${port}\nfrontend:\nconfig:\nhistory:\nlogger:\n  default: info\n`,
  )
  const at = '2025-01-01T00:00:00+00:00'
  const status = (payload) => ({ topic: 'homeassistant/status', payload, qos: 0, retain: false })
  const entry = {
    created_at: at,
    modified_at: at,
    entry_id: 'gapcamtest',
    version: 1,
    minor_version: 2,
    domain: 'mqtt',
    title: 'mosquitto',
    data: { broker: '127.0.0.1', port: brokerPort },
    options: {
      discovery: true,
      discovery_prefix: 'homeassistant',
      birth_message: status('online'),
      will_message: status('offline'),
    },
    pref_disable_new_entities: false,
    pref_disable_polling: false,
    source: 'user',
    unique_id: null,
    disabled_by: null,
    discovery_keys: {},
    subentries: [],
  }
  writeFileSync(
    join(home, '.storage/core.config_entries'),
    JSON.stringify({ version: 1, minor_version: 5, key: 'core.config_entries', data: { entries: [entry] } }),
  )
  writeFileSync(
    join(home, '.storage/onboarding'),
    JSON.stringify({
      version: 4,
      minor_version: 1,
      key: 'onboarding',
      data: { done: ['user', 'core_config', 'analytics', 'integration'] },
    }),
  )
  const { status: added } = spawnSync(join(venv, 'bin/hass'), ['--script', 'auth', '-c', home, 'add', 'jo', 'secret'], {
    stdio: ['ignore', 2, 2],
  })
  if (added !== 0) throw new Error('Home Assistant did not take a user')
}

/** Home Assistant's own API. */
class Home {
  constructor(url) {
    this.url = url
  }

  async login() {
    const post = async (path, body) =>
      (
        await fetch(`${this.url}${path}`, {
          method: 'POST',
          body,
          ...(typeof body === 'string' ? { headers: { 'content-type': 'application/json' } } : {}),
        })
      ).json()
    const client_id = `${this.url}/`
    const { flow_id } = await post(
      '/auth/login_flow',
      JSON.stringify({ client_id, handler: ['homeassistant', null], redirect_uri: client_id }),
    )
    const { result: code } = await post(
      `/auth/login_flow/${flow_id}`,
      JSON.stringify({ client_id, username: 'jo', password: 'secret' }),
    )
    this.tokens = await post('/auth/token', new URLSearchParams({ client_id, grant_type: 'authorization_code', code }))
  }

  async get(path, init = {}) {
    return fetch(`${this.url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${this.tokens.access_token}`, 'content-type': 'application/json' },
    })
  }

  /** State and attributes of an entity; null where there is none. */
  async state(id) {
    const response = await this.get(`/api/states/${id}`)
    return response.ok ? response.json() : null
  }

  async ids(part) {
    return (await (await this.get('/api/states')).json())
      .map(({ entity_id }) => entity_id)
      .filter((id) => id.includes(part))
      .sort()
  }

  async call(service, entity_id, data = {}) {
    return this.get(`/api/services/${service.replace('.', '/')}`, {
      method: 'POST',
      body: JSON.stringify({ entity_id, ...data }),
    })
  }

  async template(template) {
    return (await this.get('/api/template', { method: 'POST', body: JSON.stringify({ template }) })).text()
  }

  async is(id, wanted, seconds = 30) {
    let last
    const isRight = await until(
      async () => (last = (await this.state(id))?.state ?? 'no such entity') === wanted,
      seconds,
    )
    check(`${id} is ${wanted}`, isRight, isRight ? '' : `${id} is ${last}`)
  }
}

/** What Home Assistant complains of; what it says of its own requirements and of a broker that was killed is none of ours. */
const warnings = (log) =>
  log
    .split('\n')
    .filter(
      (line) =>
        /WARNING|ERROR/.test(line) &&
        !/Skipping pip|aiohttp_fast_zlib|custom integration|TurboJPEG|turbojpeg/.test(line),
    )

async function main() {
  install()
  const [brokerPort, homePort] = [await freePort(), await freePort()]
  writeFileSync(
    join(folder, 'mosquitto.conf'),
    `listener ${brokerPort} 127.0.0.1\nallow_anonymous true\npersistence false\n`,
  )
  const startBroker = () => launch('mosquitto', 'mosquitto', ['-c', join(folder, 'mosquitto.conf')])
  const url = `mqtt://127.0.0.1:${brokerPort}`
  let broker = startBroker()
  configure(join(folder, 'home'), homePort, brokerPort)
  const startHome = () => launch('hass', join(venv, 'bin/hass'), ['-c', join(folder, 'home'), '--skip-pip'])
  const home = new Home(`http://127.0.0.1:${homePort}`)
  const run = (source, ...more) =>
    launch('gapcam', process.execPath, [
      join(project, 'dist/cli/main.js'),
      'run',
      ...source,
      '--broker',
      url,
      '--set',
      `stateDir=${folder}`,
      ...more,
    ])
  const one = (...more) => run([bird, '--loop', '--fps', '10', '--node', 'dock1'], ...more)

  let hass = startHome()
  if (!(await until(() => hass.said.includes('birth message sent'), 120)))
    throw new Error(`Home Assistant did not start:\n${hass.said.slice(-3000)}`)
  await home.login()
  process.stdout.write(
    `Home Assistant ${options.version}, ${spawnSync('mosquitto', ['-h'], { encoding: 'utf8', env: { PATH: '/usr/sbin:/usr/bin' } }).stdout.split('\n')[0]}\n`,
  )

  let gapcam = one()
  await home.is('sensor.dock1_label', 'chickadee')
  const first = await until(async () => {
    const event = await home.state('event.dock1_event')
    return event?.attributes.event_type && event
  }, 15)
  check(
    'the first event after the first discovery arrived',
    first?.attributes.event_type === 'label_changed',
    first ? `${first.attributes.event_type} ${first.attributes.label}` : 'none',
  )
  await until(async () => (await home.state('sensor.dock1_fps'))?.state !== 'unknown')
  const ids = await home.ids('dock1')
  process.stdout.write(`        entities: ${ids.join(', ')}\n`)
  check(
    'every entity is available',
    (await Promise.all(ids.map((id) => home.state(id)))).every(({ state }) => state !== 'unavailable'),
  )
  check('no warning of it', warnings(hass.said).length === 0, warnings(hass.said).join('\n'))

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
  for (const [button, entity] of [
    ['take_snapshot', 'image.dock1_snapshot'],
    ['take_heat', 'camera.dock1_heat'],
  ]) {
    if (!ids.includes(entity)) continue
    await home.call('button.press', `button.dock1_${button}`)
    const proxy = entity.startsWith('image') ? 'image_proxy' : 'camera_proxy'
    const picture = await until(async () => {
      const response = await home.get(`/api/${proxy}/${entity}`)
      return response.ok && Buffer.from(await response.arrayBuffer())
    }, 20)
    check(
      `${entity} shows a JPEG`,
      picture && picture.readUInt16BE(0) === 0xffd8,
      picture ? `${picture.length} bytes` : 'none',
    )
  }
  if (options.picture) await takePicture(home, options.picture)

  await end(hass)
  hass = startHome()
  await until(() => hass.said.includes('birth message sent'), 120)
  await home.login()
  await home.is('sensor.dock1_label', 'chickadee')
  check(
    'Home Assistant started again finds all available',
    await until(
      async () =>
        (await Promise.all((await home.ids('dock1')).map((id) => home.state(id)))).every(
          ({ state }) => state !== 'unavailable',
        ),
      30,
    ),
  )
  await end(broker, 'SIGKILL')
  await home.is('sensor.dock1_label', 'unavailable')
  broker = startBroker()
  await home.is('sensor.dock1_label', 'chickadee', 90)

  await home.call('button.press', 'button.dock1_restart')
  await until(() => gapcam.exitCode !== null)
  check('the restart button ends gapcam with status 75', gapcam.exitCode === 75, String(gapcam.exitCode))
  await home.is('sensor.dock1_label', 'unavailable')

  const client = await connectAsync(url, { protocolVersion: 5 })
  const file = join(folder, 'two.yaml')
  writeFileSync(
    file,
    `node: dock1\nstateDir: ${folder}\nmqtt: { broker: "${url}" }\ncameras:\n  - { id: cam0, source: ${bird}, loop: true, fps: 5 }\n  - { id: gate, source: ${cat}, loop: true, fps: 5 }\n`,
  )
  gapcam = launch('gapcam', process.execPath, [join(project, 'dist/cli/main.js'), 'run', '--config', file])
  await home.is('sensor.dock1_gate_label', 'Egyptian cat')
  await home.is('sensor.dock1_cam0_label', 'chickadee')
  check(
    "the gate's device is behind the node's",
    (await home.template(
      "{{ device_attr(device_attr(device_id('sensor.dock1_gate_label'), 'via_device_id'), 'name') }}",
    )) === 'Dock1',
  )
  check("the first camera's entities have moved", (await home.state('sensor.dock1_label')) === null)
  await end(gapcam)
  gapcam = one()
  await home.is('sensor.dock1_label', 'chickadee')
  check(
    'a camera that left the configuration is gone',
    await until(async () => (await home.ids('dock1_gate')).length === 0, 15),
    (await home.ids('dock1_gate')).join(', '),
  )
  await end(gapcam)
  gapcam = one('--set', 'homeassistant=false')
  check(
    'homeassistant: false takes the device away',
    await until(async () => (await home.ids('dock1')).length === 0, 30),
    (await home.ids('dock1')).join(', '),
  )
  await end(gapcam)

  await oddLabels(home, run)
  check(
    'no warning but of what was taken back',
    warnings(hass.said).every((line) =>
      /No device components to cleanup|The connection was lost|Unexpected disconnection|Disconnected from|Failed to connect|Unable to reconnect/.test(
        line,
      ),
    ),
    warnings(hass.said).join('\n'),
  )
  await client.endAsync(true)
  if (process.env.HASS_LOG) writeFileSync(process.env.HASS_LOG, hass.said)
}

/** Each of the labels in turn as that of every class: whatever the model says, it is this one. */
async function oddLabels(home, run) {
  for (const label of ['Müller’s "Käse" ☕ {{ 7*7 }} \\ <b>', 'None', '  spaces  ', '🦆'.repeat(300)]) {
    const labels = join(folder, 'odd.txt')
    // A class's labels may not be empty, and all but one are others: ten options.
    writeFileSync(
      labels,
      Array.from({ length: 10 }, (_, i) => `${label}${label === 'None' || label.length > 255 ? '' : i}`).join('\n'),
    )
    const gapcam = run(
      [
        bird,
        '--loop',
        '--fps',
        '10',
        '--node',
        'odd',
        '--model',
        join(project, 'models/convnet-gap.onnx'),
        '--labels',
        labels,
        '--threshold',
        '0',
      ],
      '--set',
      'policy.margin=0',
      '--set',
      'policy.hysteresis=0',
    )
    const wanted =
      label === 'None'
        ? /^none$/
        : label.length > 255
          ? /^(🦆){255}$/u
          : new RegExp(`^${label.trim().replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')} *\\d$`, 'u')
    let last
    const isRight = await until(
      async () => wanted.test((last = (await home.state('sensor.odd_label'))?.state ?? '')),
      30,
    )
    check(`the label ${JSON.stringify(label.slice(0, 40))} arrives`, isRight, last)
    await end(gapcam)
  }
}

/** The device's own page, as a person sees it. */
async function takePicture(home, path) {
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

try {
  await main()
} catch (error) {
  process.stderr.write(`${error.stack}\n`)
  failures++
} finally {
  await Promise.all([...children].map((child) => end(child, 'SIGKILL')))
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failures > 0 ? 1 : 0
