// Teaches a zone from a real Home Assistant: a select chooses the state, a button teaches the present picture, a third thing is unknown.
//
//   node scripts/try/homeassistant-teach.mjs [--python python3.13] [--version 2025.4.0]
//
// Home Assistant is installed as for homeassistant.mjs. Prints one line for each check; status 1 if one failed.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { connectAsync } from 'mqtt'
import { freePort } from '../bench/loopback.mjs'
import { check, end, folder, gapcam, makeBroker, trial, until } from './bench.mjs'
import { configure, Home, install } from './home.mjs'
import { draw, height, place, scene, things, width } from './scene.mjs'

const { values: options } = parseArgs({
  options: { python: { type: 'string', default: 'python3.13' }, version: { type: 'string', default: '2025.4.0' } },
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

/** The first picture of each state is taught by MQTT, since a state must have a name before Home Assistant can offer it. */
async function names(client) {
  const answers = []
  client.on('message', (topic, payload) => {
    if (topic.endsWith('response/teach')) answers.push(JSON.parse(payload))
  })
  await client.subscribeAsync('gapcam/yard/#')
  for (const [i, state] of ['empty', 'food'].entries()) {
    await draw(things[state])
    await new Promise((resolve) => setTimeout(resolve, 2000))
    await client.publishAsync('gapcam/yard/request/teach', JSON.stringify({ camera: 'cam0', zone: 'plate', state }))
    const isDone = await until(() => answers.length > i, 60)
    check(`the first picture of ${state} is taught`, isDone && answers[i].status === 'ok', JSON.stringify(answers[i]))
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

await trial(async () => {
  const programs = install(options)
  const broker = await makeBroker()
  broker.child = broker.start()
  const home = new Home({ programs, home: join(folder, 'home'), port: await freePort() })
  configure({ programs, home: join(folder, 'home'), port: Number(new URL(home.url).port), brokerPort: broker.port })
  await draw(things.empty)
  await home.start()
  const child = gapcam('run', '--config', configuration(broker))
  const client = await connectAsync(broker.url)
  let said = '{}'
  client.on('message', (topic, payload) => {
    if (topic === 'gapcam/yard/cam0/plate/teach') said = payload.toString()
  })
  await until(async () => (await home.state(entity('sensor', 'label'))) !== null, 120)
  await names(client)
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
  await home.is(entity('binary_sensor', 'needs_teaching'), 'off')
  check('every entity is available', await until(() => home.areAvailable('yard'), 30))
  await client.endAsync()
  await end(child)
  if (process.env.HASS_LOG) writeFileSync(process.env.HASS_LOG, home.said)
  const others = home.warnings().filter((line) => !/No device components to cleanup|Disconnected from/.test(line))
  check('there is no warning', others.length === 0, others.join('\n'))
})
