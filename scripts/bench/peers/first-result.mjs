// Opens a model and runs it once in a fresh process:  node first-result.mjs gapcam|gapcam-kept|gapcam-onnxruntime|onnxruntime-node MODEL THREADS PLANS [SIDE]
// gapcam compiles the model; gapcam-kept takes the plan that an earlier process kept in the folder PLANS.
// Prints one JSON line: milliseconds to import the package, to open the model and to run it once with a picture given
// in the file's order (SIDE by SIDE pixels where the model leaves that open), and the process's peak resident set (VmHWM) in KiB.
import { readFileSync } from 'node:fs'

const [engine, file, threadsText, plans, side] = process.argv.slice(2)
const threads = Number(threadsText)
const start = performance.now()
const module =
  engine === 'onnxruntime-node' ? (await import('onnxruntime-node')).default : await import('../../../dist/index.js')
const imported = performance.now()

const filled = (shape) => new Float32Array(shape.reduce((count, size) => count * size, 1)).fill(0.5)

async function withGapcam() {
  const model = await module.openModel(file, {
    engine: engine === 'gapcam-onnxruntime' ? 'onnxruntime' : 'native',
    threads,
    planCache: engine === 'gapcam-kept' ? plans : false,
    ...(side ? { inputSize: { height: Number(side), width: Number(side) } } : {}),
  })
  const opened = performance.now()
  const outputs = await model.run(filled(model.inputs[0].shape))
  const done = performance.now()
  if (engine === 'gapcam-kept') await model.close() // the plan is on disk afterwards
  return { opened, done, first: Object.values(outputs)[0].data[0] }
}

async function withOnnxruntime() {
  const session = await module.InferenceSession.create(file, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  })
  const opened = performance.now()
  const shape = session.inputMetadata[0].shape.map((size, axis) =>
    size > 0 ? Number(size) : axis > 1 ? Number(side) : 1,
  )
  const outputs = await session.run({ [session.inputNames[0]]: new module.Tensor('float32', filled(shape), shape) })
  return { opened, done: performance.now(), first: outputs[session.outputNames[0]].data[0] }
}

const { opened, done, first } = await (engine === 'onnxruntime-node' ? withOnnxruntime() : withGapcam())
const peakRssKb = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
process.stdout.write(
  `${JSON.stringify({ importMs: imported - start, openMs: opened - imported, firstRunMs: done - opened, peakRssKb, first })}\n`,
  () => process.exit(0),
)
