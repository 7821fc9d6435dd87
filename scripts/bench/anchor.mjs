// How well the anchor follows a camera that moved a little, on photographs:
//   node scripts/bench/anchor.mjs [--count 40] [--seed 1] [--shared ../shared] [--json]
// A view is a part of a photograph; the moved view shows it shifted by up to 10 %, turned by up to 5°, zoomed by 0.9 to 1.1,
// and in other light, darkened, noisy or blurred. The error is the distance of the worst corner of a region from where it
// should be, in shares of the region's shorter side. Beyond the bounds, and before other scenes, nothing may be held.
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { createAnchor, viewOfFrame } from '../../dist/lens/anchor.js'
import { placedPoint } from '../../dist/pixels/place.js'
import { cornersOf } from '../../dist/pixels/shape.js'
import { randomOf } from './motion/day.mjs'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '40' },
    seed: { type: 'string', default: '1' },
    shared: { type: 'string', default: process.env.GAPCAM_SHARED ?? '../shared' },
    json: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
})
const [count, random] = [Number(values.count), randomOf(Number(values.seed))]
const [width, height] = [320, 240]
const names = 'bird cat-2 cat-720p cat dog-2 dog dragonfly grace-hopper hot-dog-2 hot-dog owl parrot sunflower'.split(
  ' ',
)

const between = (least, most) => least + random() * (most - least)
const either = (a, b) => (random() < 0.5 ? a : -a) * between(1, b)

function normal() {
  let sum = -6
  for (let k = 0; k < 12; k++) sum += random()
  return sum
}

async function photographOf(name) {
  const image = sharp(`${values.shared}/images/${name}.jpg`).greyscale()
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true })
  return { name, data, width: info.width, height: info.height }
}

const still = { zoom: 1, degrees: 0, dx: 0, dy: 0 }

/** The place of a move; see src/pixels/place.ts. */
function placeOf({ zoom, degrees, dx, dy }) {
  const angle = (degrees * Math.PI) / 180
  return { a: zoom * Math.cos(angle), b: zoom * Math.sin(angle), dx, dy, aspect: width / height }
}

/** The view of a photograph after a move, as a grey frame: gain, offset, shade (from left to right), noise and blur. */
async function viewOf(photo, move, { gain = 1, offset = 0, shade = 0, noise = 2, blur = 0 } = {}) {
  const scale = Math.min(photo.width / (width * 1.42), photo.height / (height * 1.42))
  const { a, b, dx, dy } = placeOf(move)
  const norm = a * a + b * b
  let grey = Buffer.alloc(width * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [u, v] = [x + 0.5 - width / 2 - dx * width, y + 0.5 - height / 2 - dy * height]
      const from = [(a * u + b * v) / norm, (a * v - b * u) / norm]
      grey[y * width + x] = sample(
        photo,
        photo.width / 2 + from[0] * scale - 0.5,
        photo.height / 2 + from[1] * scale - 0.5,
      )
    }
  }
  if (blur > 0)
    grey = await sharp(grey, { raw: { width, height, channels: 1 } })
      .blur(blur)
      .greyscale()
      .raw()
      .toBuffer()
  for (let i = 0; i < grey.length; i++) {
    const light = gain * (1 + shade * ((i % width) / width - 0.5))
    grey[i] = Math.max(0, Math.min(255, grey[i] * light + offset + noise * normal() + 0.5))
  }
  return { format: 'grey', width, height, stride: width, pixels: grey }
}

function sample({ data, width: wide, height: high }, x, y) {
  const [cx, cy] = [Math.max(0, Math.min(wide - 1.001, x)), Math.max(0, Math.min(high - 1.001, y))]
  const [left, top] = [Math.floor(cx), Math.floor(cy)]
  const [fx, fy, at] = [cx - left, cy - top, top * wide + left]
  const [above, below] = [
    data[at] + fx * (data[at + 1] - data[at]),
    data[at + wide] + fx * (data[at + wide + 1] - data[at + wide]),
  ]
  return above + fy * (below - above)
}

const conditions = {
  day: {},
  'other light': { gain: 0.8, offset: 20, shade: 0.5 },
  darkened: { gain: 0.3, noise: 3 },
  noisy: { noise: 15 },
  blurred: { blur: 2 },
}

const small = () => ({
  zoom: between(0.9, 1.1),
  degrees: between(-5, 5),
  dx: between(-0.1, 0.1),
  dy: between(-0.1, 0.1),
})
const beyond = () => {
  const kind = Math.floor(random() * 3)
  if (kind === 0) return { ...small(), dx: either(0.14, 2) }
  if (kind === 1) return { ...small(), degrees: either(8, 2.5) }
  return { ...small(), zoom: random() < 0.5 ? between(0.72, 0.84) : between(1.18, 1.4) }
}

/** The error of a region's worst corner, in shares of its shorter side. */
function errorOf(truth, found) {
  const side = between(0.2, 0.4)
  const [x, y] = [between(0.1, 0.9 - side), between(0.1, 0.9 - side)]
  const distances = cornersOf({ x, y, width: side, height: side }).map((corner) => {
    const [p, q] = [placedPoint(corner, truth), placedPoint(corner, found)]
    return Math.hypot((p[0] - q[0]) * width, (p[1] - q[1]) * height)
  })
  return Math.max(...distances) / (side * height)
}

const photos = await Promise.all(names.map(photographOf))
const references = await Promise.all(photos.map(async (photo) => viewOfFrame(await viewOf(photo, still))))
const results = []
for (const [condition, look] of Object.entries(conditions)) {
  const result = { condition, views: 0, held: 0, within: 0, wrong: 0, unsure: 0, errors: [], ms: [] }
  for (const [i, photo] of photos.entries()) {
    for (let n = 0; n < count / 5; n++) {
      const move = small()
      const frame = await viewOf(photo, move, look)
      const anchor = createAnchor(references[i])
      const start = performance.now()
      const found = anchor.look(frame)
      result.ms.push(performance.now() - start)
      result.views++
      if (found.state === 'unsure') result.unsure++
      const error = found.state === 'held' ? errorOf(placeOf(move), found.place) : Infinity
      if (values.list && error > 0.02) {
        const { place, ...measured } = createAnchor(references[i]).measure(frame)
        console.error(photo.name, condition, move, found.state, error, measured, errorOf(placeOf(move), place))
      }
      if (found.state === 'held') result.errors.push(error)
      if (error <= 0.02) result.within++
      if (found.state === 'held' && error > 0.06) result.wrong++
    }
  }
  results.push(result)
}

/** What must not be held: further moves, and other photographs. */
const strangers = { views: 0, held: 0, unsure: 0 }
for (const [i, photo] of photos.entries()) {
  for (let n = 0; n < count / 2; n++) {
    const isOther = n % 2 === 0
    const other = isOther ? photos[(i + 1 + Math.floor(random() * (photos.length - 1))) % photos.length] : photo
    if (other.name.startsWith('cat') && photo.name.startsWith('cat') && isOther) continue
    const look = conditions[Object.keys(conditions)[n % 5]]
    const frame = await viewOf(other, isOther ? small() : beyond(), look)
    const { state } = createAnchor(references[i]).look(frame)
    strangers.views++
    if (state === 'unsure') strangers.unsure++
    if (state === 'held') strangers.held++
  }
}

const percent = (part, all) => `${((100 * part) / all).toFixed(1)} %`
for (const { condition, views, within, wrong, unsure, errors, ms } of results) {
  errors.sort((a, b) => a - b)
  ms.sort((a, b) => a - b)
  const worst = errors.at(-1) ?? 0
  console.error(
    `${condition.padEnd(12)} ${views} views  within 2 % ${percent(within, views)}  held ${percent(errors.length, views)}  unsure ${unsure}  ` +
      `wrong ${wrong}  median ${(100 * errors[errors.length >> 1]).toFixed(2)} %  worst ${(100 * worst).toFixed(1)} %  ${ms[ms.length >> 1].toFixed(2)} ms`,
  )
}
const sum = (key) => results.reduce((total, result) => total + result[key], 0)
console.error(`in all: within 2 % in ${percent(sum('within'), sum('views'))}; wrong ${sum('wrong')}`)
console.error(
  `beyond the bounds and other scenes: ${strangers.views} views, held ${strangers.held}, unsure ${strangers.unsure}`,
)
const followed = { views: sum('views'), within: sum('within'), wrong: sum('wrong') }
if (values.json) console.log(JSON.stringify({ followed, strangers }))
