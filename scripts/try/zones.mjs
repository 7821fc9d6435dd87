// Runs a real Home Assistant with a real broker and a camera of eight zones that share a taught model, then renames and
// removes zones, and ends with `gapcam once`: nothing stays retained, and no entity stays behind.
//
//   node scripts/try/zones.mjs [--python python3.13] [--version 2025.4.0]
//
// Home Assistant is installed as for homeassistant.mjs. Prints one line for each check; status 1 if one failed.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { freePort } from '../bench/loopback.mjs'
import { check, end, folder, gapcam, launch, makeBroker, photo, trial, until } from './bench.mjs'
import { configure, Home, install } from './home.mjs'

const { values: options } = parseArgs({
  options: { python: { type: 'string', default: 'python3.13' }, version: { type: 'string', default: '2025.4.0' } },
})

/** Teaches bird and cat, each from two photographs. */
async function teach() {
  const states = { bird: ['bird', 'parrot'], cat: ['cat', 'cat-720p'] }
  const given = Object.entries(states).flatMap(([state, names]) => {
    mkdirSync(join(folder, state), { recursive: true })
    for (const name of names) copyFileSync(photo(name), join(folder, state, `${name}.jpg`))
    return ['--state', `${state}=${join(folder, state)}`]
  })
  const model = join(folder, 'pets.onnx')
  const child = gapcam('teach', 'pets', ...given, '--output', model)
  const isThere = await until(() => child.exitCode !== null, 120)
  check('two states are taught', isThere && child.exitCode === 0, child.exitCode === 0 ? '' : child.said.slice(-300))
  return model
}

/** Topics and payloads that the broker retains below `gapcam/`. */
async function retained({ port }) {
  const listener = launch('mosquitto_sub', ['-h', '127.0.0.1', '-p', String(port), '-t', 'gapcam/#', '-v', '-W', '2'])
  await until(() => listener.exitCode !== null, 15)
  return listener.said.split('\n').filter((line) => line.startsWith('gapcam/'))
}

function ask({ port }, command, fields) {
  const topic = `gapcam/yard1/request/${command}`
  spawnSync('mosquitto_pub', [
    '-h',
    '127.0.0.1',
    '-p',
    String(port),
    '-q',
    '1',
    '-t',
    topic,
    '-m',
    JSON.stringify(fields),
  ])
}

const ids = ['gate', 'bin', 'door', 'shed', 'path', 'tree', 'pond', 'wall']

function configuration(broker, model) {
  const zones = ids.map((id, i) => {
    const region = { x: (i % 4) * 0.2, y: Math.floor(i / 4) * 0.4, w: 0.4, h: 0.6 }
    return { id, name: `The ${id}`, region, trigger: i === 0 ? 'always' : { every: '500ms' } }
  })
  const file = join(folder, 'zones.json')
  const camera = { id: 'cam0', source: photo('bird'), loop: true, fps: 10, zones }
  const mqtt = { broker: broker.url, stateEveryMs: 1000 }
  writeFileSync(file, JSON.stringify({ node: 'yard1', stateDir: folder, model, mqtt, cameras: [camera] }))
  return file
}

/** Each zone has its entities, with states, and they say what the broker says. */
async function appear(home, broker) {
  for (const id of ids) {
    const label = `sensor.yard1_${id}_label`
    const isKnown = await until(async () => ['bird', 'cat'].includes((await home.state(label))?.state), 40)
    check(`${label} has a label`, isKnown, (await home.state(label))?.state ?? 'no such entity')
  }
  const lines = await retained(broker)
  const told = ids.filter((id) => lines.some((line) => /label (bird|cat)$/.test(line) && line.includes(`/${id}/label`)))
  check('each zone has its label on its topic', told.length === ids.length, told.join(', '))
  const counted = 'sensor.yard1_gate_day_s_bird'
  const seconds = await until(async () => Number((await home.state(counted))?.state) > 0, 30)
  check(`${counted} counts seconds`, seconds, (await home.state(counted))?.state ?? 'no such entity')
  const entered = (await home.state('sensor.yard1_gate_day_n_bird'))?.state
  check('the state was entered once', entered === '1', entered ?? 'no such entity')
  check('every entity is available', await until(() => home.areAvailable('yard1'), 30))
}

/** A zone that is renamed and one that is removed leave nothing. */
async function leave(home, broker) {
  ask(broker, 'zone_set', { camera: 'cam0', zone: 'bin', rename: 'bucket', values: {} })
  ask(broker, 'zone_remove', { camera: 'cam0', zone: 'pond' })
  const renamed = 'sensor.yard1_bucket_label'
  await until(async () => (await home.state(renamed)) !== null, 30)
  check('the renamed zone has entities', (await home.state(renamed)) !== null)
  for (const gone of ['bin', 'pond']) {
    const isGone = await until(async () => (await home.ids(`yard1_${gone}_`)).length === 0, 30)
    check(`no entity of ${gone} is there`, isGone, (await home.ids(`yard1_${gone}_`)).join(', '))
  }
  const left = (await retained(broker)).filter((line) => /\/(bin|pond)\//.test(line))
  check('nothing is retained of them', left.length === 0, left.join('; '))
  await end(home.child)
  await home.start()
  await until(async () => (await home.ids('yard1_bucket_')).length > 0, 60)
  const back = [...(await home.ids('yard1_bin_')), ...(await home.ids('yard1_pond_'))]
  check('they do not return with Home Assistant', back.length === 0, back.join(', '))
}

/** `gapcam once` leaves labels that hold, and no switch that would not work. */
async function looksOnce(home, file) {
  const child = gapcam('once', '--config', file, '--next', '15m')
  await until(() => child.exitCode !== null, 60)
  check('gapcam once ends with status 0', child.exitCode === 0, child.said.slice(-300))
  await until(async () => (await home.ids('yard1')).every((id) => !id.startsWith('switch')), 30)
  const rest = await home.ids('yard1')
  check(
    'no switch is left',
    rest.every((id) => !/^(switch|button|number)\./.test(id)),
    rest.join(', '),
  )
  await home.is('sensor.yard1_gate_label', 'bird')
}

await trial(async () => {
  const programs = install(options)
  const broker = await makeBroker()
  broker.child = broker.start()
  const place = { programs, home: join(folder, 'home'), port: await freePort(), brokerPort: broker.port }
  configure(place)
  const home = new Home(place)
  const [model] = await Promise.all([teach(), home.start()])
  const file = configuration(broker, model)
  const child = gapcam('run', '--config', file)
  await appear(home, broker)
  await leave(home, broker)
  await end(child)
  await looksOnce(home, file)
  const expected = /No device components to cleanup|Disconnected from|Failed to connect/
  const others = home.warnings().filter((line) => !expected.test(line))
  check('there is no warning', others.length === 0, others.join('\n'))
})
