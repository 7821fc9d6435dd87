// Counts the instructions of fitting a head on arm64 under QEMU: 5 states of 20 pictures, vectors at hand.
//   node scripts/arm/fit.mjs [--addon FILE]
//   node scripts/arm/fit.mjs --fits N [--channels HEAD,MIDDLE]     the digest of a head, on the processor that runs it
// The counts of two fits are subtracted from those of six, which removes start and making of the lesson. Node compiles its hot
// code meanwhile, which is counted too. Prints the digest of the head, which every target shares. Needs what count.mjs needs.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Board } from './qemu.mjs'

const inRoot = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const { values } = parseArgs({
  options: {
    addon: { type: 'string', default: inRoot('prebuilds/linux-arm64/gapcam.node') },
    fits: { type: 'string' },
    channels: { type: 'string', default: '1280,672' },
  },
})

/** What runs on the board: as many fits, each from an empty memory. */
async function headAfter(times) {
  const { partsOf } = await import('../../dist/teach/features.js')
  const { fitHead, fitMemory } = await import('../../dist/teach/head.js')
  const { makeLesson } = await import('../bench/teach-lesson.mjs')
  const { lesson, ordinary } = makeLesson(partsOf, values.channels.split(',').map(Number))
  const memory = fitMemory(ordinary, lesson.parts)
  let head
  for (let i = 0; i < times; i++)
    ({ head } = await fitHead(lesson, { ...memory, pairs: new memory.pairs.constructor() }))
  const bytes = (numbers) => new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength)
  return createHash('sha256')
    .update(bytes(head.weights))
    .update(bytes(head.bias))
    .update(bytes(head.taught))
    .digest('hex')
}

function count() {
  const node = inRoot('.cache/tools/node_modules/node-arm64/bin/node')
  for (const [file, how] of [
    [node, 'node scripts/fetch/test-tools.mjs'],
    [values.addon, 'node scripts/build-native.mjs --arch arm64'],
  ])
    if (!existsSync(file)) throw new Error(`${file} is missing: run ${how}`)
  const board = new Board(node)
  try {
    const run = (times) =>
      board.count([fileURLToPath(import.meta.url), '--fits', String(times)], {
        isCompiling: true,
        env: { GAPCAM_ADDON: values.addon },
      }).instructions
    const few = run(2)
    console.log(`${((run(6) - few) / 4 / 1e6).toFixed(0)} million instructions a fit`)
  } finally {
    board.close()
  }
}

if (values.fits === undefined) count()
else console.log(await headAfter(Number(values.fits)))
