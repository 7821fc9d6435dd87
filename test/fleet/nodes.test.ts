/** `gapcam fleet` with real nodes on a real broker: a good bundle reaches every group, a bad one stops at the first. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { bundleBytes } from '../../src/bundle/archive.js'
import { packBundle } from '../../src/bundle/pack.js'
import { signManifest } from '../../src/bundle/signature.js'
import { makeBundle, makeKey, photo } from '../bundle/bundles.js'
import { cleanEnvironment, cli, endAll, gapcam, jsonLines, launch } from '../process.js'
import { cleanUp, hasMosquitto, startMosquitto, temporaryFolder } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

afterEach(async () => {
  await endAll()
  await cleanUp()
})

/** It takes the place of the model that comes with gapcam. */
const name = 'efficientnet-lite0'

/** A signed bundle that expects another answer to its picture than its network gives. */
async function badBundle(folder: string, key: string): Promise<string> {
  const { head, files } = await packBundle({
    model: join(projectRoot, 'models/convnet-gap.onnx'),
    ...{ name, version: '2.0.0', license: 'Apache-2.0', pictures: [photo], heads: new Map(), reading: {} },
  })
  const manifest = JSON.parse(new TextDecoder().decode(head.bytes)) as {
    golden: { pictures: { top: { score: number }[] }[] }
  }
  manifest.golden.pictures[0]!.top[0]!.score = 0.001
  const bytes = new TextEncoder().encode(JSON.stringify(manifest))
  const file = join(folder, `${name}-2.0.0.gapcam`)
  writeFileSync(file, await bundleBytes({ ...head, bytes, signatures: [signManifest(bytes, key)] }, files))
  return file
}

it.each([
  [['status', '--group', 'a/b'], '"a/b" must not contain /'],
  [['rollout', 'x.gapcam', '--group', 'canary', '--then', 'Site'], 'Must consist of a-z, 0-9 and -'],
])('%j: what cannot be the name of a group is refused before any connection', async (args, sentence) => {
  const run = gapcam(['fleet', ...args, '--broker', 'mqtt://127.0.0.1:1'])
  expect(await run.ended).toBe(2)
  expect(run.stderr()).toContain(sentence)
})

it.skipIf(!hasMosquitto)(
  'a good bundle reaches canary and then site-a; a bad one stops at canary (skipped where mosquitto is not installed)',
  async () => {
    const broker = await startMosquitto()
    const folder = temporaryFolder()
    const source = join(folder, 'bundles')
    mkdirSync(source)
    const key = makeKey(folder, 'maker')
    const good = await makeBundle(source, { name, version: '1.0.0', key: key.secret })
    const nodes = [
      ['dock1', 'canary'],
      ['dock2', 'site-a'],
    ] as const
    for (const [node, group] of nodes) {
      const file = join(folder, `${node}.yaml`)
      writeFileSync(
        file,
        `node: ${node}
groups: [${group}]
threads: 1
mqtt: { broker: "${broker.url}" }
homeassistant: false
page: { enabled: false }
cameras: [{ id: cam0, source: "${photo}", fps: 2, loop: true }]
models: { sources: ["${source}"], trust: ["${key.open}"] }
`,
      )
      const run = gapcam(['run', '--config', file])
      await run.until(/connected/)
    }
    const stateDir = join(folder, 'desk')
    const fleet = async (...args: string[]) => {
      const run = launch(process.execPath, [cli, 'fleet', ...args, '--broker', broker.url, '--json'], {
        env: { ...cleanEnvironment(), GAPCAM_STATE_DIR: stateDir },
      })
      const status = await run.ended
      return { status, rows: jsonLines(run.stdout()), stderr: run.stderr() }
    }
    const groups = ['--group', 'canary', '--then', 'site-a', '--max-failures', '1%', '--watch', '0']

    const dry = await fleet('rollout', good.file, ...groups)
    expect(dry.rows).toMatchObject([
      { group: 'canary', nodes: 1, installed: 0 },
      { group: 'site-a', nodes: 1, installed: 0 },
    ])
    const rolled = await fleet('rollout', good.file, ...groups, '--yes')
    expect(rolled.status, rolled.stderr).toBe(0)
    const done = rolled.rows.filter(({ state }) => state === 'done').map(({ node }) => node)
    expect(done).toEqual(['dock1', 'dock2'])

    const bad = await badBundle(source, key.secret)
    const stopped = await fleet('rollout', bad, ...groups, '--yes')
    expect(stopped.status).toBe(4)
    expect(stopped.stderr).toContain('canary: 1 of 1 nodes failed, and 0 may')
    expect(stopped.rows.filter(({ node }) => node === 'dock2')).toEqual([])
    const { rows } = await fleet('status')
    expect(rows).toMatchObject([
      { node: 'dock1', status: 'online', bundle: `${name} 1.0.0`, state: 'settled' },
      { node: 'dock2', status: 'online', bundle: `${name} 1.0.0`, state: 'settled' },
    ])
    const none = await fleet('status', '--group', 'nowhere')
    expect([none.rows, none.stderr]).toEqual([[], 'there is no node in group nowhere\n'])
  },
  240_000,
)
