/** `gapcam run` loses its GPU under a service manager: it ends to be restarted, but not again and again. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { buildFakeCuda, fakeCuda } from '../fake-cuda.js'
import { cli, endAll, launch, type Running } from '../process.js'
import { connectClient, type Client } from '../publish/client.js'
import { cleanUp, hasMosquitto, startMosquitto, until } from '../publish/mosquitto.js'
import { startManager } from '../service/service-manager.js'
import { projectRoot } from '../shared.js'

const state = mkdtempSync(join(tmpdir(), 'gapcam-cuda-restart-run-'))
const root = 'gapcam/gapcam'

beforeAll(buildFakeCuda, 600_000)
const clients: Client[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
  await endAll()
  await cleanUp()
})
afterAll(() => rmSync(state, { recursive: true, force: true }))

/** A run on the test driver. Its context is lost at about the third frame. */
function start(broker: string, stateDir: string, env: NodeJS.ProcessEnv): Running {
  const args = [
    'run',
    join(projectRoot, 'models/photos'),
    '--loop',
    '--engine',
    'cuda',
    '--model',
    join(projectRoot, 'models/convnet-gap.onnx'),
    '--input-size',
    '32',
    '--broker',
    broker,
  ]
  const settings = [
    'page.enabled=false',
    'homeassistant=false',
    'mqtt.resultEveryMs=0',
    'policy.threshold=0',
    'policy.consecutive=1',
    'policy.margin=0',
    'policy.hysteresis=0',
    'policy.smoothingMs=0',
  ]
  return launch(process.execPath, [cli, ...args, ...settings.flatMap((setting) => ['--set', setting])], {
    env: { ...fakeCuda('fail=cuStreamSynchronize@5:700'), GAPCAM_STATE_DIR: stateDir, ...env },
  })
}

async function listen(url: string): Promise<Client> {
  const client = await connectClient(url, ['gapcam/#'])
  clients.push(client)
  return client
}

interface Health {
  readonly gpu?: { readonly restart_wanted?: boolean; readonly restart_in_s?: number }
}
const health = (client: Client): Health => JSON.parse(client.last(`${root}/health`) || '{}') as Health

it.skipIf(!hasMosquitto)(
  'under a service manager it ends with 75 after publishing everything; if the next start loses the GPU too, it stays on the CPU (skipped without mosquitto)',
  async () => {
    const [broker, manager] = [await startMosquitto(), await startManager()]
    const client = await listen(broker.url)
    const first = start(broker.url, state, { NOTIFY_SOCKET: manager.socket, GAPCAM_CUDA_RESTART: 'always' })
    expect(await first.ended, first.stderr()).toBe(75)
    expect(first.stderr()).toMatch(
      /CUDA_ERROR_ILLEGAL_ADDRESS[^]*restarting, since CUDA is lost for this process: cuStreamSynchronize failed with CUDA_ERROR_ILLEGAL_ADDRESS/,
    )
    const frames = Number(/^(\d+) frames classified by .*, 1 faults of CUDA/m.exec(first.stderr())?.[1])
    expect(frames).toBeGreaterThan(1)
    await client.sees(`${root}/status`, 'offline')
    const results = client.heard
      .filter(({ topic }) => topic === `${root}/cam0/result`)
      .map(({ payload }) => JSON.parse(payload.toString()) as { engine: string })
    expect(results).toHaveLength(frames)
    expect([results[0]!.engine, results.at(-1)!.engine]).toEqual(['cuda-sm_87-fp16', expect.stringMatching(/^native-/)])
    expect(client.heard.some(({ topic }) => topic === `${root}/cam0/event`)).toBe(true)
    await until(() => manager.told().includes('STOPPING=1'), 'the manager to be told')
    expect(JSON.parse(readFileSync(join(state, 'gapcam/cuda-restart.json'), 'utf8'))).toEqual({
      version: 1,
      restarts: 1,
    })

    client.heard.length = 0
    const second = start(broker.url, state, { NOTIFY_SOCKET: manager.socket, GAPCAM_CUDA_RESTART: 'always' })
    await second.until(
      /CUDA is lost again after 1 restart: the CPU serves, and gapcam restarts in 10 min to get the GPU back/,
      60_000,
    )
    await until(() => health(client).gpu?.restart_wanted === true, 'health after the loss', 20_000)
    // Ten minutes from the loss on. A busy machine may read them a minute later.
    const { restart_in_s: inSeconds, ...gpu } = health(client).gpu!
    expect(gpu).toMatchObject({ state: 'off', restart_wanted: true, restarts: 1 })
    expect(inSeconds).toBeLessThanOrEqual(600)
    expect(inSeconds).toBeGreaterThan(530)
    await until(
      () =>
        client.heard.filter(({ topic, payload }) => topic === `${root}/cam0/result` && payload.includes('native-'))
          .length > 5,
      'results of the CPU',
    )
    second.kill('SIGTERM')
    expect(await second.ended).toBe(143)
  },
  240_000,
)

it.skipIf(!hasMosquitto)(
  'without a service manager it stays and warns, and health asks for a restart (skipped without mosquitto)',
  async () => {
    const broker = await startMosquitto()
    const client = await listen(broker.url)
    const run = start(broker.url, join(state, 'alone'), {})
    await run.until(
      /CUDA is lost until gapcam starts again, and gapcam does not restart for it: there is no service manager to start it again/,
      60_000,
    )
    await until(() => health(client).gpu?.restart_wanted === true, 'health after the loss', 20_000)
    expect(health(client).gpu).toMatchObject({ restart_wanted: true, restarts: 0 })
    expect(health(client).gpu).not.toHaveProperty('restart_in_s')
    run.kill('SIGTERM')
    expect(await run.ended).toBe(143)
  },
  240_000,
)
