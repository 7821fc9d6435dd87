// Runs models natively and prints each one's outputs as a JSON line: what the parity tests run under emulation, where
// only plain JavaScript runs. Arguments: JSON [{path, inputSize?, seed}].
import { openModel } from '../../dist/index.js'

/** The same numbers as test/random.ts makes (mulberry32, sums of twelve). */
function normals(seed, length) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return Float32Array.from({ length }, () => {
    let sum = -6
    for (let i = 0; i < 12; i++) sum += next()
    return sum
  })
}

for (const { path, inputSize, seed } of JSON.parse(process.argv[2])) {
  const model = await openModel(path, { engine: 'native', threads: 1, ...(inputSize ? { inputSize } : {}) })
  const feeds = Object.fromEntries(
    model.inputs.map(({ name, shape }, i) => [
      name,
      normals(
        seed + i,
        shape.reduce((a, b) => a * b, 1),
      ),
    ]),
  )
  const outputs = await model.run(feeds)
  const { target } = model.describe()
  console.log(
    JSON.stringify({
      path,
      target,
      arch: process.arch,
      values: Object.values(outputs).flatMap(({ data }) => Array.from(data)),
    }),
  )
  await model.close()
}
