// Imports docs/node-red-flow.json into a real Node-RED beside a real broker and a real gapcam, and presses its buttons.
//
//   node scripts/try/node-red.mjs [--version 4]
//
// The first run fetches Node-RED from npm into .cache/node-red. Prints a line a check; status 1 if one failed.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connectAsync } from 'mqtt'
import { freePort } from '../bench/loopback.mjs'

const { values: options } = parseArgs({ options: { version: { type: 'string', default: '4' } } })
const project = fileURLToPath(new URL('../../', import.meta.url))
const cache = join(project, '.cache/node-red')
const folder = mkdtempSync(join(tmpdir(), 'gapcam-node-red-'))
const children = []
let failures = 0

function launch(program, args) {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  })
  children.push(child)
  child.said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      child.said += chunk
    })
  return child
}

async function until(condition, seconds = 60) {
  const endMs = performance.now() + seconds * 1000
  while (performance.now() < endMs) {
    if (await Promise.resolve(condition()).catch(() => false)) return true
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return false
}

function check(what, isRight, found = '') {
  if (!isRight) failures++
  process.stdout.write(`${isRight ? 'ok    ' : 'FAILED'}  ${what}${isRight || found === '' ? '' : `: ${found}`}\n`)
}

async function main() {
  if (!existsSync(join(cache, 'node_modules/node-red/red.js'))) {
    mkdirSync(cache, { recursive: true })
    spawnSync('npm', ['install', '--no-audit', '--no-fund', '--prefix', cache, `node-red@${options.version}`], {
      stdio: ['ignore', 2, 2],
    })
  }
  const [brokerPort, port] = [await freePort(), await freePort()]
  writeFileSync(
    join(folder, 'mosquitto.conf'),
    `listener ${brokerPort} 127.0.0.1\nallow_anonymous true\npersistence false\n`,
  )
  launch('mosquitto', ['-c', join(folder, 'mosquitto.conf')])
  // Debug nodes write to the console, so that what a person sees in the sidebar is seen here.
  const flow = JSON.parse(readFileSync(join(project, 'docs/node-red-flow.json'), 'utf8'))
  for (const node of flow) {
    if (node.type === 'debug') node.console = true
    if (node.type === 'mqtt-broker') [node.broker, node.port] = ['127.0.0.1', String(brokerPort)]
  }
  writeFileSync(
    join(folder, 'settings.js'),
    `module.exports = { uiPort: ${port}, uiHost: '127.0.0.1', flowFile: 'flows.json', credentialSecret: false, logging: { console: { level: 'info' } } }\n`,
  )
  const red = launch(process.execPath, [
    join(cache, 'node_modules/node-red/red.js'),
    '--userDir',
    folder,
    '--settings',
    join(folder, 'settings.js'),
  ])
  if (!(await until(() => /Server now running/.test(red.said)))) throw new Error(`Node-RED did not start:\n${red.said}`)
  process.stdout.write(`Node-RED ${/Node-RED version: v(\S+)/.exec(red.said)?.[1]}\n`)
  const { status } = await fetch(`http://127.0.0.1:${port}/flows`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(flow),
  })
  check('the flow is taken', status === 204, String(status))
  check(
    'every node is known, and the broker is found',
    (await until(() => /Connected to broker/.test(red.said))) && !/unknown|missing|Waiting for/i.test(red.said),
    red.said.slice(-800),
  )
  const url = `mqtt://127.0.0.1:${brokerPort}`
  const client = await connectAsync(url, { protocolVersion: 5 })
  const heard = new Map()
  client.on('message', (topic, payload) => heard.set(topic, payload.toString()))
  await client.subscribeAsync('gapcam/#', { qos: 1 })
  launch(process.execPath, [
    join(project, 'dist/cli/main.js'),
    'run',
    join(project, 'models/photos/bird.jpg'),
    '--loop',
    '--fps',
    '10',
    '--node',
    'dock1',
    '--broker',
    url,
    '--set',
    `stateDir=${folder}`,
  ])
  check('the label arrives', await until(() => /another label\]\s*\n?.*chickadee/.test(red.said)), red.said.slice(-800))
  check('so does the event', await until(() => /an event\][\s\S]*label_changed/.test(red.said)), red.said.slice(-800))
  const press = (id) => fetch(`http://127.0.0.1:${port}/inject/${id}`, { method: 'POST' })
  const state = (name) => heard.get(`gapcam/dock1/cam0/${name}`)
  await press('gapcam-strict')
  check('the threshold is set', await until(() => state('threshold') === '0.8'), state('threshold'))
  await press('gapcam-snap')
  check(
    'the snapshot is answered and comes',
    await until(
      () =>
        /an answer\][\s\S]*node-red/.test(red.said) &&
        /a JPEG\][\s\S]*<Buffer ff d8|a JPEG\][\s\S]*255,\s*216/.test(red.said),
    ),
    red.said.slice(-800),
  )
  await press('gapcam-off')
  check(
    'the camera is switched off',
    await until(() => state('enabled') === 'OFF' && state('label') === 'unknown'),
    state('label'),
  )
  check('and the flow knows', await until(() => /nobody knows\][\s\S]*unknown/.test(red.said)), red.said.slice(-400))
  await press('gapcam-on')
  check('and on', await until(() => state('enabled') === 'ON' && state('label') === 'chickadee'), state('label'))
  check('no error', !/\[error\]/.test(red.said), red.said.slice(-800))
  await client.endAsync(true)
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${error.stack}\n`)
  failures++
} finally {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failures > 0 ? 1 : 0
