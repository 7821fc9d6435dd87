// How many objects `detect: maps` finds: scenes of one to three photographs on a background of smooth light and noise.
//   npm run build && node scripts/bench/maps.mjs [--scenes 60] [--images FOLDER] [--seed 22] [--model FILE]
// Prints, for scenes of one, two and three objects: the share of objects with a box of an overlap (intersection over union) of
// at least 0.3 and 0.5, the mean overlap of their best boxes, the share with the label that the photograph alone gets, boxes
// that are on no object, and the time of a scene.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { openClassifier } from '../../dist/classifier.js'
import { detectByMaps, mapsDefaults } from '../../dist/classifier/maps.js'
import { overlapOfBoxes } from '../../dist/decision/tracks.js'
import { frameOf } from '../../dist/frame.js'

const { values } = parseArgs({
  options: {
    scenes: { type: 'string', default: '60' },
    images: { type: 'string', default: new URL('../../models/photos', import.meta.url).pathname },
    seed: { type: 'string', default: '22' },
    model: { type: 'string', default: new URL('../../models/efficientnet-lite0.onnx', import.meta.url).pathname },
    options: { type: 'string', default: '{}' },
  },
})
const [width, height] = [640, 480]
let state = Number(values.seed) >>> 0
/** mulberry32 */
function random() {
  state = (state + 0x6d2b79f5) >>> 0
  let t = state
  t = Math.imul(t ^ (t >>> 15), t | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}
const files = readdirSync(values.images)
  .filter((name) => name.endsWith('.jpg'))
  .sort()
  .map((name) => join(values.images, name))

/** Where so many squares lie without touching. */
function placesOf(count) {
  for (;;) {
    const places = Array.from({ length: count }, () => {
      const side = Math.round(140 + random() * 100)
      return { side, left: Math.floor(random() * (width - side)), top: Math.floor(random() * (height - side)) }
    })
    const isApart = (a, b) =>
      a.left + a.side < b.left || b.left + b.side < a.left || a.top + a.side < b.top || b.top + b.side < a.top
    if (places.every((a, i) => places.slice(0, i).every((b) => isApart(a, b)))) return places
  }
}

async function sceneOf(count) {
  const pixels = new Uint8Array(width * height * 3)
  const tint = [random(), random(), random()].map((v) => 0.8 + 0.4 * v)
  const [phase, slant] = [random() * 6, random() * 6]
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const light =
        120 + 50 * Math.sin((2 * x) / width + phase) * Math.cos((2 * y) / height + slant) + (random() - 0.5) * 20
      for (let c = 0; c < 3; c++) pixels[(y * width + x) * 3 + c] = Math.min(255, Math.max(0, light * tint[c]))
    }
  const objects = []
  for (const { side, left, top } of placesOf(count)) {
    const file = files[Math.floor(random() * files.length)]
    const rgb = await sharp(file).resize(side, side, { fit: 'cover' }).removeAlpha().raw().toBuffer()
    for (let y = 0; y < side; y++)
      pixels.set(rgb.subarray(y * side * 3, (y + 1) * side * 3), ((top + y) * width + left) * 3)
    objects.push({
      box: { x: left / width, y: top / height, width: side / width, height: side / height },
      label: await labelOf(file, rgb, side),
    })
  }
  return { frame: frameOf({ data: pixels, width, height }), objects }
}

const classifier = await openClassifier({ model: values.model, heat: true, threads: 1 })
const labels = new Map()
/** The label of the photograph by itself. */
async function labelOf(file, rgb, side) {
  if (!labels.has(file)) {
    const outcome = await classifier.classify(frameOf({ data: new Uint8Array(rgb), width: side, height: side }))
    labels.set(file, outcome.prediction.top[0].label)
  }
  return labels.get(file)
}

const detector = detectByMaps(classifier, { ...mapsDefaults, ...JSON.parse(values.options) })
const share = (part, all) => `${((100 * part) / all).toFixed(1)} %`
console.log(
  `${values.scenes} scenes each, ${files.length} photographs, engine ${classifier.engine.describe().target}, one thread`,
)
console.log(
  '| objects | overlap ≥ 0.3 | overlap ≥ 0.5 | mean overlap | right label | boxes on no object | ms a scene |',
)
console.log('| --- | --- | --- | --- | --- | --- | --- |')
const sum = { objects: 0, loose: 0, tight: 0, overlap: 0, named: 0, stray: 0, ms: [] }
for (const count of [1, 2, 3]) {
  const own = { objects: 0, loose: 0, tight: 0, overlap: 0, named: 0, stray: 0, ms: [] }
  for (let i = 0; i < Number(values.scenes); i++) {
    const { frame, objects } = await sceneOf(count)
    const start = performance.now()
    const outcome = await detector.classify(frame)
    own.ms.push(performance.now() - start)
    const { boxes } = outcome.prediction.found
    for (const { box, label } of objects) {
      const best = Math.max(0, ...boxes.map((found) => overlapOfBoxes(found, box)))
      own.objects++
      own.overlap += best
      if (best >= 0.3) own.loose++
      if (best >= 0.5) own.tight++
      if (boxes.some((found) => found.label === label && overlapOfBoxes(found, box) >= 0.3)) own.named++
    }
    own.stray += boxes.filter((found) => objects.every(({ box }) => overlapOfBoxes(found, box) < 0.1)).length
  }
  row(String(count), own, Number(values.scenes))
  for (const key of Object.keys(sum)) sum[key] = key === 'ms' ? [...sum.ms, ...own.ms] : sum[key] + own[key]
}
row('all', sum, 3 * Number(values.scenes))
await classifier.close()

function row(name, { objects, loose, tight, overlap, named, stray, ms }, scenes) {
  const median = ms.toSorted((a, b) => a - b)[Math.floor(ms.length / 2)]
  console.log(
    `| ${name} | ${share(loose, objects)} | ${share(tight, objects)} | ${(overlap / objects).toFixed(2)} | ${share(named, objects)} | ${(stray / scenes).toFixed(2)} a scene | ${median.toFixed(0)} |`,
  )
}
