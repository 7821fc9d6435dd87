/** The feature map before GAP is a second output of the step that pools it: the same logits, bit by bit, with and without it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { openModel } from '../../src/index.js'
import { modernNetworks } from '../networks-modern.js'
import { networks } from '../networks.js'
import { writeModel, type ModelSpec, type NodeSpec } from '../onnx-builder.js'
import { Random } from '../random.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-map-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const lastGap = ({ nodes }: ModelSpec): NodeSpec | undefined => nodes.findLast(({ op }) => op === 'GlobalAveragePool')
const pooling = Object.entries({ ...networks, ...modernNetworks }).filter(([, build]) => lastGap(build()) !== undefined)

type Outputs = Readonly<Record<string, { readonly data: Float32Array; readonly shape: readonly number[] }>>

async function outputsOf(
  path: string,
  engine: 'native' | 'onnxruntime',
  extraOutputs: readonly string[],
): Promise<Outputs> {
  const model = await openModel(path, { engine, threads: 1, extraOutputs })
  try {
    return (await model.run(
      new Random(3).normals(model.inputs[0]!.shape.reduce((a, b) => a * b, 1)),
    )) as unknown as Outputs
  } finally {
    await model.close()
  }
}

it('most of the small networks end in GAP', () => expect(pooling.length).toBeGreaterThan(8))

it.each(pooling)('of %s', async (name, build) => {
  const spec = build()
  const gap = lastGap(spec)!
  const [map, mean] = [gap.inputs[0]!, gap.outputs[0]!]
  const path = writeModel(join(folder, `${name}.onnx`), spec)
  const [logits] = Object.keys(spec.outputs) as [string]
  const alone = await outputsOf(path, 'native', [])
  const both = await outputsOf(path, 'native', [map, mean])
  expect(both[logits]!.data).toEqual(alone[logits]!.data)
  const right = await outputsOf(path, 'onnxruntime', [map, mean])
  for (const value of [map, mean]) {
    expect(both[value]!.shape).toEqual(right[value]!.shape)
    const range = right[value]!.data.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
    right[value]!.data.forEach((v, i) => expect(Math.abs(v - both[value]!.data[i]!)).toBeLessThanOrEqual(1e-4 * range))
  }
})
