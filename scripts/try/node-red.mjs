// Imports docs/node-red-flow.json into a real Node-RED with a real broker and a real gapcam, and presses its buttons.
//
//   node scripts/try/node-red.mjs [--version 4]
//
// The first run fetches Node-RED from npm into .cache/node-red. Prints one line for each check; status 1 if one failed.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { connectAsync } from 'mqtt'
import { freePort } from '../bench/loopback.mjs'
import { check, folder, gapcam, launch, makeBroker, photo, project, trial, until } from './bench.mjs'

const { values: options } = parseArgs({ options: { version: { type: 'string', default: '4' } } })
const cache = join(project, '.cache/node-red')

function install() {
  if (existsSync(join(cache, 'node_modules/node-red/red.js'))) return
  mkdirSync(cache, { recursive: true })
  const args = ['install', '--no-audit', '--no-fund', '--prefix', cache, `node-red@${options.version}`]
  spawnSync('npm', args, { stdio: ['ignore', 2, 2] })
}

/** The flow for this broker. Debug nodes write to the console, so that their output can be checked. */
function flowFor(brokerPort) {
  const flow = JSON.parse(readFileSync(join(project, 'docs/node-red-flow.json'), 'utf8'))
  for (const node of flow) {
    if (node.type === 'debug') node.console = true
    if (node.type === 'mqtt-broker') [node.broker, node.port] = ['127.0.0.1', String(brokerPort)]
  }
  return flow
}

async function startNodeRed(port) {
  const settings = join(folder, 'settings.js')
  writeFileSync(
    settings,
    `module.exports = { uiPort: ${port}, uiHost: '127.0.0.1', flowFile: 'flows.json', credentialSecret: false, logging: { console: { level: 'info' } } }\n`,
  )
  const program = join(cache, 'node_modules/node-red/red.js')
  const red = launch(process.execPath, [program, '--userDir', folder, '--settings', settings])
  if (!(await until(() => /Server now running/.test(red.said)))) throw new Error(`Node-RED did not start:\n${red.said}`)
  process.stdout.write(`Node-RED ${/Node-RED version: v(\S+)/.exec(red.said)?.[1]}\n`)
  return red
}

await trial(async () => {
  install()
  const broker = await makeBroker()
  broker.start()
  const port = await freePort()
  const red = await startNodeRed(port)
  const tail = () => red.said.slice(-800)
  const says = async (what, condition, found = tail) => {
    const isRight = Boolean(await until(condition))
    check(what, isRight, isRight ? '' : String(found()))
  }
  const { status } = await fetch(`http://127.0.0.1:${port}/flows`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(flowFor(broker.port)),
  })
  check('the flow is imported', status === 204, String(status))
  await says('the broker is connected', () => /Connected to broker/.test(red.said))
  check('every node type is known', !/unknown|missing|Waiting for/i.test(red.said), '')
  const client = await connectAsync(broker.url, { protocolVersion: 5 })
  const heard = new Map()
  client.on('message', (topic, payload) => heard.set(topic, payload.toString()))
  await client.subscribeAsync('gapcam/#', { qos: 1 })
  const source = [photo('bird'), '--loop', '--fps', '10', '--node', 'dock1']
  gapcam('run', ...source, '--broker', broker.url, '--set', `stateDir=${folder}`)
  await says('the label arrives', () => /another label\]\s*\n?.*chickadee/.test(red.said))
  await says('the event arrives', () => /an event\][\s\S]*label_changed/.test(red.said))
  const press = (id) => fetch(`http://127.0.0.1:${port}/inject/${id}`, { method: 'POST' })
  const state = (name) => heard.get(`gapcam/dock1/cam0/${name}`)
  await press('gapcam-strict')
  await says(
    'the threshold is set',
    () => state('threshold') === '0.8',
    () => state('threshold'),
  )
  await press('gapcam-snap')
  await says(
    'the snapshot is answered and arrives',
    () =>
      /an answer\][\s\S]*node-red/.test(red.said) &&
      /a JPEG\][\s\S]*<Buffer ff d8|a JPEG\][\s\S]*255,\s*216/.test(red.said),
  )
  await press('gapcam-off')
  await says('the camera is switched off', () => state('enabled') === 'OFF' && state('label') === 'unknown')
  await says('the flow shows it', () => /unknown label\][\s\S]*unknown/.test(red.said))
  await press('gapcam-on')
  await says('the camera is switched on', () => state('enabled') === 'ON' && state('label') === 'chickadee')
  check('there is no error', !/\[error\]/.test(red.said), '')
  await client.endAsync(true)
})
