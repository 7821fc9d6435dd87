/** Commands to a running gapcam over a real broker: what they do, what survives a crash, what is refused. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import sharp from 'sharp'
import { endAll, gapcam, launch, type Running } from '../process.js'
import { connectClient, type Client } from '../publish/client.js'
import { cleanUp, freePort, retained, startMosquitto, until } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-control-'))
const bird = join(projectRoot, 'models/photos/bird.jpg')
const root = 'gapcam/gapcam'
const clients: Client[] = []
let states = 0

// Several processes a test, on a machine that may be busy.
vi.setConfig({ testTimeout: 180_000 })
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  await endAll()
  await cleanUp()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const freshState = (): string => join(folder, `state${++states}`)
function start(url: string, stateDir: string, more: readonly string[] = []): Running {
  return gapcam([
    'run',
    bird,
    '--loop',
    '--json',
    '--fps',
    '20',
    '--broker',
    url,
    '--set',
    `stateDir=${stateDir}`,
    ...more,
  ])
}
async function listen(url: string): Promise<Client> {
  const client = await connectClient(url)
  clients.push(client)
  return client
}

describe('a running gapcam', () => {
  it('disables and enables a camera: it is closed, its label is withdrawn, and the setting survives SIGKILL', async () => {
    const broker = await startMosquitto()
    const stateDir = freshState()
    const client = await listen(broker.url)
    const first = start(broker.url, stateDir)
    await client.sees(`${root}/cam0/label`, 'chickadee')
    expect(client.last(`${root}/cam0/enabled`)).toBe('ON')
    await client.say(`${root}/cam0/enabled/set`, 'OFF')
    await client.sees(`${root}/cam0/enabled`, 'OFF')
    await client.sees(`${root}/cam0/status`, 'disabled')
    await client.sees(`${root}/cam0/label`, 'unknown')
    await client.sees(`${root}/cam0/state`, /camera_disabled/) // comes behind the label
    expect(JSON.parse(client.last(`${root}/cam0/state`))).toMatchObject({
      label: 'unknown',
      reason: 'camera_disabled',
      prev: 'chickadee',
      score: 0,
      top: [],
    })
    await client.sees(`${root}/response/enabled`, /"ok"/)
    expect(await client.ask(root, 'snapshot')).toMatchObject({ status: 'error', error: 'camera cam0 is disabled' })
    first.kill('SIGKILL')
    await first.ended

    const second = start(broker.url, stateDir)
    await second.until(/camera is disabled/)
    await client.sees(`${root}/cam0/status`, 'disabled')
    await until(async () => (await retained(broker.port, `${root}/status`)) === 'online', 'the second to be there')
    expect(await retained(broker.port, `${root}/cam0/enabled`)).toBe('OFF')
    await client.say(`${root}/cam0/enabled/set`, '{"value":true}')
    await client.sees(`${root}/cam0/label`, 'chickadee')
    await client.sees(`${root}/cam0/status`, 'online')
    expect(
      client.heard.filter(
        ({ topic, payload }) =>
          topic === `${root}/cam0/event` && /camera_lost|camera_recovered/.test(payload.toString()),
      ),
    ).toEqual([])
    second.kill('SIGINT')
    expect(await second.ended).toBe(130)
  })

  it('accepts thresholds and keys, refuses others, and publishes each change once', async () => {
    const broker = await startMosquitto()
    const client = await listen(broker.url)
    const run = start(broker.url, freshState())
    await client.sees(`${root}/cam0/label`, 'chickadee')
    await client.say(`${root}/cam0/threshold/set`, '1')
    await client.sees(`${root}/cam0/threshold`, '1')
    await client.sees(`${root}/cam0/label`, 'unknown')
    expect(await client.ask(root, 'set', { 'policy.threshold': 0.2, 'policy.consecutive': 1 })).toMatchObject({
      status: 'ok',
      data: { values: { 'policy.consecutive': 1 }, cameras: { cam0: { threshold: 0.2 } } },
    })
    await client.sees(`${root}/cam0/threshold`, '0.2')
    await client.sees(`${root}/cam0/label`, 'chickadee')
    expect(await client.ask(root, 'set', { model: '/etc/passwd' })).toMatchObject({
      status: 'error',
      code: 'invalid',
      error: expect.stringContaining('model'),
    })
    expect(await client.ask(root, 'model_install')).toMatchObject({
      status: 'error',
      code: 'not_available',
      error: 'no source of bundles is configured (models.sources)',
    })
    expect(await client.ask(root, 'info')).toMatchObject({
      status: 'ok',
      data: { version: expect.any(String), model: { id: 'efficientnet-lite0' } },
    })
    const before = client.heard.length
    await client.say(`${root}/cam0/threshold/set`, 'wide open')
    await client.ask(root, 'info')
    expect(client.heard.slice(before).filter(({ topic }) => topic === `${root}/response/threshold`)).toHaveLength(1)
    expect(client.last(`${root}/cam0/threshold`)).toBe('0.2')
    run.kill('SIGTERM')
    await run.ended
  })

  it('takes a picture and classifies on request', async () => {
    const broker = await startMosquitto()
    const client = await listen(broker.url)
    const run = start(broker.url, freshState())
    await client.sees(`${root}/cam0/label`, 'chickadee')
    const { data } = await client.ask(root, 'snapshot')
    await until(() => client.heard.some(({ topic }) => topic === `${root}/cam0/image`), 'the picture')
    const image = client.heard.find(({ topic }) => topic === `${root}/cam0/image`)!
    const { format, width, height } = await sharp(image.payload).metadata()
    expect(data).toMatchObject({
      camera: 'cam0',
      topic: `${root}/cam0/image`,
      width,
      height,
      bytes: image.payload.length,
      frame: expect.any(Number),
    })
    expect([format, image.isRetained]).toEqual(['jpeg', false])
    expect(await client.ask(root, 'classify_now', { camera: 'cam0' })).toMatchObject({
      status: 'ok',
      data: { camera: 'cam0', label: 'chickadee', settled: 'chickadee', top: expect.any(Array) },
    })
    run.kill('SIGTERM')
    await run.ended
  })

  it('publishes a heat map of the label or of a named class, and the focus in every state', async () => {
    const broker = await startMosquitto()
    const client = await listen(broker.url)
    const run = start(broker.url, freshState())
    await client.sees(`${root}/cam0/label`, 'chickadee')
    const state = JSON.parse(client.last(`${root}/cam0/state`)) as {
      focus: { x: number; y: number; w: number; h: number }
      problem: string
    }
    expect(state).toMatchObject({
      problem: 'none',
      focus: { x: expect.any(Number), y: expect.any(Number), w: expect.any(Number), h: expect.any(Number) },
    })
    const { data } = await client.ask(root, 'heat')
    await until(() => client.heard.some(({ topic }) => topic === `${root}/cam0/heat`), 'the heat')
    const image = client.heard.find(({ topic }) => topic === `${root}/cam0/heat`)!
    expect(data).toMatchObject({
      camera: 'cam0',
      topic: `${root}/cam0/heat`,
      label: 'chickadee',
      bytes: image.payload.length,
    })
    expect(await sharp(image.payload).metadata()).toMatchObject({ format: 'jpeg', width: 512 })
    expect(await client.ask(root, 'heat', { label: 'macaw' })).toMatchObject({ status: 'ok', data: { label: 'macaw' } })
    expect(await client.ask(root, 'heat', { label: 'unicorn' })).toMatchObject({
      status: 'error',
      error: '"unicorn" is not a label of the model',
    })
    expect(await client.ask(root, 'heat', { label: '1000' })).toMatchObject({
      status: 'error',
      error: 'there is no class 1000: the model has 1000 classes',
    })
    run.kill('SIGTERM')
    await run.ended
  })

  it('writes the flight recording on request, and replay reproduces it bit for bit', async () => {
    const broker = await startMosquitto()
    const client = await listen(broker.url)
    const run = start(broker.url, freshState(), [
      '--set',
      'recorder.enabled=true',
      '--set',
      `recorder.folder=${join(folder, 'flight')}`,
      '--set',
      'recorder.seconds=1',
      '--set',
      'recorder.onLabelChange=false',
    ])
    await client.sees(`${root}/cam0/label`, 'chickadee')
    const answer = await client.ask(root, 'record')
    expect(answer).toMatchObject({
      status: 'ok',
      data: { camera: 'cam0', file: expect.stringMatching(/flight\/cam0-.*\.gcrec$/) },
    })
    run.kill('SIGTERM')
    await run.ended
    const replay = gapcam(['replay', '--json', (answer as { data: { file: string } }).data.file])
    expect(await replay.ended, replay.stderr()).toBe(0)
    const result = JSON.parse(replay.stdout()) as {
      frames: number
      sameBits: number
      reason: string
      demanded: string
      first: unknown
    }
    expect(result).toMatchObject({ reason: 'asked for', demanded: 'bits', first: null, sameBits: result.frames })
    expect(result.frames).toBeGreaterThan(2)
  })

  it('a restart that the broker retained is refused', async () => {
    const broker = await startMosquitto()
    const client = await listen(broker.url)
    await client.say(`${root}/request/restart`, 'PRESS', true)
    const run = start(broker.url, freshState())
    await client.sees(`${root}/cam0/label`, 'chickadee')
    expect(JSON.parse(client.last(`${root}/response/restart`))).toEqual({
      status: 'error',
      code: 'invalid',
      error: 'a retained command is not acted on',
    })
    expect(run.stderr()).toMatch(/is retained and is ignored/)
    expect(run.stderr()).not.toMatch(/restarting/)
    run.kill('SIGTERM')
    expect(await run.ended).toBe(143)
  })

  it('reads its configuration again by message and by SIGHUP, and answers what waits for a restart', async () => {
    const broker = await startMosquitto()
    const client = await listen(broker.url)
    const file = join(folder, 'gapcam.yaml')
    const write = (threshold: number, more = ''): void =>
      writeFileSync(
        file,
        `policy:\n  threshold: ${threshold}\nmqtt:\n  broker: ${broker.url}\n  username: gapcam\n  password: not-told\nstateDir: ${folder}/reload\ncameras:\n  - id: cam0\n    source: ${bird}\n    loop: true\n    fps: 20\n${more}`,
      )
    write(0.3)
    const run = gapcam(['run', '--json', '--config', file])
    await client.sees(`${root}/cam0/label`, 'chickadee')
    write(0.4, '    roi: 0,0,1,0.9\ntopK: 3\n')
    expect(await client.ask(root, 'reload')).toMatchObject({
      status: 'ok',
      data: { changed: ['policy.threshold', 'cameras.cam0.roi'], needsRestart: ['topK'] },
    })
    await client.sees(`${root}/cam0/threshold`, '0.4')
    write(0.5, 'nonsense: 1\n')
    expect(await client.ask(root, 'reload')).toMatchObject({
      status: 'error',
      code: 'invalid',
      error: expect.stringContaining('nonsense'),
    })
    run.kill('SIGHUP')
    await run.until(/"level":"error".*not read again, and stays as it was: .*nonsense/)
    expect(client.last(`${root}/cam0/threshold`)).toBe('0.4')
    write(0.6)
    run.kill('SIGHUP')
    await client.sees(`${root}/cam0/threshold`, '0.6')
    run.kill('SIGTERM')
    expect(await run.ended).toBe(143)
    expect(existsSync(join(folder, 'reload/gapcam/settings.json'))).toBe(false)
  })

  it('accepts commands over the embedded broker too, and announces its device there', async () => {
    const port = await freePort()
    const run = gapcam([
      'run',
      bird,
      '--loop',
      '--json',
      '--fps',
      '10',
      '--set',
      `mqtt.port=${port}`,
      '--set',
      `stateDir=${freshState()}`,
    ])
    await run.until(/"label":"chickadee"/)
    const client = await connectClient(`mqtt://127.0.0.1:${port}`, ['#'], 4)
    clients.push(client)
    await client.sees('homeassistant/device/gapcam_gapcam/config', /gapcam_gapcam_cam0_label/)
    expect(await client.ask(root, 'classify_now')).toMatchObject({ status: 'ok', data: { label: 'chickadee' } })
    await client.say(`${root}/cam0/enabled/set`, 'OFF')
    await client.sees(`${root}/cam0/label`, 'unknown')
    await client.sees(`${root}/cam0/status`, 'disabled')
    run.kill('SIGINT')
    expect(await run.ended).toBe(130)
  })

  it('survives 10,000 malformed commands without a crash, a change or a flood', async () => {
    const run = launch(process.execPath, [join(projectRoot, 'scripts/fuzz/commands.mjs'), '--count', '10000'])
    expect(await run.ended, run.stderr()).toBe(0)
    expect(JSON.parse(run.stdout())).toMatchObject({ sent: 10_000, changes: 0, isAlive: true })
    expect(readFileSync(join(projectRoot, 'scripts/fuzz/commands.mjs'), 'utf8').length).toBeGreaterThan(0)
  })
})
