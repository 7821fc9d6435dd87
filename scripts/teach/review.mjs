// Prints how well review groups a folder of tasks: groups, purity and the clicks to label everything.
//   node scripts/teach/review.mjs FOLDER [--scenes 6] [--pictures 1000] [--draws n] [--only a,b,...] [--json]
// Each draw takes some scenes (tasks) and pictures evenly from each. A click labels a group with its commonest scene; each picture
// of another scene needs one more click, and pictures that are nearly equal share theirs.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Review } from '../../dist/collector/review.js'
import { PictureStore } from '../../dist/collector/store.js'
import { Vectors } from '../../dist/collector/vectors.js'
import { shippedModel } from '../../dist/config/model.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scenes: { type: 'string', default: '6' },
    pictures: { type: 'string', default: '1000' },
    draws: { type: 'string', default: '5' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const [folder] = positionals
if (!folder) throw new Error('usage: node scripts/teach/review.mjs FOLDER')
const only = values.only?.split(',')
const tasks = JSON.parse(readFileSync(join(folder, 'tasks.json'), 'utf8')).tasks.filter(
  ({ name }) => !only || only.includes(name),
)
const scenes = Math.min(Number(values.scenes), tasks.length)
const engine = { threads: 'auto' }

/** Pictures of a task, evenly from all of them. */
function picturesOf({ name, states }, count) {
  const files = Object.values(states).flatMap(({ teach, test }) => [...teach, ...test].map(({ file }) => file))
  const taken = Math.min(count, files.length)
  return Array.from({ length: taken }, (_, i) => ({ scene: name, file: files[Math.floor((i * files.length) / taken)] }))
}

/** The same scenes for the same draw, the last ones first filled up where a scene has few pictures. */
function drawOf(number) {
  const chosen = Array.from({ length: scenes }, (_, i) => tasks[(number * 3 + i * (number % 2 ? 3 : 1)) % tasks.length])
  const distinct = [...new Set([...chosen, ...tasks])].slice(0, scenes)
  let left = Number(values.pictures)
  return distinct
    .toSorted((a, b) => countOf(a) - countOf(b))
    .flatMap((task, i) => {
      const taken = picturesOf(task, Math.floor(left / (scenes - i)))
      left -= taken.length
      return taken
    })
}

const countOf = ({ states }) =>
  Object.values(states).reduce((sum, { teach, test }) => sum + teach.length + test.length, 0)

async function run(number) {
  const state = mkdtempSync(join(tmpdir(), 'gapcam-review-'))
  const store = new PictureStore({ folder: join(state, 'collected'), maxBytes: 1e9 })
  const review = new Review({ store, vectors: new Vectors({ store, model: shippedModel, engine }), engine })
  try {
    const sceneOf = new Map()
    for (const { scene, file } of drawOf(number)) {
      const about = { zone: 'cam0', atMs: Date.now(), why: 'audit', said: '', score: 0 }
      sceneOf.set(await store.keep(readFileSync(join(folder, file)), about), scene)
    }
    await review.groups()
    const start = performance.now()
    const { groups, waiting } = await review.groups()
    return { ...judged(groups, sceneOf), waiting, ms: Math.round(performance.now() - start) }
  } finally {
    await review.close()
    rmSync(state, { recursive: true, force: true })
  }
}

function judged(groups, sceneOf) {
  let [right, clicks] = [0, 0]
  for (const { pictures } of groups) {
    const counts = new Map()
    for (const { name } of pictures.flat()) counts.set(sceneOf.get(name), (counts.get(sceneOf.get(name)) ?? 0) + 1)
    const [common, most] = [...counts].sort(([, a], [, b]) => b - a)[0]
    right += most
    clicks += 1 + pictures.filter((twins) => twins.some(({ name }) => sceneOf.get(name) !== common)).length
  }
  return {
    scenes: [...new Set(sceneOf.values())],
    pictures: sceneOf.size,
    groups: groups.length,
    pure: Math.round((right / sceneOf.size) * 1000) / 10,
    clicks,
  }
}

const all = []
for (let number = 0; number < Number(values.draws); number++) {
  all.push(await run(number))
  if (!values.json) console.log(JSON.stringify(all.at(-1)))
}
if (values.json) console.log(JSON.stringify(all))
