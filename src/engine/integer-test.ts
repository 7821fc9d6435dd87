/**
 * The self-test of the kernels for 8-bit networks: every kind of integer step on small tensors, by the chosen target and by
 * the scalar one, which computes by definition. The arithmetic is exact, so each byte must be the same.
 */
import type { Addon } from '../addon.js'
import { align64, serializePlan, type Plan, type PlanStep, type PlanTensor } from '../model/plan.js'
import type { ByteType } from '../model/quantized/code.js'
import { tensorBytes } from '../model/steps.js'

/** Sizes of the map and numbers of channels: none fills whole vectors. */
const [height, width, channels, wide] = [5, 6, 11, 37] as const
const scale = 0.05

/** Returns the reason why the target must not compute 8-bit networks, or null if every step is right. */
export async function integerTest(addon: Addon, target: string, type: ByteType): Promise<string | null> {
  const plan = serializePlan(new TestPlan(type).build())
  const [found, right] = await Promise.all([outputsOf(addon, plan, target), outputsOf(addon, plan, 'scalar')])
  for (const [name, wanted] of right) {
    const at = wanted.findIndex((value, i) => value !== found.get(name)?.[i])
    if (at >= 0) return `its self-test of ${name} on bytes gives ${found.get(name)?.[at]} for ${wanted[at]}`
  }
  return null
}

async function outputsOf(addon: Addon, plan: Uint8Array, target: string): Promise<ReadonlyMap<string, number[]>> {
  const session = await addon.openSession(plan, { threads: 1, target })
  try {
    const input = session.inputs[0]?.data as Float32Array
    for (let i = 0; i < input.length; i++) input[i] = 5 * Math.sin(i * 0.7) + (i % 5) / 3
    await session.run()
    return new Map(session.outputs.map(({ name, data }) => [name, Array.from(data as Uint8Array)]))
  } finally {
    await session.close()
  }
}

const window = { strideH: 1, strideW: 1, dilationH: 1, dilationW: 1 }
const three = { kernelH: 3, kernelW: 3, padTop: 1, padLeft: 1, padBottom: 1, padRight: 1, ...window }
const one = { kernelH: 1, kernelW: 1, padTop: 0, padLeft: 0, padBottom: 0, padRight: 0, ...window }
const expand = {
  ...{ expandKernelH: 1, expandKernelW: 1, expandStrideH: 1, expandStrideW: 1, expandDilationH: 1, expandDilationW: 1 },
  ...{ expandPadTop: 0, expandPadLeft: 0, expandPadBottom: 0, expandPadRight: 0 },
}

/** A plan with each integer step once, and each form of a convolution. Every result is an output, named as its kind. */
class TestPlan {
  readonly #tensors: PlanTensor[] = []
  readonly #steps: PlanStep[] = []
  readonly #outputs: number[] = []
  readonly #constants: { offset: number; bytes: Uint8Array }[] = []
  readonly #type: ByteType
  readonly #zero: number
  readonly #range: { readonly low: number; readonly high: number }
  readonly #middle: Record<'middleScale' | 'middleZero' | 'middleLow' | 'middleHigh' | 'residualFirst', number>
  #arenaBytes = 0
  #constantBytes = 0

  constructor(type: ByteType) {
    const least = type === 'int8' ? -128 : 0
    this.#type = type
    this.#zero = least + 120
    this.#range = { low: least + 10, high: least + 250 }
    const middle = { middleZero: least + 130, middleLow: least, middleHigh: least + 255 }
    this.#middle = { middleScale: 0.04, ...middle, residualFirst: 0 }
  }

  build(): Plan {
    const [range, middle] = [this.#range, this.#middle]
    const pixels = [1, height, width, channels]
    const input = this.#tensor('input', pixels, 'float32')
    const x = this.#add('quantize', [input], [1, height, width, channels], {})
    const full = this.#add('qconv2d', [x, ...this.#product([wide, channels, 3, 3])], [1, height, width, wide], {
      ...{ ...three, groups: 1, ...range, ...middle },
    })
    const depthwise = this.#add('qconv2d', [full, ...this.#product([wide, 1, 3, 3])], [1, height, width, wide], {
      ...{ ...three, groups: wide, ...range, ...middle },
    })
    const pooled = this.#byte('mean of qconv2d', [1, 1, 1, channels])
    const parameters = { ...one, groups: 1, ...range, ...middle }
    const summed = this.#add(
      'qconv2d',
      [depthwise, ...this.#product([channels, wide, 1, 1]), x],
      pixels,
      parameters,
      pooled,
    )
    const chained = this.#add(
      'qchain',
      [
        x,
        ...this.#product([wide, 1, 3, 3]),
        ...this.#product([wide, channels, 1, 1]),
        ...this.#product([channels, wide, 1, 1]),
        x,
      ],
      pixels,
      {
        ...{ op: 'depthwise', ...three, ...expand, ...range, ...middle },
        ...{ expandZero: this.#zero, expandLow: range.low, expandHigh: range.high },
        ...{ windowZero: this.#zero - 3, windowLow: range.low, windowHigh: range.high },
      },
      null,
    )
    const sum = this.#add('qbinary', [summed, chained], pixels, { op: 'add', ...range })
    const table = this.#constant(
      'table',
      [256],
      Uint8Array.from({ length: 256 }, (_, i) => (i * 7 + 3) % 256),
    )
    const looked = this.#add('lookup', [sum, table], pixels, {})
    const average = this.#add('qpool2d', [looked], pixels, { ...three, countPadding: 0, ...range })
    const places = { outer: 1, length: height * width, inner: channels }
    this.#add('qreduce', [average], [1, 1, 1, channels], { ...places, ...range })
    const row = this.#add('qdense', [pooled, ...this.#product([wide, channels])], [1, 1, 1, wide], {
      ...{ transposed: 1, ...range, ...middle },
    })
    const real = this.#tensor('dequantize', [1, 1, 1, wide], 'float32')
    this.#steps.push({ kind: 'dequantize', name: 'dequantize', inputs: [row], outputs: [real], parameters: {} })
    this.#outputs.push(real)
    return {
      tensors: this.#tensors,
      steps: this.#steps,
      inputs: [{ name: 'input', tensor: input, layout: 'none' }],
      outputs: this.#outputs.map((tensor) => ({ name: this.#tensors[tensor]!.name, tensor, layout: 'none' })),
      arenaBytes: this.#arenaBytes,
      constants: this.#constants,
      constantBytes: this.#constantBytes,
    }
  }

  /** A step with one result of bytes, and `second` as its second output where the kind has one. */
  #add(
    kind: PlanStep['kind'],
    inputs: readonly (number | null)[],
    shape: readonly number[],
    parameters: Readonly<Record<string, number | string>>,
    second?: number | null,
  ): number {
    const most = { qconv2d: 5, qdense: 5, qchain: 11 }[kind as 'qconv2d'] ?? inputs.length
    const all = [...inputs, ...new Array<null>(most - inputs.length).fill(null)]
    const y = this.#byte(`${kind} ${this.#steps.length}`, shape)
    const outputs = kind === 'qconv2d' || kind === 'qchain' ? [y, second ?? null] : [y]
    this.#steps.push({ kind, name: kind, inputs: all, outputs, parameters } as unknown as PlanStep)
    return y
  }

  /** Weights, bias and multipliers of a convolution or product, such that results fill most of their range. */
  #product(shape: readonly number[]): readonly [number, number, number] {
    const [outputs = 1, ...rest] = shape
    const depth = rest.reduce((a, b) => a * b, 1)
    const count = outputs * depth
    const seed = this.#tensors.length
    const weights = Int8Array.from({ length: count }, (_, i) => 127 * Math.sin((i + 1) * (seed + 0.37)))
    const bias = Int32Array.from({ length: outputs }, (_, i) => 900 * Math.sin(i + seed))
    const scales = Float32Array.from({ length: outputs }, (_, i) => (1 + (i % 3) / 4) / (90 * Math.sqrt(depth)))
    return [
      this.#constant('weights', shape, weights),
      this.#constant('bias', [outputs], bias),
      this.#constant('scales', [outputs], scales),
    ]
  }

  #byte(name: string, shape: readonly number[]): number {
    const id = this.#tensor(name, shape, this.#type, scale, this.#zero)
    this.#outputs.push(id)
    return id
  }

  #tensor(name: string, shape: readonly number[], type: PlanTensor['type'], step = 1, zeroPoint = 0): number {
    this.#tensors.push({ name, type, shape, storage: 'arena', offset: this.#arenaBytes, scale: step, zeroPoint })
    this.#arenaBytes += align64(tensorBytes({ type, shape }))
    return this.#tensors.length - 1
  }

  #constant(name: string, shape: readonly number[], data: Int8Array | Uint8Array | Int32Array | Float32Array): number {
    const type =
      data instanceof Int8Array
        ? 'int8'
        : data instanceof Uint8Array
          ? 'uint8'
          : data instanceof Int32Array
            ? 'int32'
            : 'float32'
    this.#tensors.push({ name, type, shape, storage: 'constant', offset: this.#constantBytes, scale: 1, zeroPoint: 0 })
    this.#constants.push({ offset: this.#constantBytes, bytes: new Uint8Array(data.buffer) })
    this.#constantBytes += align64(data.byteLength)
    return this.#tensors.length - 1
  }
}
