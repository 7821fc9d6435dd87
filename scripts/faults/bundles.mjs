// Kills a program at random moments while it installs, confirms and rolls back bundles, and checks after each kill that the
// pointer names whole bundles only, and that the next program can go on. SIGKILL stands in for a power cut: what was written
// but not yet put on the disk survives it, so the order of the syncs is not shown by this.
//   node scripts/faults/bundles.mjs [--kills 1000] [--seed 1] [--stores 1]    the kills are divided over stores that run side by side
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { bundleBytes } from '../../dist/bundle/archive.js'
import { packBundle } from '../../dist/bundle/pack.js'
import { openBundleStore } from '../../dist/bundle/store.js'
import { randomOf } from './disk.mjs'
import { pause, temporaryFolder } from './parts.mjs'

const at = (path) => fileURLToPath(new URL(path, import.meta.url))

async function pack(folder, version) {
  const { head, files } = await packBundle({
    model: at('../../models/convnet-gap.onnx'),
    name: 'small',
    version,
    license: 'Apache-2.0',
    pictures: [at('../../models/photos/cat.jpg')],
    heads: new Map(),
    reading: {},
  })
  const file = join(folder, `${version}.gapcam`)
  writeFileSync(file, await bundleBytes(head, files))
  return file
}

/** What is wrong with the store; null: the pointer names whole bundles only. */
function damageOf(store) {
  for (const [name, { serving, other }] of Object.entries(store.entries()))
    for (const slot of [serving, other].filter(Boolean)) {
      const { files } = store.manifestOf(slot)
      for (const { path, sha256 } of files) {
        const found = createHash('sha256')
          .update(readFileSync(join(store.placeOf(slot), path)))
          .digest('hex')
        if (found !== sha256) return `${name}: ${path} is damaged`
      }
    }
  return null
}

/** Starts the victim on the store in `folder/name`. */
function start(folder, name, bundles) {
  const child = spawn(process.execPath, [at('bundle-victim.mjs'), join(folder, name), ...bundles], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  const closed = once(child, 'close')
  return {
    async says(word) {
      while (!output.includes(word) && child.exitCode === null) await pause(2)
    },
    async kill() {
      child.kill('SIGKILL')
      await closed
      return output
    },
  }
}

/** How long the first two rounds of the victim take on this machine at present. */
async function timed(folder, bundles) {
  const victim = start(folder, 'timing', bundles)
  await victim.says('ready')
  const before = performance.now()
  await victim.says('roll back 1')
  await victim.kill()
  return performance.now() - before
}

/** Kills the victim of one store `kills` times, and adds what it finds to `report`. */
async function campaign({ folder, name, bundles, roundMs, kills, random, report }) {
  const store = openBundleStore(join(folder, name))
  for (let kill = 1; kill <= kills; kill++) {
    const victim = start(folder, name, bundles)
    // Every second one has completed a change before; the others may be killed in their first.
    await victim.says(kill % 2 === 0 ? '+ ' : 'ready')
    await pause(random() * roundMs)
    const output = await victim.kill()
    const failed = (what) => report.failures.push(`${name}, kill ${kill}: ${what}`)
    report.kills++
    report.changes += output.split('\n').filter((line) => line.startsWith('+')).length
    for (const line of output.split('\n')) if (line.startsWith('!')) failed(line)
    try {
      const damage = damageOf(store)
      if (damage !== null) failed(damage)
      const version = store.entries().small?.serving?.version ?? 'none'
      report.versions[version] = (report.versions[version] ?? 0) + 1
    } catch (error) {
      failed(error.message)
    }
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      stores: { type: 'string', default: '1' },
    },
  })
  const { folder, remove } = temporaryFolder()
  const report = { kills: 0, changes: 0, versions: {}, failures: [] }
  const [kills, seed, stores] = [Number(values.kills), Number(values.seed), Number(values.stores)]
  try {
    const bundles = [await pack(folder, '1.0.0'), await pack(folder, '2.0.0')]
    const roundMs = await timed(folder, bundles)
    const shares = Array.from({ length: stores }, (_, i) => Math.floor((kills + i) / stores))
    await Promise.all(
      shares.map((share, i) => {
        const random = randomOf(seed * 1000 + i)
        return campaign({ folder, name: `store ${i}`, bundles, roundMs, kills: share, random, report })
      }),
    )
  } finally {
    remove()
  }
  process.stdout.write(`${JSON.stringify(report)}\n`)
  process.exitCode = report.failures.length === 0 ? 0 : 1
}

await main()
