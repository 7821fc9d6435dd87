// Measures the cost of heat maps: the feature map as an extra output, the product for one class, the box, and the lens
// watch's pass over the input. Runs with and without them alternate, so a change of the machine's speed affects both.
//
//   node scripts/bench/heat.mjs [MODEL...] [--engine native|onnxruntime] [--threads 1] [--rounds 200] [--json]
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { openClassifier } from '../../dist/classifier.js'
import { focusOf } from '../../dist/heat/focus.js'
import { createLensMeter } from '../../dist/lens/statistics.js'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: 'string', default: 'native' },
    threads: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '200' },
    json: { type: 'boolean', default: false },
  },
})
const shipped = ['efficientnet-lite0', 'convnet-gap'].map((name) =>
  fileURLToPath(new URL(`../../models/${name}.onnx`, import.meta.url)),
)
const rounds = Number(options.rounds)

function percentiles(times) {
  const sorted = times.toSorted((a, b) => a - b)
  return { medianUs: sorted[sorted.length >> 1] * 1000, leastUs: sorted[0] * 1000 }
}

async function timed(work) {
  const start = performance.now()
  await work()
  return performance.now() - start
}

async function measure(model) {
  const common = { model, engine: options.engine, threads: Number(options.threads) }
  const plain = await openClassifier(common)
  const mapped = await openClassifier({ ...common, heat: true })
  if (!('heat' in mapped.heat)) throw new Error(`${model}: ${mapped.heat.reason}`)
  const { heat } = mapped.heat
  for (const { input } of [plain, mapped]) for (let i = 0; i < input.data.length; i++) input.data[i] = Math.sin(i)
  const meter = createLensMeter(mapped.preprocessing(), 640, 480)
  const times = { without: [], with: [], product: [], box: [], lens: [] }
  for (let i = 0; i < rounds + 20; i++) {
    const order =
      i % 2 === 0
        ? [
            ['without', plain],
            ['with', mapped],
          ]
        : [
            ['with', mapped],
            ['without', plain],
          ]
    const taken = {}
    for (const [name, { engine }] of order) taken[name] = await timed(() => engine.run())
    let map
    taken.product = await timed(() => {
      map = heat(i % mapped.labels.length)
    })
    taken.box = await timed(() => focusOf(map))
    taken.lens = await timed(() => meter(mapped.input.data))
    if (i >= 20) for (const [name, ms] of Object.entries(taken)) times[name].push(ms)
  }
  const results = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, percentiles(list)]))
  const { engine, target } = mapped.engine.describe()
  await plain.close()
  await mapped.close()
  return { model: mapped.modelId, engine: `${engine} ${target}`, threads: Number(options.threads), rounds, ...results }
}

const models = []
for (const model of positionals.length > 0 ? positionals : shipped) {
  models.push(await measure(model))
  const { model: name, engine, ...result } = models.at(-1)
  const base = result.without.medianUs
  const row = (what, us) =>
    `  ${what.padEnd(34)} ${us.toFixed(1).padStart(9)} µs  ${((us / base) * 100).toFixed(2).padStart(7)} %`
  console.error(
    [
      `${name}, ${engine}, ${result.threads} thread(s), medians of ${rounds}`,
      row('inference without the map', base),
      row('the map as an output adds', result.with.medianUs - base),
      row('product for one class', result.product.medianUs),
      row('box around the strongest region', result.box.medianUs),
      row('lens watch', result.lens.medianUs),
    ].join('\n'),
  )
}
if (options.json) console.log(JSON.stringify({ models }))
