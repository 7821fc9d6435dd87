// Times every kernel alone on the shapes of real networks: one plan for each different step, on one thread unless --threads
// says otherwise. Data that fits stays in the cache.
//
//   node scripts/bench/kernels.mjs [MODEL...] [--target avx2] [--threads 1] [--ms 60] [--kernel TEXT] [--json]
//
// --ms: time for each step. --kernel: only kernels with TEXT in their name.
import { parseArgs } from 'node:util'
import { loadAddon } from '../../dist/addon.js'
import { compilePlan } from '../../dist/model/compile.js'
import { loadModel } from '../../dist/model/load.js'
import { align64, serializeOutline } from '../../dist/model/plan.js'
import { tensorBytes } from '../../dist/model/steps.js'
import { prepareGraph } from '../../dist/model/prepare.js'
import { nameOf, sizeFor, zoo } from './performance/models.mjs'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    target: { type: 'string' },
    threads: { type: 'string', default: '1' },
    ms: { type: 'string', default: '60' },
    kernel: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
})
const loaded = loadAddon()
if ('reason' in loaded) throw new Error(loaded.reason)
const { addon } = loaded
const session = { threads: Number(options.threads), ...(options.target ? { target: options.target } : {}) }

async function planOf(file) {
  const { graph } = await loadModel(file)
  const compiled = compilePlan(prepareGraph(graph, sizeFor(graph)))
  return 'plan' in compiled ? compiled.plan : null
}

/** Makes a plan of one step: its tensors do not overlap, its constants are unchanged. */
function alone(plan, step) {
  const used = [...new Set([...step.inputs, ...step.outputs].filter((id) => id !== null))]
  const index = (id) => (id === null ? null : used.indexOf(id))
  let arenaBytes = 0
  const tensors = used.map((id) => {
    const tensor = plan.tensors[id]
    if (tensor.storage === 'constant') return tensor
    const placed = { ...tensor, offset: arenaBytes }
    arenaBytes += align64(tensorBytes(tensor))
    return placed
  })
  const chunks = plan.constants.filter(({ offset }) =>
    tensors.some((tensor) => tensor.storage === 'constant' && tensor.offset === offset),
  )
  const port = (id) => ({ name: `t${id}`, tensor: index(id), layout: 'none' })
  const isArena = (id) => id !== null && plan.tensors[id].storage === 'arena'
  return {
    tensors,
    steps: [{ ...step, inputs: step.inputs.map(index), outputs: step.outputs.map(index) }],
    inputs: [...new Set(step.inputs.filter(isArena))].map(port),
    outputs: step.outputs.filter(isArena).map(port),
    arenaBytes,
    constants: chunks,
    constantBytes: plan.constantBytes,
  }
}

/** A key from a step's kind and tensor shapes. Steps with the same key are timed once. */
function describe(plan, { kind, inputs, outputs, parameters }) {
  const shape = (id) => (id === null ? '-' : plan.tensors[id].shape.join('×'))
  const told = Object.entries(parameters)
    .filter(
      ([name, value]) => !(value === 0 || value === 'none' || (value === 1 && /^(stride|dilation|groups)/.test(name))),
    )
    .map(([name, value]) => `${name} ${value}`)
  return `${kind} ${inputs.map(shape).join(' ')} → ${outputs.map(shape).join(' ')}${told.length > 0 ? `; ${told.join(', ')}` : ''}`
}

/** The minimum time in milliseconds over rounds of about 10 ms. */
async function time(open) {
  let [least] = await open.profile(3)
  const rounds = Math.max(1, Math.min(100_000, Math.round(1e7 / least)))
  const end = performance.now() + Number(options.ms)
  do least = Math.min(least, (await open.profile(rounds))[0])
  while (performance.now() < end)
  return least / 1e6
}

async function measure(plan, step, peak) {
  const single = alone(plan, step)
  const open = await addon.openSession(serializeOutline(single), { ...session, constants: single.constants })
  try {
    const [{ kernel, flops, inputBytes, outputBytes, weightBytes }] = open.steps
    if (!kernel.includes(options.kernel)) return null
    for (const { data } of open.inputs) for (let i = 0; i < data.length; i++) data[i] = Math.sin(i * 0.37)
    const ms = await time(open)
    const gflops = flops > 0 ? flops / ms / 1e6 : null
    return {
      kernel,
      ms,
      gflops,
      peakPercent: gflops === null ? null : (gflops / peak) * 100,
      bytes: inputBytes + outputBytes + weightBytes,
    }
  } finally {
    await open.close()
  }
}

const peakGflops = addon.measurePeak(options.target)
const kernels = new Map()
for (const file of positionals.length > 0 ? positionals : zoo()) {
  const plan = await planOf(file)
  if (plan === null) {
    console.error(`${nameOf(file)}: not covered by the native engine`)
    continue
  }
  for (const step of plan.steps) {
    const shape = describe(plan, step)
    const known = kernels.get(shape)
    if (known) known.models.add(nameOf(file))
    else {
      const result = await measure(plan, step, peakGflops * session.threads)
      if (result === null) continue
      kernels.set(shape, { ...result, shape, models: new Set([nameOf(file)]) })
      const { kernel, ms, gflops, peakPercent } = result
      console.error(
        `${kernel.padEnd(30)} ${ms.toFixed(4).padStart(9)} ms ${gflops === null ? ' '.repeat(22) : `${gflops.toFixed(1).padStart(7)} GFLOP/s ${peakPercent.toFixed(0).padStart(4)} %`}  ${shape}`,
      )
    }
  }
}
const short = (value) => (value === null ? null : Number(value.toPrecision(4)))
const list = [...kernels.values()]
  .map(({ models, ms, gflops, peakPercent, ...row }) => ({
    ...row,
    ms: short(ms),
    gflops: short(gflops),
    peakPercent: short(peakPercent),
    models: [...models],
  }))
  .sort((a, b) => a.kernel.localeCompare(b.kernel) || a.shape.localeCompare(b.shape))
if (options.json) console.log(JSON.stringify({ ...session, peakGflops, kernels: list }))
