/**
 * The native engine's self-test: a small network with known weights, computed by the chosen target and by plain loops
 * here. A processor on which the kernels are wrong is found before a label is published, not after.
 */
import type { Addon } from '../addon.js'
import { align64, serializePlan, type Plan, type PlanStep, type PlanTensor } from '../model/plan.js'

const height = 9
const width = 7
const channels = 3
const features = 37

/** Why the target must not be used, or null when its results are right. */
export async function selfTest(addon: Addon, target: string | undefined): Promise<string | null> {
  const weights = ramp(features * channels * 9, 0.11)
  const pointwise = ramp(features * features, 0.07)
  const session = await addon.openSession(serializePlan(testPlan(weights, pointwise)), target === undefined ? { threads: 1 } : { threads: 1, target })
  try {
    const input = session.inputs[0]?.data as Float32Array
    input.set(ramp(input.length, 0.3))
    await session.run()
    const output = session.outputs[0]?.data as Float32Array
    const wanted = plainNetwork(input, weights, pointwise)
    const worst = wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - (output[i] ?? NaN)) || (output[i] === value ? 0 : Infinity)), 0)
    return worst < 1e-4 ? null : `its self-test is off by ${worst.toPrecision(3)}`
  } finally {
    await session.close()
  }
}

/** A deterministic wave without symmetry: equal neither under transposition nor under a shifted index. */
function ramp(length: number, step: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * step) + ((i * 7) % 5) / 10)
}

/** 3×3 convolution with ReLU, then 1×1 convolution whose mean over the map is the output. */
function testPlan(weights: Float32Array, pointwise: Float32Array): Plan {
  const second = align64(weights.byteLength)
  const map = height * width * features * 4
  const image = align64(height * width * channels * 4)
  const tensor = (name: string, storage: PlanTensor['storage'], shape: number[], offset: number): PlanTensor =>
    ({ name, type: 'float32', shape, storage, offset, scale: 1, zeroPoint: 0 })
  const window = { strideH: 1, strideW: 1, dilationH: 1, dilationW: 1, groups: 1, a: 0, b: 0 }
  const steps: PlanStep[] = [
    {
      kind: 'conv2d', name: 'self-test 3×3', inputs: [0, 1, null, null], outputs: [2, null],
      parameters: { ...window, kernelH: 3, kernelW: 3, padTop: 1, padLeft: 1, padBottom: 1, padRight: 1, activation: 'relu' },
    },
    {
      kind: 'conv2d', name: 'self-test 1×1', inputs: [2, 3, null, null], outputs: [null, 4],
      parameters: { ...window, kernelH: 1, kernelW: 1, padTop: 0, padLeft: 0, padBottom: 0, padRight: 0, activation: 'none' },
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
    constants: [{ offset: 0, bytes: bytesOf(weights) }, { offset: second, bytes: bytesOf(pointwise) }],
    constantBytes: second + align64(pointwise.byteLength),
  }
}

function bytesOf(data: Float32Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

function plainNetwork(image: Float32Array, weights: Float32Array, pointwise: Float32Array): Float32Array {
  const pooled = new Float64Array(features)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const column = Array.from({ length: features }, (_, o) => Math.max(0, plainConvolution(image, weights, y, x, o)))
      for (let o = 0; o < features; o++) {
        for (let i = 0; i < features; i++) pooled[o]! += (pointwise[o * features + i]! * column[i]!) / (height * width)
      }
    }
  }
  return Float32Array.from(pooled)
}

function plainConvolution(image: Float32Array, weights: Float32Array, y: number, x: number, o: number): number {
  let sum = 0
  for (let ky = 0; ky < 3; ky++) {
    for (let kx = 0; kx < 3; kx++) {
      const row = y + ky - 1
      const column = x + kx - 1
      if (row < 0 || row >= height || column < 0 || column >= width) continue
      for (let c = 0; c < channels; c++) sum += image[(row * width + column) * channels + c]! * weights[((o * channels + c) * 3 + ky) * 3 + kx]!
    }
  }
  return sum
}
