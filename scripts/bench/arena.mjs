// Prints the bytes that each network's plan needs:  node scripts/bench/arena.mjs [MODEL...] [--json]
// It shows the arena, the lower bound that the tensors' lifetimes allow, and the constants. It runs and times nothing.
import { parseArgs } from 'node:util'
import { compilePlan } from '../../dist/model/compile.js'
import { loadModel } from '../../dist/model/load.js'
import { prepareGraph } from '../../dist/model/prepare.js'
import { nameOf, sizeFor, zoo } from './performance/models.mjs'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false } },
})
const models = []
for (const file of positionals.length > 0 ? positionals : zoo()) {
  const { graph } = await loadModel(file)
  const compiled = compilePlan(prepareGraph(graph, sizeFor(graph)))
  if (!('plan' in compiled)) continue
  const {
    plan: { arenaBytes, constantBytes },
    lowerBoundBytes,
  } = compiled
  models.push({ model: nameOf(file), arenaBytes, lowerBoundBytes, ratio: arenaBytes / lowerBoundBytes, constantBytes })
  console.error(
    `${nameOf(file).padEnd(20)} arena ${arenaBytes} bytes, lower bound ${lowerBoundBytes}, constants ${constantBytes}`,
  )
}
if (options.json) console.log(JSON.stringify({ models }))
