// Runs compiled plans with the addon and prints each one's outputs as a JSON line: what the tests under emulation run,
// where compiling a large model would take minutes. Arguments: ADDON, JSON [{plan, input, target?}]; input is a file of
// float32.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const [addon, cases] = process.argv.slice(2)
const { openSessionSync } = createRequire(import.meta.url)(addon)

for (const { plan, input, target } of JSON.parse(cases)) {
  const session = openSessionSync(readFileSync(plan), { threads: 1, ...(target ? { target } : {}) })
  const { buffer, byteOffset, byteLength } = readFileSync(input)
  session.inputs[0].data.set(new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength)))
  session.runSync()
  const values = session.outputs.flatMap(({ data }) => Array.from(data))
  console.log(JSON.stringify({ target: session.target, kernels: session.steps.map(({ kernel }) => kernel), values }))
}
process.exit(0)
