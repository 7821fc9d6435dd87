#!/usr/bin/env node
// Compares what gapcam finds with what a network's own implementation found in the same pixels: boxes within a pixel, in the same
// order, with the same label; of a segmenter the numbers of all places. detectors.py (torchvision), mediapipe_boxes.py and
// face-detector.mjs write the folder.
//   node scripts/networks/detectors.mjs FOLDER [--engine auto|native|onnxruntime]
// FOLDER has networks, NAME.png (the network's input) and NAME.json: { network, side, boxes, scores, labels }, or of a segmenter
// { network, output, values (a file of 32-bit floats), shape }.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openClassifier } from '../../dist/classifier.js'
import { boxesOf } from '../../dist/decision/task.js'
import { frameOf } from '../../dist/frame.js'
import { decodeFile } from '../../dist/pixels/decode.js'
import { compareBoxes } from './boxes.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { engine: { type: 'string', default: 'auto' } },
})
const [folder] = positionals
if (!folder) throw new Error('usage: node scripts/networks/detectors.mjs FOLDER [--engine auto|native|onnxruntime]')

const rows = []
for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
  const reference = JSON.parse(readFileSync(join(folder, file), 'utf8'))
  const classifier = await openClassifier({
    model: join(folder, reference.network),
    engine: values.engine,
    task: reference.output ? 'segment' : 'detect',
    threads: 1,
  })
  try {
    const outcome = await classifier.classify(frameOf(await decodeFile(join(folder, file.replace('.json', '.png')))))
    if (!outcome.ok) throw new Error(`${file}: no prediction: ${outcome.reason}`)
    const { engine, parts = [] } = classifier.engine.describe()
    const found = reference.output
      ? compareValues(outputOf(classifier, reference), readFileSync(join(folder, reference.values)))
      : compareBoxes(boxesOf(outcome.prediction.found), reference)
    rows.push({ picture: file.replace('.json', ''), engine, parts: parts.length || 1, ...found })
  } finally {
    await classifier.close()
  }
}
console.table(rows)
if (rows.length === 0) throw new Error(`${folder} has no references`)
const isSame = ({ same, boxes, reference, error }) =>
  error === undefined ? same === boxes && boxes === reference : error <= 1e-4
if (!rows.every(isSame)) process.exitCode = 1

/** The numbers of the last run in the order of the file. */
function outputOf({ engine }, { output: name, shape }) {
  const { data, inFileOrder } = engine.outputs.find((output) => output.name === name)
  if (inFileOrder) return data
  const [, channels, height, width] = shape
  return Float32Array.from(data, (_, i) => {
    const [channel, place] = [Math.floor(i / (height * width)), i % (height * width)]
    return data[place * channels + channel]
  })
}

/** `error`: the largest difference, in shares of the largest number. */
function compareValues(found, bytes) {
  const wanted = new Float32Array(new Uint8Array(bytes).buffer)
  if (found.length !== wanted.length) throw new Error(`${found.length} numbers instead of ${wanted.length}`)
  let [far, largest] = [0, 0]
  for (let i = 0; i < found.length; i++) {
    far = Math.max(far, Math.abs(found[i] - wanted[i]))
    largest = Math.max(largest, Math.abs(wanted[i]))
  }
  return { error: far / largest }
}
