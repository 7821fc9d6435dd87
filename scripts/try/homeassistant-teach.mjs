// Teaches a zone from a real Home Assistant: a select chooses the state, a button teaches the present picture, a third thing is unknown.
//
//   node scripts/try/homeassistant-teach.mjs [--python python3.13] [--version 2025.4.0] [--drift]
//
// Home Assistant is installed as for homeassistant.mjs. Prints one line for each check; status 1 if one failed. --drift tries
// something else: pictures by MQTT, then a third thing that stays until the problem sensor comes on, 37 minutes later.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { connectAsync } from 'mqtt'
import { check, end, folder, gapcam, trial, until } from './bench.mjs'
import { homeOptions, openHome } from './home.mjs'
import { draw, height, place, scene, things, width } from './scene.mjs'

const { values: options } = parseArgs({
  options: { ...homeOptions, drift: { type: 'boolean', default: false } },
})

function configuration(broker) {
  const file = join(folder, 'yard.json')
  const zones = [{ id: 'plate', region: { x: place.x, y: place.y, w: place.size, h: (place.size * width) / height } }]
  const camera = { id: 'cam0', source: scene, loop: true, fps: 10, holdMs: 50, zones }
  const mqtt = { broker: broker.url, stateEveryMs: 1000 }
  writeFileSync(file, JSON.stringify({ node: 'yard', stateDir: folder, mqtt, cameras: [camera] }))
  return file
}

const entity = (platform, name) => `${platform}.yard_plate_${name}`

/** How to teach the present picture by MQTT; resolves with the answer, false where none came. */
async function teacher(client) {
  const answers = []
  client.on('message', (topic, payload) => {
    if (topic.endsWith('response/teach')) answers.push(JSON.parse(payload))
  })
  await client.subscribeAsync('gapcam/yard/#')
  return async (state) => {
    const before = answers.length
    await draw(things[state])
    await new Promise((resolve) => setTimeout(resolve, 2000))
    await client.publishAsync('gapcam/yard/request/teach', JSON.stringify({ camera: 'cam0', zone: 'plate', state }))
    return until(() => answers[before], 60)
  }
}

/** Teaches this many pictures of each state by MQTT: a state must have a name before Home Assistant can offer it. */
async function names(client, pictures) {
  const teach = await teacher(client)
  for (const state of ['empty', 'food'])
    for (let n = 1; n <= pictures; n++) {
      const answer = await teach(state)
      check(`picture ${n} of ${state} is taught by MQTT`, answer && answer.status === 'ok', JSON.stringify(answer))
    }
}

/** Chooses each state in Home Assistant and presses its button four times while the scene changes. */
async function teaches(home, taught) {
  await home.is(entity('select', 'teach_state'), 'empty', 60)
  for (const state of ['empty', 'food']) {
    await home.call('select.select_option', entity('select', 'teach_state'), { option: state })
    await home.is(entity('select', 'teach_state'), state)
    for (let n = 2; n <= 5; n++) {
      await draw(things[state])
      await new Promise((resolve) => setTimeout(resolve, 2000))
      await home.call('button.press', entity('button', 'teach'))
      const isTaken = await until(() => taught().pictures?.[state] === n, 60)
      check(`a press of the button teaches picture ${n} of ${state}`, isTaken, JSON.stringify(taught().pictures))
    }
  }
}

/** A third thing stays until the zone says that it needs teaching. */
async function drifts(home) {
  const sensor = entity('binary_sensor', 'needs_teaching')
  await draw(things.other)
  await home.is(entity('sensor', 'label'), 'unknown')
  await home.is(sensor, 'off')
  const startMs = performance.now()
  await home.is(sensor, 'on', 3600)
  process.stdout.write(`        after ${((performance.now() - startMs) / 60_000).toFixed(1)} minutes\n`)
  const isTold = async () => (await home.state(entity('event', 'event')))?.attributes.event_type === 'needs_teaching'
  check('the event needs_teaching has come', await until(isTold, 30))
}

/** Everything by Home Assistant's own entities. */
async function isTaught(home, client) {
  let said = '{}'
  client.on('message', (topic, payload) => {
    if (topic === 'gapcam/yard/cam0/plate/teach') said = payload.toString()
  })
  await names(client, 1)
  await teaches(home, () => JSON.parse(said))
  for (const [thing, label] of [
    ['empty', 'empty'],
    ['food', 'food'],
    ['other', 'unknown'],
  ]) {
    await draw(things[thing])
    await home.is(entity('sensor', 'label'), label)
  }
  const { attributes } = await home.state(entity('sensor', 'label'))
  check('the reason is novel', attributes.reason === 'novel', JSON.stringify(attributes.reason))
  const event = (await home.state(entity('event', 'event')))?.attributes
  check('the event says so too', event?.reason === 'novel', `${event?.event_type} ${event?.label} ${event?.reason}`)
  await home.is(entity('binary_sensor', 'needs_teaching'), 'off')
}

await trial(async () => {
  await draw(things.empty)
  const { broker, home } = await openHome(options)
  const child = gapcam('run', '--config', configuration(broker))
  const client = await connectAsync(broker.url)
  await until(async () => (await home.state(entity('sensor', 'label'))) !== null, 120)
  if (options.drift) {
    await names(client, 5)
    await drifts(home)
  } else await isTaught(home, client)
  check('every entity is available', await until(() => home.areAvailable('yard'), 30))
  await client.endAsync()
  await end(child)
  const others = home.warnings().filter((line) => !/No device components to cleanup|Disconnected from/.test(line))
  check('there is no warning', others.length === 0, others.join('\n'))
})
