// Sends malformed commands to a running gapcam over a real broker. gapcam must keep running, must not change a retained
// topic, and must limit the rate of its answers.
//
//   node scripts/fuzz/commands.mjs [--count 1000000] [--seed 1]
//
// Prints one JSON object. Status 1: something changed, it ended, answered more than its rate, or took no command afterwards.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connectAsync } from 'mqtt'
import { commandKinds } from '../../dist/run/commands/commands.js'
import { freePort } from '../bench/loopback.mjs'

const { values } = parseArgs({
  options: { count: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' } },
})
const [count, seed] = [Number(values.count), Number(values.seed)]
const project = fileURLToPath(new URL('../../', import.meta.url))
const root = 'gapcam/fuzz'
const atOnce = 200
/** The largest allowed number of answers: the rate of refusals (requests.ts) times the duration, one burst, and the last answer. */
const mostAnswers = (seconds) => 10 * (seconds + 2) + 10 + 2

/** xorshift32: the same commands for the same seed. */
let state = (seed * 2654435761) | 0 || 1
function below(n) {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % n
}
const pick = (list) => list[below(list.length)]
const bytes = (n) => Buffer.from(Array.from({ length: n }, () => below(256)))

const words = [
  'cam1',
  '../../etc/passwd',
  '$(reboot)',
  '`id`',
  "'; DROP TABLE labels",
  'http://127.0.0.1/x',
  'file:///etc/shadow',
  'mqtt://evil',
  '\u0000',
  '\ud83d\ude00',
  'x'.repeat(300),
  '%s%n',
  '-1',
  '1e999',
  'NaN',
  'O N',
  'ON;OFF',
  'yes',
  '0x1',
  '1,5',
  '--help',
]
const scalars = [
  () => pick(words),
  () => -below(1000) - 2,
  () => 2 + below(1e9),
  () => [],
  () => ({}),
  () => [[[[below(9)]]]],
  () => ({ value: { value: 1 } }),
]
const keys = [
  'model',
  'mqtt.broker',
  'mqtt.password',
  'cameras',
  'stateDir',
  'policy',
  'policy.thresholds',
  '__proto__',
  'constructor',
  'toString',
  'kind',
  'labels',
  'threads',
  '',
  'a.b.c',
  'x'.repeat(200),
]
const commands = commandKinds
const object = () => Object.fromEntries(Array.from({ length: 1 + below(4) }, () => [pick(keys), pick(scalars)()]))

/** Payloads that are no command for a topic. */
const payloads = [
  () => `{${pick(words)}`,
  () => JSON.stringify(object()).slice(0, -1),
  () => JSON.stringify(object()),
  () => JSON.stringify({ value: pick(scalars)(), [pick(keys)]: pick(scalars)() }),
  () => JSON.stringify({ transaction: pick([{}, [], 'x'.repeat(65), true]), value: 0.5 }),
  () => JSON.stringify(Array.from({ length: below(5) }, () => pick(scalars)())),
  () => pick(words),
  () => Buffer.concat([Buffer.from([0xff]), bytes(below(40))]),
  () => Buffer.concat([Buffer.from('{'), bytes(below(200))]),
  () => Buffer.alloc(4097 + below(4000), pick(['[', '{"a":', '0', ' '])),
  () => '['.repeat(1 + below(4000)),
]

function command() {
  const payload = pick(payloads)()
  switch (below(6)) {
    case 0:
      return [`${root}/cam0/enabled/set`, payload]
    case 1:
      return [`${root}/cam0/threshold/set`, payload]
    case 2:
      return [
        `${root}/request/${pick(['', 'Restart', 'reboot', 'toString', '__proto__', '%00', 'x'.repeat(200), 'restart '])}`,
        pick(['', 'PRESS', payload]),
      ]
    // A bare `info` is a valid command.
    default:
      return [`${root}/request/${pick(commands)}`, payload]
  }
}

async function until(condition, what) {
  for (let i = 0; i < 600; i++) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`waited for ${what}`)
}

const folder = mkdtempSync(join(tmpdir(), 'gapcam-fuzz-'))
const children = []
function launch(program, args) {
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  })
  children.push(child)
  child.said = ''
  child.stderr.on('data', (chunk) => {
    child.said = (child.said + chunk).slice(-20_000)
  })
  return child
}

/** Starts mosquitto and gapcam on a photograph; resolves when the label is there. */
async function startNode() {
  const port = await freePort()
  writeFileSync(join(folder, 'mosquitto.conf'), `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\n`)
  launch('mosquitto', ['-c', join(folder, 'mosquitto.conf')])
  const url = `mqtt://127.0.0.1:${port}`
  let client
  await until(
    async () => (client = await connectAsync(url, { protocolVersion: 5 }, false).catch(() => null)),
    'the broker',
  )
  const watched = watch(client)
  await client.subscribeAsync(`${root}/#`, { qos: 1 })
  const photo = join(project, 'models/photos/bird.jpg')
  const options = ['--loop', '--fps', '5', '--broker', url, '--node', 'fuzz', '--set', `stateDir=${folder}`]
  const gapcam = launch(process.execPath, [join(project, 'dist/cli/main.js'), 'run', photo, ...options])
  await until(() => watched.topics.get(`${root}/cam0/label`) === 'chickadee', 'the label')
  return { client, gapcam, watched }
}

/** Keeps the newest payload of every topic and counts the answers. */
function watch(client) {
  const watched = { topics: new Map(), answers: 0 }
  client.on('message', (topic, payload) => {
    if (topic.startsWith(`${root}/response/`)) watched.answers++
    else watched.topics.set(topic, payload.toString())
  })
  return watched
}

/** What malformed commands must not change, as text. */
function retainedState({ topics }) {
  const names = ['cam0/label', 'cam0/status', 'cam0/enabled', 'cam0/threshold', 'status', 'info']
  return JSON.stringify(names.map((name) => topics.get(`${root}/${name}`)))
}

async function sendCommands(client) {
  for (let sent = 0; sent < count; sent += atOnce) {
    await Promise.all(
      Array.from({ length: Math.min(atOnce, count - sent) }, () => {
        const [topic, payload] = command()
        return client.publishAsync(topic, payload, { qos: 1, retain: false })
      }),
    )
  }
}

/** Sends a valid request through the same queue. Its answer means that all earlier ones were read. */
async function untilAllAreRead(client) {
  let isAnswered = false
  client.on('message', (topic, payload) => {
    isAnswered ||= topic === `${root}/response/info` && payload.includes('the-last')
  })
  await until(async () => {
    await client.publishAsync(`${root}/request/info`, '{"transaction":"the-last"}', { qos: 1 })
    return isAnswered
  }, 'an answer to a command afterwards')
}

async function main() {
  const { client, gapcam, watched } = await startNode()
  const before = retainedState(watched)
  const startMs = performance.now()
  await sendCommands(client)
  await untilAllAreRead(client)
  const seconds = (performance.now() - startMs) / 1000
  const after = retainedState(watched)
  const result = {
    sent: count,
    seconds: Math.round(seconds * 10) / 10,
    answers: watched.answers,
    mostAnswers: Math.ceil(mostAnswers(seconds)),
    changes: after === before ? 0 : 1,
    isAlive: gapcam.exitCode === null && gapcam.signalCode === null,
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
  await client.endAsync(true)
  if (result.changes > 0 || !result.isAlive || result.answers > result.mostAnswers) {
    process.stderr.write(`before ${before}\nafter  ${after}\n${gapcam.said}\n`)
    process.exitCode = 1
  }
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${error.stack}\n${children.map(({ said }) => said).join('\n')}\n`)
  process.exitCode = 1
} finally {
  for (const child of children) child.kill('SIGTERM')
  await Promise.all(
    children.map((child) => child.exitCode === null && child.signalCode === null && once(child, 'exit')),
  )
  rmSync(folder, { recursive: true, force: true })
}
