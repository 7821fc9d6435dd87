/** The command `restart` on real processes: in place where no service manager starts gapcam again, else with status 75. */
import { copyFileSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { endAll, gapcam, type Running } from '../process.js'
import { connectClient, type Client } from '../publish/client.js'
import { cleanUp, freePort, startMosquitto, until } from '../publish/mosquitto.js'
import { startManager } from '../service/service-manager.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-restart-'))
const bird = join(projectRoot, 'models/photos/bird.jpg')
const model = join(folder, 'model.onnx')
const root = 'gapcam/gapcam'
const clients: Client[] = []
let files = 0

vi.setConfig({ testTimeout: 120_000 })
copyFileSync(join(projectRoot, 'models/convnet-gap.onnx'), model)
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  await endAll()
  await cleanUp()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Configured {
  readonly file: string
  write(threshold: number, more?: string): void
}

/** A configuration file that a test may change between two starts. */
function configure(mqtt: string): Configured {
  const name = String(++files)
  const file = join(folder, `${name}.yaml`)
  const write = (threshold: number, more = ''): void =>
    writeFileSync(
      file,
      `model: ${model}\npolicy:\n  threshold: ${threshold}\nmqtt:\n  ${mqtt}\nstateDir: ${join(folder, name)}\npage:\n  enabled: false\ncameras:\n  - { id: cam0, source: ${bird}, loop: true, fps: 20 }\n${more}`,
    )
  write(0.01)
  return { file, write }
}

const start = (file: string, env: NodeJS.ProcessEnv = {}): Running =>
  gapcam(['run', '--json', '--config', file], { env })

async function listen(url: string): Promise<Client> {
  const client = await connectClient(url, ['#'], 4)
  clients.push(client)
  return client
}

const bootOf = (client: Client): string =>
  (JSON.parse(client.last(`${root}/info`) || '{}') as { boot?: string }).boot ?? ''

async function isUp(client: Client): Promise<void> {
  await client.sees(`${root}/status`, 'online')
  await until(() => /"label":"(?!unknown)/.test(client.last(`${root}/cam0/state`)), 'a label', 45_000)
}

describe('without a service manager', () => {
  it('gapcam answers, says goodbye, and starts again in the same process with the configuration as it is then', async () => {
    const broker = await startMosquitto()
    const { file, write } = configure(`broker: ${broker.url}`)
    const run = start(file)
    const client = await listen(broker.url)
    await isUp(client)
    const boot = bootOf(client)
    write(0.02)
    expect(await client.ask(root, 'restart')).toEqual({ status: 'ok', data: {}, transaction: expect.any(String) })
    await client.sees(`${root}/cam0/threshold`, '0.02')
    await until(() => bootOf(client) !== boot, 'another boot', 45_000)
    await isUp(client)
    const statuses = client.heard
      .filter(({ topic }) => topic === `${root}/status`)
      .map(({ payload }) => String(payload))
    expect(statuses.slice(-2)).toEqual(['offline', 'online'])
    expect(run.stderr()).toMatch(/restarting, as a command asked for/)
    run.kill('SIGTERM')
    expect(await run.ended).toBe(143)
    // One summary for each of the two runs.
    expect(run.stderr().match(/frames classified by/g)).toHaveLength(2)
  })

  it('three restarts over the embedded broker keep its port and leave no descriptor behind', async () => {
    const port = await freePort()
    const { file } = configure(`port: ${port}`)
    const run = start(file)
    await run.until(/"label":"(?!unknown)/)
    const client = await listen(`mqtt://127.0.0.1:${port}`)
    await isUp(client)
    const descriptors: number[] = []
    for (let i = 0; i < 3; i++) {
      const boot = bootOf(client)
      expect(await client.ask(root, 'restart')).toMatchObject({ status: 'ok' })
      await until(() => bootOf(client) !== boot, 'another boot', 45_000)
      await isUp(client)
      descriptors.push(readdirSync(`/proc/${run.pid}/fd`).length)
    }
    // One more or less is a file that is just being written.
    expect(descriptors[2]).toBeLessThanOrEqual(descriptors[0]! + 1)
    run.kill('SIGINT')
    expect(await run.ended).toBe(130)
  })

  it('a signal during the restart ends the program', async () => {
    const broker = await startMosquitto()
    const { file } = configure(`broker: ${broker.url}`)
    const run = start(file)
    const client = await listen(broker.url)
    await isUp(client)
    await client.say(`${root}/request/restart`, '')
    await run.until(/restarting, as a command asked for/)
    run.kill('SIGTERM')
    expect(await run.ended).toBe(143)
    await client.sees(`${root}/status`, 'offline')
  })

  it.each<[string, (configured: Configured) => void, number, RegExp]>([
    ['a configuration that became invalid', ({ write }) => write(0.01, 'nonsense: 1\n'), 2, /nonsense is not a key/],
    ['a model that was moved away', () => renameSync(model, `${model}.away`), 4, /model\.onnx: it does not exist/],
  ])('%s ends with its status and says why', async (_, spoil, status, sentence) => {
    const broker = await startMosquitto()
    const configured = configure(`broker: ${broker.url}`)
    const run = start(configured.file)
    const client = await listen(broker.url)
    await isUp(client)
    spoil(configured)
    await client.say(`${root}/request/restart`, 'PRESS')
    expect(await run.ended).toBe(status)
    expect(run.stderr()).toMatch(sentence)
    await client.sees(`${root}/status`, 'offline')
  })
})

it('under a service manager it ends with status 75, answers before, and leaves the start to the manager', async () => {
  renameSync(`${model}.away`, model)
  const broker = await startMosquitto()
  const manager = await startManager()
  const run = start(configure(`broker: ${broker.url}`).file, { NOTIFY_SOCKET: manager.socket })
  const client = await listen(broker.url)
  await isUp(client)
  await client.say(`${root}/request/restart`, 'PRESS')
  expect(await run.ended).toBe(75)
  await client.sees(`${root}/status`, 'offline')
  expect(client.last(`${root}/response/restart`)).toBe('{"status":"ok","data":{}}')
  expect(run.stderr().match(/frames classified by/g)).toHaveLength(1)
})
