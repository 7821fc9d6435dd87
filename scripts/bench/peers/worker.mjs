// Runs one Node peer (gapcam or onnxruntime-node) with the arguments and the protocol of worker.py:
//   node worker.mjs PEER MODEL THREADS INPUT SHAPE
// Besides {"warm", "runs"} gapcam answers {"peak": true} with the FMA peak of a core, in GFLOP/s.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [peer, model, threads, source, shapeText] = process.argv.slice(2)
const bytes = readFileSync(source)
const picture = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
const shape = shapeText.split(',').map(Number)

async function openOnnxruntime() {
  const { InferenceSession, Tensor } = (await import('onnxruntime-node')).default
  const session = await InferenceSession.create(model, {
    intraOpNumThreads: Number(threads),
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  })
  const feeds = { [session.inputNames[0]]: new Tensor('float32', picture, shape) }
  return { run: async () => (await session.run(feeds))[session.outputNames[0]].data }
}

/** The picture is already in the network's input, where the pixel pass writes it. */
async function openGapcam() {
  const { openEngine } = await import('../../../dist/engine/select.js')
  const { nchwToNhwc } = await import('../../../dist/engine/layout.js')
  const { loadAddon } = await import('../../../dist/addon.js')
  const engine = await openEngine(model, 'native', {
    threads: Number(threads),
    inputSize: { height: shape[2], width: shape[3] },
  })
  const [input] = engine.inputs
  if (input.inFileOrder) input.data.set(picture)
  else nchwToNhwc(picture, shape, input.data)
  const { target } = engine.describe()
  return {
    target,
    peak: () => loadAddon().addon.measurePeak(target),
    run: async () => {
      await engine.run()
      return engine.outputs[0].data
    },
  }
}

const reply = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

async function timed(run, runs) {
  const ms = []
  const cpuMs = []
  for (let i = 0; i < runs; i++) {
    const cpu = process.cpuUsage()
    const start = performance.now()
    await run()
    ms.push(performance.now() - start)
    const { user, system } = process.cpuUsage(cpu)
    cpuMs.push((user + system) / 1000)
  }
  return { ms, cpuMs }
}

const { run, peak, target } = await (peer === 'gapcam' ? openGapcam() : openOnnxruntime())
reply({ output: Array.from(await run()), ...(target ? { target } : {}) })
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line)
  if (order.peak) {
    reply({ peak: peak() })
    continue
  }
  for (let i = 0; i < order.warm; i++) await run()
  reply(await timed(run, order.runs))
}
process.exit(0)
