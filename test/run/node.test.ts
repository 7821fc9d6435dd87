/** A node inside another program: it starts, delivers labels, stops and leaves nothing open, also when it fails to start. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { cleanEnvironment, endAll, jsonLines, launch, type Running } from '../process.js'
import { freePort, retained, until } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-node-'))
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let states = 0
/** An ES module that imports the package by its name. `body` sees `startNode`, `config` and `say`, which prints JSON. */
function program(config: Record<string, unknown>, body: string): Running {
  const given = { logLevel: 'warn', stateDir: join(folder, String(++states)), page: { enabled: false }, ...config }
  const text = `import { startNode } from 'gapcam'
const say = (value) => console.log(JSON.stringify(value))
const config = ${JSON.stringify(given)}
${body}`
  return launch(process.execPath, ['--input-type=module', '-e', text], { cwd: projectRoot, env: cleanEnvironment() })
}

const bird = { id: 'door', source: join(projectRoot, 'models/photos/bird.jpg'), loop: true }

describe('startNode', () => {
  it('shows labels by callback and by iteration, publishes them, and leaves nothing open after stop', async () => {
    const port = await freePort()
    const run = program(
      { node: 'embedded', cameras: [bird], mqtt: { port } },
      `const heard = []
const node = await startNode({ config, onLabel: ({ label }) => heard.push(label) })
for await (const { camera, label, score, previous, at } of node.labels()) {
  say({ camera, label, score, previous, isDate: at instanceof Date, brokerUrl: node.brokerUrl, pageUrl: node.pageUrl })
  break
}
process.once('SIGUSR2', async () => {
  await node.stop()
  await node.ended
  say({ heard })
})`,
    )
    const [line] = await run.until(/^\{.*\}$/m)
    expect(JSON.parse(line)).toMatchObject({
      camera: 'door',
      label: 'chickadee',
      previous: 'unknown',
      isDate: true,
      brokerUrl: `mqtt://127.0.0.1:${port}`,
      pageUrl: null,
    })
    await until(async () => (await retained(port, 'gapcam/embedded/door/label')) === 'chickadee', 'the retained label')
    run.kill('SIGUSR2')
    expect(await run.ended, run.stderr()).toBe(0)
    expect(jsonLines(run.stdout())[1]).toEqual({ heard: ['chickadee'] })
    expect(run.stderr()).toBe('')
  })

  it('serves the page where the configuration says so', async () => {
    const run = program(
      { cameras: [bird], mqtt: { broker: 'none' }, page: { enabled: true, port: 0 } },
      `const node = await startNode({ config })
say((await (await fetch(node.pageUrl + '/api/state')).json()).cameras[0].id)
await node.stop()`,
    )
    expect(await run.ended, run.stderr()).toBe(0)
    expect(run.stdout()).toBe('"door"\n')
  })

  it('ends when its cameras end, and its iteration with it', async () => {
    const run = program(
      { cameras: [{ ...bird, loop: false }], mqtt: { broker: 'none' } },
      `const node = await startNode({ config })
const labels = []
for await (const { label } of node.labels()) labels.push(label)
await node.ended
say(labels)`,
    )
    expect(await run.ended, run.stderr()).toBe(0)
    expect(JSON.parse(run.stdout())).toEqual(['chickadee'])
  })

  it('a signal stops it', async () => {
    const run = program(
      { cameras: [bird], mqtt: { broker: 'none' } },
      `const stopping = new AbortController()
const node = await startNode({ config, signal: stopping.signal, onLabel: () => stopping.abort() })
await node.ended
say('ended')`,
    )
    expect(await run.ended, run.stderr()).toBe(0)
    expect(run.stdout()).toBe('"ended"\n')
  })

  it.each([
    ['a key that does not exist', { treshold: 1 }, 'CONFIG_INVALID', /treshold is not a key/],
    ['a model that does not exist', { model: 'none.onnx' }, 'MODEL_NOT_FOUND', /none\.onnx/],
  ])('rejects for %s', async (_, config, code, message) => {
    const run = program(
      { cameras: [bird], mqtt: { broker: 'none' }, ...config },
      'await startNode({ config }).catch(({ code, message }) => say({ code, message }))',
    )
    expect(await run.ended, run.stderr()).toBe(0)
    expect(JSON.parse(run.stdout())).toEqual({ code, message: expect.stringMatching(message) })
  })

  it('closes what was open before the part that fails: the program ends by itself', async () => {
    const taken = createServer()
    const port = await new Promise<number>((resolve) =>
      taken.listen(0, '127.0.0.1', () => resolve((taken.address() as { port: number }).port)),
    )
    // The page is the last part; the model, the broker and the publisher are open by then.
    const run = program(
      { cameras: [bird], mqtt: { port: await freePort() }, page: { enabled: true, port } },
      'await startNode({ config }).catch(({ code }) => say(code))',
    )
    expect(await run.ended, run.stderr()).toBe(0)
    expect(run.stdout()).toBe('"PORT_IN_USE"\n')
    taken.close()
  })

  it('a camera that is not there rejects `ended`, and the program survives', async () => {
    const run = program(
      { cameras: [{ id: 'door', source: '/dev/video99' }], mqtt: { broker: 'none' }, logLevel: 'silent' },
      `const node = await startNode({ config })
await new Promise((resolve) => setTimeout(resolve, 500))
await node.ended.catch(({ code }) => say(code))`,
    )
    expect(await run.ended, run.stderr()).toBe(0)
    expect(run.stdout()).toBe('"CAMERA_NOT_FOUND"\n')
  })
})

it('importing the package loads nothing of the run-time', async () => {
  const run = launch(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import Module from 'node:module'
import 'gapcam'
const packages = Object.keys(Module._cache).flatMap((file) => /node_modules\\/([^/]+)/.exec(file)?.[1] ?? [])
console.log(packages.filter((name) => ['mqtt', 'aedes', 'fastify', 'sharp', 'yaml', 'pino'].includes(name)).join())`,
    ],
    { cwd: projectRoot, env: cleanEnvironment() },
  )
  expect(await run.ended, run.stderr()).toBe(0)
  expect(run.stdout()).toBe('\n')
})
