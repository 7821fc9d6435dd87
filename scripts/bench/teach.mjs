// Times teaching: a fit of 5 states with 20 pictures each, whose vectors are at hand, and what a taught head adds to a frame.
//   node scripts/bench/teach.mjs [--model FILE] [--rounds N] [--json]
// A fit is timed from an empty memory. For the frame three engines run in turns on one thread, each behind a write of its picture:
// the network as its file has it, the network up to the mean of its last map, and what a zone is served (the network with the pooled
// vectors, then the head with novelty). The served one has no classes of the network's own, so that both others are told beside it.
// Times are of the processor, of all threads together, so that other programs change them little; the fit is told by the clock too.
// `scripts/arm/fit.mjs` counts the instructions of a fit on arm64.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openEngine } from '../../dist/engine/select.js'
import { loadModel } from '../../dist/model/load.js'
import { partsOf } from '../../dist/teach/features.js'
import { fitHead, fitMemory } from '../../dist/teach/head.js'
import { openTeacher } from '../../dist/teach/teacher.js'
import { makeLesson } from './teach-lesson.mjs'

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: new URL('../../models/efficientnet-lite0.onnx', import.meta.url).pathname },
    rounds: { type: 'string', default: '30' },
    json: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
/** Milliseconds of the processor and of the clock that some work takes. */
async function timed(work) {
  const [start, before] = [performance.now(), process.cpuUsage()]
  await work()
  const { user, system } = process.cpuUsage(before)
  return { processor: (user + system) / 1000, clock: performance.now() - start }
}
const statistics = (times) => {
  const sorted = times.toSorted((a, b) => a - b)
  return { min: sorted[0], median: sorted[Math.floor(sorted.length / 2)] }
}

async function timeFits() {
  const { lesson, ordinary } = makeLesson(partsOf)
  const [clock, processor] = [[], []]
  let fit
  for (let i = 0; i < rounds; i++) {
    const memory = fitMemory(ordinary, lesson.parts)
    const times = await timed(async () => {
      fit = await fitHead(lesson, memory)
    })
    clock.push(times.clock)
    processor.push(times.processor)
  }
  return { times: { processor: statistics(processor), clock: statistics(clock) }, head: fit.head }
}

/** Milliseconds of the processor for a frame, by engine. */
async function timeFrames(head) {
  const teacher = await openTeacher({ model: values.model, engine: { threads: 1 } })
  const file = await loadModel(values.model)
  const inputSize = { height: teacher.model.height, width: teacher.model.width }
  const plain = await openEngine(file, 'auto', { threads: 1, inputSize })
  const mean = file.graph.nodes.find(({ op }) => op === 'GlobalAveragePool' || op === 'ReduceMean').outputs[0]
  const bare = await openEngine(file, 'auto', { threads: 1, inputSize, outputs: [mean] })
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-bench-'))
  try {
    const headFile = join(folder, 'head.onnx')
    writeFileSync(headFile, teacher.headBytes(head))
    const served = await teacher.serve(headFile, 'bench')
    const engines = { network: plain, withoutClasses: bare, taught: served.engine }
    const times = { network: [], withoutClasses: [], taught: [] }
    const picture = Float32Array.from(plain.inputs[0].data, (_, i) => Math.sin(i))
    for (let i = 0; i < rounds * 4; i++)
      for (const [name, engine] of Object.entries(engines)) {
        engine.inputs[0].data.set(picture)
        times[name].push((await timed(() => engine.run())).processor)
      }
    await served.close()
    return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, statistics(all)]))
  } finally {
    await plain.close()
    await bare.close()
    await teacher.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

const { times: fit, head } = await timeFits()
const frame = await timeFrames(head)
// A virtual machine's least processor times can be false: time that the host took is missing from them. Medians are not.
const share = (of) => frame.taught.median / of.median - 1
const shares = { ofNetwork: share(frame.network), ofNetworkWithoutClasses: share(frame.withoutClasses) }
if (values.json) console.log(JSON.stringify({ fit, frame, shares }))
else {
  const ms = ({ min, median }) => `${min.toFixed(2)} ms (median ${median.toFixed(2)})`
  const percent = (value) => `${(value * 100).toFixed(2)} %`
  console.log(`fitting 5 states of 20 pictures: ${ms(fit.processor)} of the processor, ${ms(fit.clock)} by the clock`)
  console.log(`a frame: network with its classes ${ms(frame.network)}, without them ${ms(frame.withoutClasses)}`)
  console.log(`a frame of a taught zone, with head and novelty of 100 pictures: ${ms(frame.taught)}`)
  console.log(`that is, by the medians, ${percent(shares.ofNetwork)} more than the network with its classes,`)
  console.log(`and ${percent(shares.ofNetworkWithoutClasses)} more than the network without them`)
}
