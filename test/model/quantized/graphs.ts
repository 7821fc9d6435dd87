/** Small quantised networks: integers in and out, so that each operator's rounding can be compared step by step. */
import { expect } from 'vitest'
import { openModel } from '../../../src/index.js'
import type { OpenModelOptions } from '../../../src/library/model.js'
import { compilePlan } from '../../../src/model/compile.js'
import { parseModel } from '../../../src/model/onnx/onnx.js'
import { prepareNative } from '../../../src/model/prepare.js'
import { elementCount } from '../../../src/tensor.js'
import { buildModel, floats, type ModelSpec, type NodeSpec, type Weight } from '../../onnx-builder.js'
import { Random } from '../../random.js'

/** A scale and a zero point, as two constants `name.s` and `name.z`. */
export function code(
  name: string,
  scale: number | readonly number[],
  zeroPoint: number,
  type: 'uint8' | 'int8' | 'int32' = 'uint8',
): Record<string, Weight> {
  const scales = typeof scale === 'number' ? [scale] : scale
  const shape = typeof scale === 'number' ? [] : [scales.length]
  const zeros = scales.map(() => zeroPoint)
  const data =
    type === 'uint8' ? Uint8Array.from(zeros) : type === 'int8' ? Int8Array.from(zeros) : Int32Array.from(zeros)
  return { [`${name}.s`]: floats(shape, scales), [`${name}.z`]: { shape, data } }
}

/** Random integers of a type. */
export function integers(shape: readonly number[], least: number, most: number, seed = 1): Weight {
  const random = new Random(seed)
  const values = Array.from({ length: elementCount(shape) }, () => random.between(least, most))
  return {
    shape,
    data: most > 255 ? Int32Array.from(values) : least < 0 ? Int8Array.from(values) : Uint8Array.from(values),
  }
}

/** A node from names: `-` is an absent input. */
export const node = (
  op: string,
  inputs: string,
  outputs: string,
  attributes: NonNullable<NodeSpec['attributes']> = {},
  domain?: string,
): NodeSpec => ({
  op,
  inputs: inputs.split(' ').map((name) => (name === '-' ? '' : name)),
  outputs: outputs.split(' '),
  attributes,
  ...(domain === undefined ? {} : { domain }),
})

/** QuantizeLinear and DequantizeLinear with the constants of a code. */
export const quantize = (x: string, y: string, by: string): NodeSpec =>
  node('QuantizeLinear', `${x} ${by}.s ${by}.z`, y)
export const dequantize = (x: string, y: string, by: string, axis?: number): NodeSpec =>
  node('DequantizeLinear', `${x} ${by}.s ${by}.z`, y, axis === undefined ? {} : { axis })

/** Random levels for every input of integers, random numbers for the others. */
export function feedsOf({ inputs, codes }: ModelSpec, seed = 5): Record<string, Float32Array | Uint8Array | Int8Array> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, shape], i) => {
      const length = elementCount(shape as readonly number[])
      const random = new Random(seed + i)
      if (codes?.[name] === undefined) return [name, random.normals(length)]
      const levels = Uint8Array.from({ length }, () => random.between(0, 255))
      return [name, codes[name] === 'uint8' ? levels : new Int8Array(levels.buffer)]
    }),
  )
}

/** All outputs of a model on an engine, one array after the other. */
export async function valuesOf(path: string, spec: ModelSpec, options: OpenModelOptions): Promise<number[]> {
  const model = await openModel(path, { threads: 1, ...options })
  try {
    return Object.values(await model.run(feedsOf(spec))).flatMap(({ data }) => Array.from(data as Uint8Array, Number))
  } finally {
    await model.close()
  }
}

/**
 * The native engine's integers differ by at most so many steps from onnxruntime's, and are not all the same. With
 * `integers` it computes in 8 bits, else in float32.
 */
export async function expectSteps(path: string, spec: ModelSpec, most: number, integers = false): Promise<void> {
  const right = await valuesOf(path, spec, { engine: 'onnxruntime' })
  expect(new Set(right).size).toBeGreaterThan(3)
  const found = await valuesOf(path, spec, { engine: 'native', integers })
  expect(found).toHaveLength(right.length)
  const worst = right.reduce((largest, value, i) => Math.max(largest, Math.abs(value - found[i]!)), 0)
  expect(worst).toBeLessThanOrEqual(most)
}

/** The kinds of the steps on bytes of a model. */
export function byteSteps(spec: ModelSpec, bytes: 'uint8' | 'int8' = 'uint8'): string[] {
  const compiled = compilePlan(prepareNative(parseModel(buildModel(spec)).graph), { bytes })
  if (!('plan' in compiled)) throw new Error(compiled.unsupported[0]?.reason)
  return compiled.plan.steps.map(({ kind }) => kind)
}
