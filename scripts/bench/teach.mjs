// Times teaching: a fit of 5 states with 20 pictures each, whose vectors are at hand, and what a taught head adds to a frame.
//   node scripts/bench/teach.mjs [--model FILE] [--rounds N] [--json]
// A fit is timed from an empty memory. For the frame the network as its file has it, and what a zone is served (the network with the
// pooled vectors, then the head with novelty), run in turns on one thread; the difference of the minima is the cost of the head. Times are of the processor, of all threads together, so that other
// programs change them little; the fit is told by the clock too. `scripts/arm/fit.mjs` counts the instructions of a fit on arm64.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openClassifier } from '../../dist/classifier.js'
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

/** Milliseconds of the processor for a frame without and with the head. */
async function timeFrames(head) {
  const teacher = await openTeacher({ model: values.model, engine: { threads: 1 } })
  const plain = await openClassifier({ model: values.model, threads: 1 })
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-bench-'))
  try {
    const file = join(folder, 'head.onnx')
    writeFileSync(file, teacher.headBytes(head))
    const served = await teacher.serve(file, 'bench')
    const [alone, both] = [[], []]
    for (let i = 0; i < rounds * 4; i++)
      for (const [engine, times] of [
        [plain.engine, alone],
        [served.engine, both],
      ]) {
        times.push((await timed(() => engine.run())).processor)
      }
    await served.close()
    return { alone: statistics(alone), both: statistics(both) }
  } finally {
    await plain.close()
    await teacher.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

const { times: fit, head } = await timeFits()
const frame = await timeFrames(head)
const share = frame.both.min / frame.alone.min - 1
if (values.json) console.log(JSON.stringify({ fit, frame, share }))
else {
  const ms = ({ min, median }) => `${min.toFixed(1)} ms (median ${median.toFixed(1)})`
  console.log(`fitting 5 states of 20 pictures: ${ms(fit.processor)} of the processor, ${ms(fit.clock)} by the clock`)
  console.log(`a frame, network alone: ${ms(frame.alone)}; with head and novelty of 100 pictures: ${ms(frame.both)}`)
  console.log(`head and novelty add ${(share * 100).toFixed(2)} %`)
}
