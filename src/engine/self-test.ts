/**
 * The native engine's self-test: a small network with known weights, computed by the chosen target and by plain loops
 * here. It finds wrong kernels on a processor before a label is published.
 */
import type { Addon } from '../addon.js'
import { align64, serializePlan, type Plan, type PlanStep, type PlanTensor } from '../model/plan.js'

const height = 5
const width = 4
const channels = 3
const features = 37

/** Returns the reason why the target must not be used, or null if its results are right. */
export async function selfTest(addon: Addon, target: string | undefined): Promise<string | null> {
  const weights = ramp(features * channels * 9, 0.11)
  const pointwise = ramp(features * features, 0.07)
  const session = await addon.openSession(
    serializePlan(testPlan(weights, pointwise)),
    target === undefined ? { threads: 1 } : { threads: 1, target },
  )
  try {
    const input = session.inputs[0]?.data as Float32Array
    input.set(ramp(input.length, 0.3))
    await session.run()
    const output = session.outputs[0]?.data as Float32Array
    const worst = largestDifference(output, plainNetwork(input, weights, pointwise))
    return worst < 1e-4 ? null : `its self-test is off by ${worst.toPrecision(3)}`
  } finally {
    await session.close()
  }
}

/** The largest absolute difference. It is NaN if a value is NaN, and NaN is not below any bound. */
function largestDifference(output: Float32Array, wanted: Float32Array): number {
  let worst = 0
  for (let i = 0; i < wanted.length; i++) worst = Math.max(worst, Math.abs(wanted[i]! - output[i]!))
  return worst
}

/** A deterministic sequence without symmetry: transposed or shifted reads give different values. */
function ramp(length: number, step: number): Float32Array {
  const values = new Float32Array(length)
  for (let i = 0; i < length; i++) values[i] = Math.sin(i * step) + ((i * 7) % 5) / 10
  return values
}

/** A 3×3 convolution with ReLU, then a 1×1 convolution and the mean over its map. */
function testPlan(weights: Float32Array, pointwise: Float32Array): Plan {
  const second = align64(weights.byteLength)
  const map = height * width * features * 4
  const image = align64(height * width * channels * 4)
  const tensor = (name: string, storage: PlanTensor['storage'], shape: number[], offset: number): PlanTensor => ({
    name,
    type: 'float32',
    shape,
    storage,
    offset,
    scale: 1,
    zeroPoint: 0,
  })
  const window = { strideH: 1, strideW: 1, dilationH: 1, dilationW: 1, groups: 1, a: 0, b: 0 }
  const steps: PlanStep[] = [
    {
      kind: 'conv2d',
      name: 'self-test 3×3',
      inputs: [0, 1, null, null],
      outputs: [2, null],
      parameters: {
        ...window,
        kernelH: 3,
        kernelW: 3,
        padTop: 1,
        padLeft: 1,
        padBottom: 1,
        padRight: 1,
        activation: 'relu',
      },
    },
    {
      kind: 'conv2d',
      name: 'self-test 1×1',
      inputs: [2, 3, null, null],
      outputs: [null, 4],
      parameters: {
        ...window,
        kernelH: 1,
        kernelW: 1,
        padTop: 0,
        padLeft: 0,
        padBottom: 0,
        padRight: 0,
        activation: 'none',
      },
    },
  ]
  return {
    tensors: [
      tensor('image', 'arena', [1, height, width, channels], 0),
      tensor('weights', 'constant', [features, channels, 3, 3], 0),
      tensor('map', 'arena', [1, height, width, features], image),
      tensor('pointwise', 'constant', [features, features, 1, 1], second),
      tensor('pooled', 'arena', [1, 1, 1, features], image + align64(map)),
    ],
    steps,
    inputs: [{ name: 'image', tensor: 0, layout: 'nhwc' }],
    outputs: [{ name: 'pooled', tensor: 4, layout: 'nhwc' }],
    arenaBytes: image + align64(map) + align64(features * 4),
    constants: [
      { offset: 0, bytes: bytesOf(weights) },
      { offset: second, bytes: bytesOf(pointwise) },
    ],
    constantBytes: second + align64(pointwise.byteLength),
  }
}

function bytesOf(data: Float32Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

// Plain loops over numbers: this runs once per process, before the JIT has optimised anything.

function plainNetwork(image: Float32Array, weights: Float32Array, pointwise: Float32Array): Float32Array {
  const pooled = new Float64Array(features)
  const column = new Float64Array(features)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let o = 0; o < features; o++) column[o] = Math.max(0, plainConvolution(image, weights, y, x, o))
      for (let o = 0; o < features; o++) {
        let sum = 0
        for (let i = 0; i < features; i++) sum += pointwise[o * features + i]! * column[i]!
        pooled[o]! += sum / (height * width)
      }
    }
  }
  return Float32Array.from(pooled)
}

function plainConvolution(image: Float32Array, weights: Float32Array, y: number, x: number, o: number): number {
  let sum = 0
  for (let ky = Math.max(0, 1 - y); ky < Math.min(3, height + 1 - y); ky++) {
    for (let kx = Math.max(0, 1 - x); kx < Math.min(3, width + 1 - x); kx++) {
      const pixel = ((y + ky - 1) * width + x + kx - 1) * channels
      const tap = o * channels * 9 + ky * 3 + kx
      for (let c = 0; c < channels; c++) sum += image[pixel + c]! * weights[tap + c * 9]!
    }
  }
  return sum
}
