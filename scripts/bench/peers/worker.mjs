// Runs one Node peer (gapcam or onnxruntime-node) with the arguments and the protocol of worker.py:
//   node worker.mjs PEER MODEL THREADS INPUT SHAPE TYPE
// Besides {"warm", "runs"} gapcam answers {"peak": true} with the FMA peak of a core, in GFLOP/s.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [peer, model, threads, source, shapeText, type] = process.argv.slice(2)
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
  const values = type === 'uint8' ? Uint8Array.from(picture) : picture
  const feeds = { [session.inputNames[0]]: new Tensor(type, values, shape) }
  return { run: async () => (await session.run(feeds))[session.outputNames[0]].data }
}

/** The picture as the bytes of an 8-bit network. */
function encoded({ scale, zeroPoint, type: byte }) {
  const [least, most] = byte === 'int8' ? [-128, 127] : [0, 255]
  return picture.map((value) => Math.max(least, Math.min(most, Math.round(value / scale) + zeroPoint)))
}

/** The picture is already in the network's input, where the pixel pass writes it: as bytes if the network has 8 bits. */
async function openGapcam() {
  const { openEngine } = await import('../../../dist/engine/select.js')
  const { nchwToNhwc } = await import('../../../dist/engine/layout.js')
  const { loadAddon } = await import('../../../dist/addon.js')
  const engine = await openEngine(model, 'native', {
    threads: Number(threads),
    byteInputs: true,
    ...(type === 'uint8' ? {} : { inputSize: { height: shape[2], width: shape[3] } }),
  })
  const [input] = engine.inputs
  const values = type === 'uint8' || !input.code ? picture : encoded(input.code)
  if (input.inFileOrder) input.data.set(values)
  else nchwToNhwc(values, shape, input.data)
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
