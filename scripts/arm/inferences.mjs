// Runs inside the emulated board:  node inferences.mjs PACKAGE|ADDON MODEL|PLAN RUNS SHAPE [TARGET]
// Opens one session on one thread and runs it RUNS times: a plan with the addon, a model with onnxruntime.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const [engine, file, runs, shape, target] = process.argv.slice(2)
const module = createRequire(import.meta.url)(engine)

if (engine.endsWith('.node')) {
  const session = module.openSessionSync(readFileSync(file), { threads: 1, ...(target ? { target } : {}) })
  for (let i = 0; i < Number(runs); i++) session.runSync()
} else {
  const session = await module.InferenceSession.create(file, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  })
  const dims = JSON.parse(shape)
  const tensor = new module.Tensor(
    'float32',
    new Float32Array(dims.reduce((product, size) => product * size, 1)).fill(0.5),
    dims,
  )
  for (let i = 0; i < Number(runs); i++) await session.run({ [session.inputNames[0]]: tensor })
}
process.exit(0)
