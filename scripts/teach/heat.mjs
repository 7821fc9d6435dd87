// How often the focus box of a taught head lies on the thing: scenes of a fixed camera, composed of two photographs, in which the
// place of the thing is known.
//   node scripts/teach/heat.mjs FOLDER [--model FILE] [--scenes n]
// FOLDER has photographs of things. Each is a thing in front of each of two others: `empty` and `thing` are taught with 5 and 20
// scenes each, then further ones are classified. The box is on the thing when its middle is.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { openClassifier } from '../../dist/classifier.js'
import { frameOf } from '../../dist/frame.js'
import { focusOf } from '../../dist/heat/focus.js'
import { openTeacher } from '../../dist/teach/teacher.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: new URL('../../models/efficientnet-lite0.onnx', import.meta.url).pathname },
    scenes: { type: 'string', default: '20' },
  },
})
const [folder] = positionals
if (!folder) throw new Error('usage: node scripts/teach/heat.mjs FOLDER')
const scenes = Number(values.scenes)
const photographs = readdirSync(folder)
  .filter((name) => /\.(jpe?g|png)$/.test(name))
  .sort()
const [side, thingSide] = [256, 80]

let seed = 7
const random = () => {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
  return seed / 0x80000000
}
const square = (name, size) =>
  sharp(join(folder, name)).resize(size, size, { fit: 'cover' }).removeAlpha().raw().toBuffer()

/** The background in another light with noise, with the thing at a random place, or without it. */
function scene(background, thing) {
  const data = Uint8Array.from(background)
  const object = thing && {
    left: Math.floor(random() * (side - thingSide)),
    top: Math.floor(random() * (side - thingSide)),
  }
  if (object)
    for (let y = 0; y < thingSide; y++)
      data.set(thing.subarray(y * thingSide * 3, (y + 1) * thingSide * 3), ((object.top + y) * side + object.left) * 3)
  const light = 0.8 + 0.4 * random()
  for (let i = 0; i < data.length; i++) data[i] = Math.min(255, Math.max(0, data[i] * light + (random() - 0.5) * 12))
  return { picture: { data, width: side, height: side }, object }
}

const isOn = (box, { left, top }) => {
  const [x, y] = [(box.x + box.width / 2) * side, (box.y + box.height / 2) * side]
  return x >= left && x < left + thingSide && y >= top && y < top + thingSide
}

const teacher = await openTeacher({ model: values.model, engine: { threads: 1 } })
const place = mkdtempSync(join(tmpdir(), 'gapcam-heat-'))
const counts = new Map([5, 20].map((size) => [size, { right: 0, on: 0, all: 0 }]))

async function lessonOf(background, thing, most) {
  const looks = []
  for (let i = 0; i < 2 * most; i++) {
    const seen = await teacher.lookAt(scene(background, i % 2 === 0 ? null : thing).picture)
    looks.push(...seen.map((one) => ({ ...one, state: i % 2, picture: i })))
  }
  return looks
}

async function measure(head, background, thing, count) {
  const file = join(place, 'head.onnx')
  writeFileSync(file, teacher.write(head))
  const classifier = await openClassifier({ model: file, threads: 1, heat: true })
  try {
    for (let i = 0; i < scenes; i++) {
      const { picture, object } = scene(background, thing)
      const outcome = await classifier.classify(frameOf(picture))
      if (!outcome.ok) throw new Error(outcome.reason)
      const box = focusOf(classifier.heat.heat(1))
      count.all++
      if (outcome.prediction.top[0].label === 'thing') count.right++
      if (box && isOn(box, object)) count.on++
    }
  } finally {
    await classifier.close()
  }
}

try {
  for (const [i, name] of photographs.entries()) {
    const thing = await square(name, thingSide)
    for (const step of [1, 5]) {
      const background = await square(photographs[(i + step) % photographs.length], side)
      const looks = await lessonOf(background, thing, 20)
      for (const [size, count] of counts) {
        const { head } = await teacher.fit(
          ['empty', 'thing'],
          looks.filter(({ picture }) => picture < 2 * size),
          [],
        )
        await measure(head, background, thing, count)
      }
    }
  }
} finally {
  await teacher.close()
  rmSync(place, { recursive: true, force: true })
}
const percent = (part, all) => `${((100 * part) / all).toFixed(1)} %`
for (const [size, { right, on, all }] of counts)
  console.log(
    `${size} a state: the box is on the thing in ${percent(on, all)} of ${all} scenes, ${percent(right, all)} are right`,
  )
