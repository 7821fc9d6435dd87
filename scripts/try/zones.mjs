// Runs a real Home Assistant with a real broker and a camera of eight zones that share a taught model and a ninth with a detector
// of faces. Checks their entities, renames and removes zones, and ends with `gapcam once`: nothing stays retained, and no entity
// stays behind.
//
//   node scripts/try/zones.mjs [--python python3.13] [--version 2025.4.0]
//
// Home Assistant is installed as for homeassistant.mjs. Prints one line for each check; status 1 if one failed.
import { copyFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { connectAsync } from 'mqtt'
import sharp from 'sharp'
import { check, end, folder, gapcam, photo, project, trial, until } from './bench.mjs'
import { homeOptions, openHome } from './home.mjs'

const { values: options } = parseArgs({ options: homeOptions })

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
  const isThere = await until(() => child.exitCode !== null, 300)
  check('two states are taught', isThere && child.exitCode === 0, child.exitCode === 0 ? '' : child.said.slice(-300))
  return model
}

/** A detector of faces beside its manifest. */
function detector() {
  const model = join(folder, 'face.tflite')
  copyFileSync(join(project, 'test/fixtures/detectors/face.tflite'), model)
  const spec = 'labels: [face]\nresize: stretch\nmean: [127.5, 127.5, 127.5]\nstd: [127.5, 127.5, 127.5]\n'
  writeFileSync(join(folder, 'face.yaml'), `${spec}detect: { minScore: 0.5 }\n`)
  return model
}

/** The file that the camera shows: the bird, and to the right of it the porch, with a face or without. */
const scene = join(folder, 'scene.jpg')
const [width, height, porch] = [960, 480, 320]
const faces = { face: join(project, 'test/fixtures/detectors/face-grace-hopper.png'), none: photo('sunflower') }

async function draw(thing) {
  const fill = (file, w, h) => sharp(file).resize(w, h, { fit: 'fill' }).toBuffer()
  const yard = { input: await fill(photo('bird'), width - porch, height), left: 0, top: 0 }
  const visitor = { input: await fill(faces[thing], porch, porch), left: width - porch, top: 0 }
  const fresh = join(folder, 'fresh.jpg')
  await sharp({ create: { width, height, channels: 3, background: 'grey' } })
    .composite([yard, visitor])
    .jpeg({ quality: 92 })
    .toFile(fresh)
  renameSync(fresh, scene)
}

const ids = ['gate', 'bin', 'door', 'shed', 'path', 'tree', 'pond', 'wall']

function configuration(broker, model) {
  const scale = (width - porch) / width
  const zones = ids.map((id, i) => {
    const region = { x: (i % 4) * 0.2 * scale, y: Math.floor(i / 4) * 0.4, w: 0.4 * scale, h: 0.6 }
    return { id, name: `The ${id}`, region, trigger: i === 0 ? 'always' : { every: '500ms' } }
  })
  const region = { x: scale, y: 0, w: porch / width, h: porch / height }
  zones.push({ id: 'porch', name: 'The porch', region, model: detector(), trigger: { every: '300ms' } })
  const file = join(folder, 'zones.json')
  const camera = { id: 'cam0', source: scene, loop: true, fps: 10, holdMs: 50, zones }
  const mqtt = { broker: broker.url, stateEveryMs: 1000 }
  writeFileSync(file, JSON.stringify({ node: 'yard1', stateDir: folder, model, mqtt, cameras: [camera] }))
  return file
}

/** Retained payloads by topic. What the broker keeps comes before a message that is sent after the subscription. */
async function retained({ url }) {
  const client = await connectAsync(url)
  const kept = new Map()
  let isWhole = false
  client.on('message', (topic, payload, { retain }) => {
    if (retain) kept.set(topic, payload.toString())
    if (topic === 'try/whole') isWhole = true
  })
  await client.subscribeAsync(['gapcam/#', 'homeassistant/#', 'try/whole'], { qos: 1 })
  await client.publishAsync('try/whole', '', { qos: 1 })
  check('the broker has told what it retains', await until(() => isWhole, 60), `${kept.size} topics`)
  await client.endAsync()
  return kept
}

/** Sends commands at once, and checks that each is answered with ok. */
async function ask({ url }, commands) {
  const client = await connectAsync(url)
  const answers = []
  client.on('message', (_, payload) => answers.push(JSON.parse(payload)))
  await client.subscribeAsync('gapcam/yard1/response/+', { qos: 1 })
  const sent = commands.map(([command, fields]) =>
    client.publishAsync(`gapcam/yard1/request/${command}`, JSON.stringify({ camera: 'cam0', ...fields }), { qos: 1 }),
  )
  await Promise.all(sent)
  await until(() => answers.length === commands.length, 60)
  const isDone = answers.length === commands.length && answers.every(({ status }) => status === 'ok')
  const faults = answers.filter(({ status }) => status !== 'ok')
  check(
    commands.map(([command, { zone }]) => `${command} ${zone}`).join(', '),
    isDone,
    faults.length > 0 ? JSON.stringify(faults) : '',
  )
  await client.endAsync()
}

const entity = (platform, zone, name) => `${platform}.yard1_${zone}_${name}`

/** What a zone has in Home Assistant, and whether that is right. */
async function zoneOf(home, id) {
  const state = async (platform, name) => (await home.state(entity(platform, id, name)))?.state
  const event = (await home.state(entity('event', id, 'event')))?.attributes
  const picture = await home.picture(entity('image', id, 'snapshot'), 5)
  const found = {
    label: await state('sensor', 'label'),
    score: Number(await state('sensor', 'score')),
    event: event?.event_type,
    image: picture && picture.readUInt16BE(0) === 0xffd8 ? 'JPEG' : 'none',
    enabled: await state('switch', 'enabled'),
    threshold: Number(await state('number', 'threshold')),
    seconds: Number(await state('sensor', 'time')),
  }
  const isRight =
    ['bird', 'cat'].includes(found.label) &&
    found.score > 50 &&
    found.event === 'label_changed' &&
    found.image === 'JPEG' &&
    found.enabled === 'on' &&
    found.threshold === 0.3 &&
    found.seconds > 0
  return { found, isRight }
}

/** Each zone has its entities, with states, and they say what the broker says. */
async function appear(home, broker) {
  await until(async () => (await home.state(entity('sensor', ids[0], 'label'))) !== null, 300)
  for (const id of ids) {
    let last
    const isRight = await until(async () => (last = await zoneOf(home, id)).isRight, 90)
    check(`zone ${id} has label, score, event, image, switch, threshold and time`, isRight, JSON.stringify(last?.found))
  }
  const kept = await retained(broker)
  const told = ids.filter((id) => /^(bird|cat)$/.test(kept.get(`gapcam/yard1/cam0/${id}/label`)))
  check('each zone has its label on its topic', told.length === ids.length, told.join(', '))
  const devices = new Set()
  for (const id of ids) devices.add(await home.template(`{{ device_id('${entity('sensor', id, 'label')}') }}`))
  check('all are in one device', devices.size === 1 && !devices.has('None'), [...devices].join(', '))
  const counted = entity('sensor', 'gate', 'day_s_bird')
  const seconds = await until(async () => Number((await home.state(counted))?.state) > 0, 30)
  check(`${counted} counts seconds`, seconds, (await home.state(counted))?.state ?? 'no such entity')
  await home.is(entity('sensor', 'gate', 'day_n_bird'), '1')
  // The picture of a visit comes with the first one.
  check('every entity is available', await until(() => home.areAvailable('yard1'), 30))
}

/** Threshold and switch of one zone, and those of the others. */
async function areControlled(home) {
  await home.call('number.set_value', entity('number', 'gate', 'threshold'), { value: 1 })
  await home.is(entity('number', 'gate', 'threshold'), '1')
  await home.is(entity('sensor', 'gate', 'label'), 'unknown')
  await home.is(entity('sensor', 'bin', 'label'), 'bird')
  await home.call('number.set_value', entity('number', 'gate', 'threshold'), { value: 0.3 })
  await home.is(entity('sensor', 'gate', 'label'), 'bird')
  await home.call('switch.turn_off', entity('switch', 'gate', 'enabled'))
  await home.is(entity('switch', 'gate', 'enabled'), 'off')
  await home.is(entity('sensor', 'gate', 'label'), 'unknown')
  await home.is(entity('sensor', 'bin', 'label'), 'bird')
  await home.call('switch.turn_on', entity('switch', 'gate', 'enabled'))
  await home.is(entity('sensor', 'gate', 'label'), 'bird')
}

/** A face comes to the porch and goes. */
async function detects(home) {
  const event = async () => (await home.state(entity('event', 'porch', 'event')))?.attributes
  await home.is(entity('sensor', 'porch', 'label'), 'none')
  await home.is(entity('sensor', 'porch', 'count'), '0')
  await draw('face')
  await home.is(entity('sensor', 'porch', 'label'), 'face')
  await home.is(entity('sensor', 'porch', 'count'), '1')
  const { boxes } = (await home.state(entity('sensor', 'porch', 'count'))).attributes
  check('the count has the box', boxes?.length === 1 && boxes[0].label === 'face', JSON.stringify(boxes))
  const isTold = await until(async () => (await event())?.label === 'face', 30)
  check('the event says face', isTold, `${(await event())?.event_type} ${(await event())?.label}`)
  const picture = await home.picture(entity('image', 'porch', 'snapshot'))
  check('the snapshot is a JPEG', picture && picture.readUInt16BE(0) === 0xffd8, `${picture.length} bytes`)
  await draw('none')
  await home.is(entity('sensor', 'porch', 'count'), '0')
  const hasLeft = await until(async () => (await event())?.event_type === 'visit', 30)
  check('the visit is told when it is over', hasLeft, JSON.stringify((await event())?.visit))
  const visitor = await home.picture(entity('image', 'porch', 'crop'))
  check('its best picture is a JPEG', visitor && visitor.readUInt16BE(0) === 0xffd8, `${visitor.length} bytes`)
}

/** Nothing is known of zones that were: neither to Home Assistant's registry of entities nor to the broker. */
async function areGone(home, broker, zones) {
  for (const zone of zones) {
    const left = async () => [...(await home.ids(`yard1_${zone}_`)), ...(await home.registered(`yard1_${zone}_`))]
    const isGone = await until(async () => (await left()).length === 0, 60)
    check(`no entity of ${zone} is there, and none is registered`, isGone, (await left()).join(', '))
  }
  const kept = await retained(broker)
  const topics = [...kept.keys()].filter((topic) => zones.some((zone) => topic.includes(`/${zone}/`)))
  check(`nothing is retained of ${zones.join(' and ')}`, topics.length === 0, topics.join(', '))
  const { components } = JSON.parse(kept.get('homeassistant/device/gapcam_yard1/config'))
  const announced = Object.entries(components).filter(([key]) => zones.some((zone) => key.startsWith(`zone_${zone}_`)))
  const isRemoval = announced.length > 0 && announced.every(([, fields]) => Object.keys(fields).join() === 'platform')
  check('the discovery message names them as removed only', isRemoval, `${announced.length} entities`)
}

/** Zones that are renamed and removed leave nothing. */
async function leave(home, broker) {
  await ask(broker, [
    ['zone_set', { zone: 'bin', rename: 'bucket', values: {} }],
    ['zone_remove', { zone: 'pond' }],
  ])
  await home.is(entity('sensor', 'bucket', 'label'), 'bird', 60)
  await areGone(home, broker, ['bin', 'pond'])
  await end(home.child)
  await home.start()
  await home.is(entity('sensor', 'bucket', 'label'), 'bird', 240)
  await areGone(home, broker, ['bin', 'pond'])
}

/** `gapcam once` leaves labels that hold, and no switch that would not work. */
async function looksOnce(home, file) {
  const child = gapcam('once', '--config', file, '--next', '15m')
  await until(() => child.exitCode !== null, 120)
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
  await draw('none')
  const [model, { broker, home }] = await Promise.all([teach(), openHome(options)])
  const file = configuration(broker, model)
  const child = gapcam('run', '--config', file)
  await appear(home, broker)
  await areControlled(home)
  await detects(home)
  await leave(home, broker)
  await end(child)
  await looksOnce(home, file)
  const expected = /No device components to cleanup|Disconnected from|Failed to connect/
  const others = home.warnings().filter((line) => !expected.test(line))
  check('there is no warning', others.length === 0, others.join('\n'))
})
