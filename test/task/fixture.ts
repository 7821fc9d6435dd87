/** Detectors for tests: networks whose outputs are given numbers, whatever the picture is. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { openClassifier, type Classifier, type ClassifierOptions } from '../../src/classifier.js'
import type { Prediction } from '../../src/decision/prediction.js'
import { frameOf } from '../../src/frame.js'
import { floats, int64, writeModel, type ModelSpec, type NodeSpec } from '../onnx-builder.js'

/** An output with its shape and its numbers; `isInteger`: of int64; `maker`: the operator that makes them. */
export interface GivenOutput {
  readonly shape: readonly number[]
  readonly values: readonly number[]
  readonly isInteger?: boolean
  readonly maker?: 'Add' | 'Conv' | 'Sigmoid'
}

export interface GivenDetector {
  readonly outputs: Readonly<Record<string, GivenOutput>>
  readonly metadata?: Readonly<Record<string, string>>
  /** Side of the input, pixels. */
  readonly side?: number
  /** A manifest in YAML. */
  readonly manifest?: string
}

/** The network: the mean of the picture times 0, plus the numbers. */
export function detectorSpec({ outputs, metadata = {}, side = 64 }: GivenDetector): ModelSpec {
  const weights: Record<string, ReturnType<typeof floats>> = {}
  const nodes: NodeSpec[] = [
    { op: 'GlobalAveragePool', inputs: ['picture'], outputs: ['mean'] },
    { op: 'Flatten', inputs: ['mean'], outputs: ['flat'] },
  ]
  for (const [name, { shape, values, isInteger = false, maker = 'Add' }] of Object.entries(outputs)) {
    const count = values.length
    const row = `${name} row`
    weights[`${name} numbers`] = floats(
      [count],
      maker === 'Sigmoid' ? values.map((v) => Math.log(v / (1 - v))) : values,
    )
    weights[`${name} shape`] = int64(...shape)
    weights[`${name} zeros`] = floats(maker === 'Conv' ? [count, 3, 1, 1] : [3, count], new Float32Array(3 * count))
    const sum = maker === 'Sigmoid' ? `${name} sum` : row
    if (maker === 'Conv')
      nodes.push({ op: 'Conv', inputs: ['mean', `${name} zeros`, `${name} numbers`], outputs: [row] })
    else
      nodes.push(
        { op: 'MatMul', inputs: ['flat', `${name} zeros`], outputs: [`${name} nothing`] },
        { op: 'Add', inputs: [`${name} nothing`, `${name} numbers`], outputs: [sum] },
      )
    if (maker === 'Sigmoid') nodes.push({ op: 'Sigmoid', inputs: [sum], outputs: [row] })
    nodes.push({ op: 'Reshape', inputs: [row, `${name} shape`], outputs: [isInteger ? `${name} float` : name] })
    if (isInteger) nodes.push({ op: 'Cast', inputs: [`${name} float`], outputs: [name], attributes: { to: 7 } })
  }
  return {
    nodes,
    weights,
    metadata,
    inputs: { picture: [1, 3, side, side] },
    outputs: Object.fromEntries(Object.entries(outputs).map(([name, { shape }]) => [name, shape])),
    integers: Object.entries(outputs).flatMap(([name, { isInteger }]) => (isInteger ? [name] : [])),
  }
}

/** A file with the network, and its manifest beside it. */
export function detectorFile(given: GivenDetector): string {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-detect-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  if (given.manifest !== undefined) writeFileSync(join(folder, 'model.yaml'), given.manifest)
  return writeModel(join(folder, 'model.onnx'), detectorSpec(given))
}

/** Opens the network as a classifier, until the test ends. */
export async function openDetector(
  given: GivenDetector,
  options: Partial<ClassifierOptions> = {},
): Promise<Classifier> {
  const classifier = await openClassifier({ model: detectorFile(given), ...options })
  onTestFinished(() => classifier.close())
  return classifier
}

/** What it says of a grey picture of this size. */
export async function predictionOf(classifier: Classifier, width = 128, height = 64): Promise<Prediction> {
  const outcome = await classifier.classify(
    frameOf({ data: new Uint8Array(width * height * 3).fill(99), width, height }),
  )
  if (!outcome.ok) throw new Error(outcome.reason)
  return outcome.prediction
}
