/** `gapcam once` with a real broker: what stays retained, what waits in the outbox, and what each failure ends with. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'
import { cli, endAll, gapcam, jsonLines } from '../process.js'
import { connectClient, type Client } from '../publish/client.js'
import {
  asThisUser,
  cleanUp,
  freePort,
  startMosquitto,
  temporaryFolder,
  until,
  type Mosquitto,
} from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

// Each test starts several processes, possibly on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })
const folder = mkdtempSync(join(tmpdir(), 'gapcam-once-'))
const photo = (name: string): string => join(projectRoot, 'models/photos', name)
let broker: Mosquitto
let client: Client
let silent: Server
beforeAll(async () => {
  broker = await startMosquitto()
  client = await connectClient(broker.url)
  silent = createServer(() => undefined).listen(0, '127.0.0.1')
  await new Promise((resolve) => silent.once('listening', resolve))
})
afterEach(endAll)
afterAll(async () => {
  silent.close()
  await client.close()
  await cleanUp()
  rmSync(folder, { recursive: true, force: true })
})

interface Looked {
  readonly zones: readonly { camera: string; zone?: string; label: string; prev: string; reason?: string }[]
  readonly faults: readonly { code: string; message: string }[]
  readonly delivered: boolean | null
  readonly queued: number
  readonly lost: number
  readonly next?: string
}

async function once(
  node: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Looked & { readonly status: unknown; readonly stderr: string }> {
  const state = join(folder, node)
  mkdirSync(state, { recursive: true })
  const own = { GAPCAM_STATE_DIR: state, ...env }
  const program = gapcam(['once', '--node', node, '--broker', broker.url, ...args], { env: own as NodeJS.ProcessEnv })
  const status = await program.ended
  const [printed] = jsonLines<Looked>(program.stdout())
  return { ...printed!, status, stderr: program.stderr() }
}

const told = (node: string) =>
  client.heard
    .filter(({ topic }) => new RegExp(`^gapcam/${node}/cam0/(event|backlog)$`).test(topic))
    .map(({ payload }) => JSON.parse(payload.toString()) as { event_type: string; label: string; prev: string })

it('a region follows the view that an earlier look has kept, and says where the camera shows another one', async () => {
  const state = join(folder, 'view')
  const see = (name: string) => {
    const zones = [{ id: 'gate', region: { x: 0.2, y: 0.2, w: 0.5, h: 0.5 }, anchor: true }]
    const config = join(state, 'gapcam.yaml')
    mkdirSync(state, { recursive: true })
    writeFileSync(config, JSON.stringify({ cameras: [{ id: 'cam0', source: photo(name), zones }] }))
    return once('view', ['--config', config])
  }
  const first = await see('bird.jpg')
  expect(first.zones[0]!.reason, first.stderr).not.toBe('moved')
  const other = await see('cat.jpg')
  expect(other.zones, other.stderr).toMatchObject([{ zone: 'gate', label: 'unknown', reason: 'moved' }])
  expect(other.faults).toEqual([])
  expect((await see('bird.jpg')).zones[0]!.reason).not.toBe('moved')
})

it('what it sees stays on the broker with the time of the next look, and goes on from the last look', async () => {
  const first = await once('a', [photo('bird.jpg'), '--next', '15m', '--verbose'])
  expect([first.status, first.delivered, first.queued], first.stderr).toEqual([0, true, 0])
  expect(first.zones).toMatchObject([{ camera: 'cam0', label: expect.stringMatching(/\w/) as string, prev: 'unknown' }])
  expect(first.stderr).toMatch(/^model +\d+ ms\n(?:.*\n)*classified +\d+ ms\nacknowledged +\d+ ms$/m)
  const { label } = first.zones[0]!
  await client.sees('gapcam/a/cam0/label', label)
  expect([client.last('gapcam/a/status'), client.last('gapcam/a/cam0/status')]).toEqual(['online', 'online'])
  const state = JSON.parse(client.last('gapcam/a/cam0/state')) as { ts: string; next: string; since: string }
  expect(Date.parse(state.next) - Date.parse(state.ts)).toBeGreaterThan(14 * 60_000)
  expect(JSON.parse(client.last('homeassistant/device/gapcam_a/config'))).toMatchObject({
    components: { label: { expire_after: 23 * 60 }, event: {} },
  })
  expect(client.last('homeassistant/device/gapcam_a/config')).not.toContain('command_topic')

  await once('a', [photo('bird.jpg'), '--next', '15m'])
  const again = JSON.parse(client.last('gapcam/a/cam0/state')) as typeof state
  expect(Math.abs(Date.parse(again.since) - Date.parse(state.since))).toBeLessThan(50)
  expect(again.ts > state.ts).toBe(true)

  const other = await once('a', [photo('cat.jpg')])
  expect(other.zones[0]).toMatchObject({ prev: label })
  await until(() => told('a').length >= 2, 'the second event')
  expect(told('a').map(({ event_type, prev }) => [event_type, prev])).toEqual([
    ['label_changed', 'unknown'],
    ['label_changed', label],
  ])
  const labels = client.heard
    .filter(({ topic }) => topic === 'gapcam/a/cam0/label')
    .map(({ payload }) => String(payload))
  expect(labels).not.toContain('unknown')
})

it('without a broker the event waits in the outbox, the status is 5, and the next run delivers it', async () => {
  const away = `mqtt://127.0.0.1:${await freePort()}`
  const lost = await once('b', [photo('bird.jpg'), '--broker', away, '--deadline', '10s'])
  expect([lost.status, lost.delivered, lost.queued]).toEqual([5, false, 1])
  expect(lost.stderr).toMatch(/not acknowledged everything; 1 events? waits? for the next time/)
  expect((await once('b', [photo('bird.jpg')])).status).toBe(0)
  await until(() => told('b').length >= 1, 'the event')
  expect(told('b')).toMatchObject([{ event_type: 'label_changed', label: lost.zones[0]!.label }])
})

it('an event that the broker refuses is lost, with status 5', async () => {
  const rules = join(temporaryFolder(), 'acl')
  writeFileSync(rules, 'topic readwrite gapcam/+/status\n', { mode: 0o600 })
  const strict = await startMosquitto(['allow_anonymous true', `acl_file ${rules}`, ...asThisUser])
  const refused = await once('refused', [photo('bird.jpg'), '--broker', strict.url])
  expect(refused, refused.stderr).toMatchObject({ status: 5, queued: 0, lost: 1 })
  expect(refused.stderr).toMatch(/gapcam: 1 events are lost: the broker refuses them/)
})

it('a camera that is missing or hangs and a model that is missing fail alone, within the deadline', async () => {
  const { port } = silent.address() as { port: number }
  const file = join(folder, 'c.yaml')
  const region = '{ x: 0.1, y: 0.1, w: 0.8, h: 0.8 }'
  writeFileSync(
    file,
    `models: { gone: { path: ${folder}/gone.onnx } }
cameras:
  - { id: cam0, source: "${photo('bird.jpg')}", zones: [{ id: whole, trigger: { every: 1h } }, { id: lost, model: gone, region: ${region} }] }
  - { id: cam1, source: "http://127.0.0.1:${port}/video.mjpg" }
  - { id: cam2, source: "${folder}/none.jpg" }
`,
  )
  const startMs = performance.now()
  const { status, zones, faults, next, stderr } = await once('c', ['--config', file, '--deadline', '12s'])
  expect(performance.now() - startMs).toBeLessThan(14_000)
  expect(status, stderr).toBe(4)
  expect(zones).toMatchObject([
    { camera: 'cam0', zone: 'whole', label: expect.not.stringMatching(/^unknown$/) as string },
    { camera: 'cam0', zone: 'lost', label: 'unknown', reason: 'unavailable' },
    { camera: 'cam1', label: 'unknown', reason: 'camera_lost' },
    { camera: 'cam2', label: 'unknown', reason: 'camera_lost' },
  ])
  expect(faults.map(({ code }) => code).sort()).toEqual(['CAMERA_NOT_FOUND', 'CAMERA_STALLED', 'MODEL_UNSUPPORTED'])
  expect(Date.parse(next!) - Date.now()).toBeGreaterThan(50 * 60_000)
  await client.sees('gapcam/c/cam0/whole/label', zones[0]!.label)
  expect([client.last('gapcam/c/cam1/status'), client.last('gapcam/c/cam2/label')]).toEqual(['offline', 'unknown'])
})

it('a lamp is on for the picture only, and off again after a kill; wrong flags are refused', async () => {
  const program = join(folder, 'bin', 'gpioset')
  mkdirSync(join(folder, 'bin'), { recursive: true })
  const log = join(folder, 'lamp')
  writeFileSync(
    program,
    `#!/bin/sh\n[ "$1" = --version ] && { echo 'gpioset (libgpiod) v1.6.3'; exit; }\necho "$@" >> ${log}\n[ "$1" = --mode=exit ] || exec sleep 60\n`,
  )
  chmodSync(program, 0o755)
  const env = { PATH: `${join(folder, 'bin')}:${process.env['PATH']}` }
  const lamp = (): string[] => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [])
  expect((await once('d', [photo('bird.jpg'), '--light', 'gpiochip0/17'], env)).status).toBe(0)
  expect(lamp()).toEqual(['--mode=signal gpiochip0 17=1', '--mode=exit gpiochip0 17=0'])
  const { port } = silent.address() as { port: number }
  const killed = gapcam(
    ['once', `http://127.0.0.1:${port}/video.mjpg`, '--broker', 'none', '--light', 'gpiochip0/18'],
    {
      env: env as NodeJS.ProcessEnv,
    },
  )
  await until(() => lamp().length >= 3, 'the lamp')
  killed.kill('SIGKILL')
  await killed.ended
  await until(() => lamp().at(-1) === '--mode=exit gpiochip0 18=0', 'the lamp to go out')
  expect((await once('d', [photo('bird.jpg'), '--light', 'gpio'])).stderr).toMatch(
    /--light: gpio is not a chip and a line/,
  )
  const wrong = await once('d', ['--deadline', 'soon'])
  expect([wrong.status, wrong.stderr]).toEqual([
    2,
    expect.stringMatching(/--deadline: soon must be a time with its unit/),
  ])
})

it('a main thread that hangs ends at the deadline', async () => {
  const hang = join(folder, 'hang.mjs')
  // The camera is opened after the deadline is set, however long the program took to load.
  writeFileSync(
    hang,
    `import net from 'node:net'
const { connect } = net.Socket.prototype
net.Socket.prototype.connect = function (...args) {
  setTimeout(() => { for (;;); }, 200)
  return connect.apply(this, args)
}
`,
  )
  const { launch } = await import('../process.js')
  const { port } = silent.address() as { port: number }
  const program = launch(process.execPath, [
    '--import',
    hang,
    cli,
    'once',
    `http://127.0.0.1:${port}/video.mjpg`,
    '--broker',
    'none',
    '--deadline',
    '3s',
    '--set',
    `stateDir=${folder}/e`,
  ])
  expect(await program.ended).toBe(70)
  expect(program.stderr()).toMatch(/the deadline of 3 s has passed/)
})
