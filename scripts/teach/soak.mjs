// Teaches a picture and undoes it a thousand times; files, bytes and memory must not grow.
//   node scripts/teach/soak.mjs [--rounds N]
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { openTaughtHead } from '../../dist/teach/taught-head.js'
import { openTeacher } from '../../dist/teach/teacher.js'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '1000' } } })
const rounds = Number(values.rounds)
const folder = mkdtempSync(join(tmpdir(), 'gapcam-soak-'))
const model = new URL('../../models/convnet-gap.onnx', import.meta.url).pathname
const teacher = await openTeacher({ model, engine: { threads: 1, inputSize: { height: 32, width: 32 } } })
const head = await openTaughtHead(folder, 'soak')

const pictureOf = (isUpper, number) =>
  sharp(
    Uint8Array.from({ length: 48 * 48 * 3 }, (_, i) => {
      const isBright = Math.floor(i / 144) < 24 === isUpper
      // Another picture for each number: undoing the same one again would bring the one before back.
      return (isBright ? 190 : 40) + ((Math.imul(i + 1, 2654435761 + number * 40503) >>> 24) % 23)
    }),
    { raw: { width: 48, height: 48, channels: 3 } },
  )
    .jpeg()
    .toBuffer()

function measure() {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const bytes = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
  return {
    files: files.length,
    kilobytes: Math.round(bytes / 1024),
    rssMb: Math.round(process.memoryUsage().rss / 2 ** 20),
  }
}

try {
  for (let i = 0; i < 4; i++) {
    await head.add('upper', await pictureOf(true, i), null)
    await head.add('lower', await pictureOf(false, i), null)
  }
  await head.fit(teacher)
  let settled = null
  for (let round = 0; round < rounds; round++) {
    await head.add(round % 2 === 0 ? 'upper' : 'lower', await pictureOf(round % 2 === 0, round + 10), null)
    await head.fit(teacher)
    await head.undo()
    if (round === Math.floor(rounds / 10)) settled = measure()
    if ((round + 1) % Math.ceil(rounds / 10) === 0) console.log(`${round + 1}: ${JSON.stringify(measure())}`)
  }
  const last = measure()
  const hasGrown =
    last.files > settled.files + 4 || last.kilobytes > settled.kilobytes * 1.1 || last.rssMb > settled.rssMb * 1.3
  console.log(hasGrown ? `it has grown: ${JSON.stringify({ settled, last })}` : 'nothing has grown')
  process.exitCode = hasGrown ? 1 : 0
} finally {
  await teacher.close()
  rmSync(folder, { recursive: true, force: true })
}
