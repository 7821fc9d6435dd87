/** Heat maps of networks in which the feature map exists as integers only. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { floats, writeModel, type ModelSpec, type Weight } from '../onnx-builder.js'
import { Random } from '../random.js'
import { check, type Outcome } from './outcome.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-heat-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const random = new Random(5)

it.each(['native', 'onnxruntime'] as const)('a network of QLinear operators has a map on %s', async (engine) => {
  const q = (name: string): string[] => [name, `${name}_scale`, `${name}_zero`]
  const code = (name: string, scale: number, zero: number): Record<string, Weight> => ({
    [`${name}_scale`]: floats([], [scale]),
    [`${name}_zero`]: { shape: [], data: Uint8Array.of(zero) },
  })
  const bytes = (...shape: readonly number[]): Weight => ({
    shape,
    data: Uint8Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.between(0, 255)),
  })
  const codes = {
    ...code('x', 0.03, 128),
    ...code('c', 0.02, 128),
    ...code('m', 0.008, 128),
    ...code('l', 0.01, 128),
  }
  const at = (name: string): string[] => q(name).slice(1)
  const spec: ModelSpec = {
    nodes: [
      { op: 'QuantizeLinear', inputs: ['input', ...at('x')], outputs: ['x'] },
      { op: 'QLinearConv', inputs: [...q('x'), ...q('w'), ...at('c')], outputs: ['c'] },
      { op: 'QLinearGlobalAveragePool', inputs: [...q('c'), ...at('m')], outputs: ['m'], domain: 'com.microsoft' },
      { op: 'Flatten', inputs: ['m'], outputs: ['f'] },
      { op: 'QGemm', inputs: ['f', ...at('m'), ...q('v'), '', ...at('l')], outputs: ['l'], domain: 'com.microsoft' },
      { op: 'DequantizeLinear', inputs: q('l'), outputs: ['y'] },
    ],
    weights: { ...codes, ...code('w', 0.004, 128), ...code('v', 0.006, 128), w: bytes(12, 3, 3, 3), v: bytes(12, 7) },
    inputs: { input: [1, 3, 9, 9] },
    outputs: { y: [1, 7] },
    imports: { 'com.microsoft': 1 },
  }
  const outcome = await check(writeModel(join(folder, 'qlinear.onnx'), spec), engine)
  // Means and logits are rounded to their 255 steps.
  expect(outcome).toMatchObject({ places: 49 })
  expect((outcome as Outcome).error).toBeLessThan(0.1)
})
