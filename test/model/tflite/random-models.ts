/**
 * Random TFLite models: valid graphs of the builtin operators in float32, int8 (per channel) and uint8 (per tensor), with random
 * shapes, strides, padding and activations. The scales are such that values neither vanish nor saturate.
 */
import { Random } from '../../random.js'
import type { ModelSpec, OperatorSpec, TableFields, TensorSpec } from './tflite-builder.js'

/** The element types of activations. */
export type Kind = 'float32' | 'int8' | 'uint8'

/** A value in the making: [1, height, width, channels], with the code of its integers. */
interface Point {
  readonly at: number
  readonly shape: readonly [number, number, number]
  readonly scale: number
  readonly zeroPoint: number
}

const range = { int8: [-128, 127], uint8: [0, 255] } as const
const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1)
const steps = (size: number, kernel: number, stride: number, isSame: boolean): number =>
  Math.ceil((isSame ? size : size - kernel + 1) / stride)

/** Scores on logits whose steps are coarser than this would jump with the last rounding. */
const coarsestLogits = 0.1

/** A model of four to eight operators and a classifier's end, determined by the seed. */
export function randomModel(seed: number): { readonly kind: Kind; readonly model: ModelSpec } {
  const random = new Random(seed)
  const kind = random.pick(['float32', 'int8', 'uint8'] as const)
  const graph = new RandomGraph(random, kind)
  const size = (): number => random.between(5, 14)
  const seen = [graph.input([size(), size(), random.between(1, 5)])]
  for (let count = random.between(3, 7); count > 0; count--) seen.push(graph.grow(seen.at(-1)!, seen))
  return { kind, model: graph.finish(seen.at(-1)!) }
}

class RandomGraph {
  readonly #random: Random
  readonly #kind: Kind
  readonly #tensors: TensorSpec[] = []
  readonly #operators: OperatorSpec[] = []

  constructor(random: Random, kind: Kind) {
    this.#random = random
    this.#kind = kind
  }

  input(shape: Point['shape']): Point {
    return this.#value(shape, 1 / 64, this.#random.between(-20, 20))
  }

  /** Appends an operator that fits the value. */
  grow(x: Point, seen: readonly Point[]): Point {
    const [height, width, channels] = x.shape
    const makers: (() => Point)[] = [
      () => this.#conv(x),
      () => this.#conv(x),
      () => this.#depthwise(x),
      () => this.#sum(x, this.#conv(x, { out: channels, stride: 1, isSame: true })),
      () => this.#scaled(x),
      () => this.#function(x),
      () => this.#pad(x),
      () => this.#crop(x),
      () => this.#joined(x, seen),
    ]
    if (height > 2 && width > 2)
      makers.push(
        () => this.#pool('AVERAGE_POOL_2D', x),
        () => this.#pool('MAX_POOL_2D', x),
      )
    if (height * width < 150)
      makers.push(
        () => this.#resize(x),
        () => this.#transposed(x),
      )
    return this.#random.pick(makers)()
  }

  /** The mean of each channel, a dense layer and, half of the time, softmax. */
  finish(x: Point): ModelSpec {
    const channels = x.shape[2]
    const mean = this.#vector(channels, x.scale, x.zeroPoint)
    this.#add('MEAN', [x.at, this.#ints([1, 2])], mean, { 0: { byte: 0 } })
    const classes = this.#random.between(2, 9)
    const [w, b, reach] = this.#weights([classes, channels], 0, channels, x.scale)
    let last = this.#vector(classes, reach / 127, this.#zero())
    this.#add('FULLY_CONNECTED', [mean, w, b], last, { 0: { byte: this.#random.pick([0, 0, 1]) } })
    if (this.#random.next() < 0.5 && reach / 127 < coarsestLogits) {
      const scores = this.#vector(classes, 1 / 256, this.#kind === 'int8' ? -128 : 0)
      this.#add('SOFTMAX', [last], scores, { 0: { float: 1 } })
      last = scores
    }
    return { tensors: this.#tensors, operators: this.#operators, inputs: [0], outputs: [last] }
  }

  #conv(x: Point, asked: { readonly out?: number; readonly stride?: number; readonly isSame?: boolean } = {}): Point {
    const [height, width, channels] = x.shape
    const { out = this.#random.between(1, 9), stride = this.#random.between(1, 3) } = asked
    const { kernel, isSame, dilation } = this.#window(x, stride, asked.isSame)
    const [w, b, reach] = this.#weights([out, kernel, kernel, channels], 0, kernel * kernel * channels, x.scale)
    const along = (size: number): number => steps(size, (kernel - 1) * dilation + 1, stride, isSame)
    const y = this.#value([along(height), along(width), out], reach / 127, this.#zero())
    return this.#added('CONV_2D', [x.at, w, b], y, {
      0: { byte: isSame ? 0 : 1 },
      1: { int: stride },
      2: { int: stride },
      3: { byte: this.#activation() },
      4: { int: dilation },
      5: { int: dilation },
    })
  }

  #depthwise(x: Point): Point {
    const [height, width, channels] = x.shape
    const [stride, multiplier] = [this.#random.between(1, 2), this.#random.pick([1, 1, 2])]
    const { kernel, isSame, dilation } = this.#window(x, stride)
    const [w, b, reach] = this.#weights([1, kernel, kernel, channels * multiplier], 3, kernel * kernel, x.scale)
    const along = (size: number): number => steps(size, (kernel - 1) * dilation + 1, stride, isSame)
    const y = this.#value([along(height), along(width), channels * multiplier], reach / 127, this.#zero())
    return this.#added('DEPTHWISE_CONV_2D', [x.at, w, b], y, {
      0: { byte: isSame ? 0 : 1 },
      1: { int: stride },
      2: { int: stride },
      3: { int: multiplier },
      4: { byte: this.#activation() },
      5: { int: dilation },
      6: { int: dilation },
    })
  }

  #pool(op: string, x: Point): Point {
    const [height, width, channels] = x.shape
    const [kernel, stride] = [this.#random.between(2, 3), this.#random.between(1, 2)]
    const isSame = this.#random.next() < 0.5
    const along = (size: number): number => steps(size, kernel, stride, isSame)
    return this.#added(op, [x.at], this.#like(x, [along(height), along(width), channels]), {
      0: { byte: isSame ? 0 : 1 },
      1: { int: stride },
      2: { int: stride },
      3: { int: kernel },
      4: { int: kernel },
    })
  }

  #sum(x: Point, z: Point): Point {
    const y = this.#value(x.shape, (x.scale + z.scale) * 0.7, this.#zero())
    return this.#added(this.#random.pick(['ADD', 'ADD', 'SUB']), [x.at, z.at], y, { 0: { byte: this.#activation() } })
  }

  /** A product with one number for each channel. */
  #scaled(x: Point): Point {
    const channels = x.shape[2]
    const factor = this.#constant([channels], 2 / 127, 0)
    const y = this.#value(x.shape, x.scale * 1.5, this.#zero())
    return this.#added('MUL', [x.at, factor], y, { 0: { byte: this.#activation() } })
  }

  #function(x: Point): Point {
    const op = this.#random.pick(
      this.#kind === 'float32'
        ? ['LOGISTIC', 'TANH', 'RELU', 'RELU6', 'HARD_SWISH', 'LEAKY_RELU', 'ELU', 'ABS', 'RELU_N1_TO_1']
        : ['LOGISTIC', 'TANH', 'RELU', 'LEAKY_RELU'],
    )
    const isSigned = this.#kind === 'int8'
    const y =
      op === 'LOGISTIC'
        ? this.#value(x.shape, 1 / 256, isSigned ? -128 : 0, 'exact')
        : op === 'TANH'
          ? this.#value(x.shape, 1 / 128, isSigned ? 0 : 128, 'exact')
          : this.#like(x, x.shape)
    return this.#added(op, [x.at], y, op === 'LEAKY_RELU' ? { 0: { float: 0.2 } } : undefined)
  }

  #pad(x: Point): Point {
    const [height, width, channels] = x.shape
    const side = (): number => this.#random.between(0, 2)
    const [top, bottom, left, right] = [side(), side(), side(), side()]
    const pads = this.#ints([0, 0, top, bottom, left, right, 0, 0], [4, 2])
    const shape = [height + top + bottom, width + left + right, channels] as const
    return this.#added('PAD', [x.at, pads], this.#like(x, shape), {})
  }

  /** Rows from the second on, every second column. */
  #crop(x: Point): Point {
    const [height, width, channels] = x.shape
    const first = Math.min(1, height - 1)
    const lists = [
      [0, first, 0, 0],
      [1, height, width, channels],
      [1, 1, 2, 1],
    ].map((list) => this.#ints(list))
    const y = this.#like(x, [height - first, Math.ceil(width / 2), channels])
    return this.#added('STRIDED_SLICE', [x.at, ...lists], y, {})
  }

  /** With a value of the same size and code, or with itself. */
  #joined(x: Point, seen: readonly Point[]): Point {
    const isAlike = (z: Point): boolean =>
      z.shape[0] === x.shape[0] && z.shape[1] === x.shape[1] && z.scale === x.scale && z.zeroPoint === x.zeroPoint
    const other = this.#random.pick(seen.filter(isAlike).concat(x))
    const y = this.#like(x, [x.shape[0], x.shape[1], x.shape[2] + other.shape[2]])
    return this.#added('CONCATENATION', [x.at, other.at], y, { 0: { int: this.#random.pick([3, -1]) } })
  }

  #resize(x: Point): Point {
    const [height, width] = [this.#random.between(2, 14), this.#random.between(2, 14)]
    const size = this.#ints([height, width])
    const isLinear = this.#random.next() < 0.5
    const y = this.#like(x, [height, width, x.shape[2]])
    const isHalfPixel = { byte: this.#random.between(0, 1) }
    return isLinear
      ? this.#added('RESIZE_BILINEAR', [x.at, size], y, { 3: isHalfPixel })
      : this.#added('RESIZE_NEAREST_NEIGHBOR', [x.at, size], y, { 1: isHalfPixel })
  }

  #transposed(x: Point): Point {
    const [height, width, channels] = x.shape
    const [kernel, stride, out] = [this.#random.between(2, 4), this.#random.between(1, 2), this.#random.between(1, 5)]
    const isSame = this.#random.next() < 0.5
    const along = (size: number): number => (isSame ? size * stride : (size - 1) * stride + Math.max(kernel, stride))
    const shape = [along(height), along(width), out] as const
    const [w, b, reach] = this.#weights([out, kernel, kernel, channels], 0, kernel * kernel * channels, x.scale)
    const y = this.#value(shape, reach / 127, this.#zero())
    return this.#added('TRANSPOSE_CONV', [this.#ints([1, ...shape]), w, x.at, b], y, {
      0: { byte: isSame ? 0 : 1 },
      1: { int: stride },
      2: { int: stride },
    })
  }

  /** Kernel, padding and dilation of a window that fits the value. */
  #window(
    { shape: [height, width] }: Point,
    stride: number,
    isSame = this.#random.next() < 0.6,
  ): { readonly kernel: number; readonly isSame: boolean; readonly dilation: number } {
    const dilation = stride === 1 ? this.#random.pick([1, 1, 2]) : 1
    const most = isSame ? 5 : Math.floor((Math.min(height, width) - 1) / dilation) + 1
    return { kernel: this.#random.between(1, Math.min(5, most)), isSame, dilation }
  }

  #activation(): number {
    return this.#random.pick([0, 0, 1, 3])
  }

  #zero(): number {
    return this.#kind === 'int8' ? this.#random.between(-30, 30) : this.#random.between(98, 158)
  }

  /** A new value; `zeroPoint` counts from the middle of the type unless it is exact. */
  #value(shape: Point['shape'], scale: number, zeroPoint: number, form?: 'exact'): Point {
    const middle = form === 'exact' || this.#kind === 'int8' || this.#tensors.length > 0 ? 0 : 128
    const zero = zeroPoint + (this.#kind === 'uint8' ? middle : 0)
    const at = this.#tensor({ shape: [1, ...shape], scale, zeroPoint: zero })
    return { at, shape, scale, zeroPoint: zero }
  }

  #like({ scale, zeroPoint }: Point, shape: Point['shape']): Point {
    return { at: this.#tensor({ shape: [1, ...shape], scale, zeroPoint }), shape, scale, zeroPoint }
  }

  #vector(length: number, scale: number, zeroPoint: number): number {
    return this.#tensor({ shape: [1, length], scale, zeroPoint })
  }

  #tensor({ shape, scale, zeroPoint }: { shape: readonly number[]; scale: number; zeroPoint: number }): number {
    const name = `t${this.#tensors.length}`
    const code = this.#kind === 'float32' ? {} : { type: this.#kind, scale: [scale], zeroPoint: [zeroPoint] }
    return this.#tensors.push({ name, shape, ...code }) - 1
  }

  #ints(values: readonly number[], shape: readonly number[] = [values.length]): number {
    const data = Int32Array.from(values)
    return this.#tensors.push({ name: `t${this.#tensors.length}`, type: 'int32', shape, data }) - 1
  }

  /** Numbers of the network's kind, in the range of 127 steps of the scale. */
  #constant(shape: readonly number[], scale: number, zeroPoint: number): number {
    const name = `t${this.#tensors.length}`
    const whole = Array.from({ length: product(shape) }, () => this.#random.between(-127, 127))
    if (this.#kind === 'float32')
      return this.#tensors.push({ name, shape, data: Float32Array.from(whole, (value) => value * scale) }) - 1
    const zero = this.#kind === 'uint8' ? 128 + zeroPoint : 0
    const [least, most] = range[this.#kind]
    const stored = whole.map((value) => Math.min(most, Math.max(least, value + zero)))
    const data = this.#kind === 'int8' ? Int8Array.from(stored) : Uint8Array.from(stored)
    return this.#tensors.push({ name, type: this.#kind, shape, data, scale: [scale], zeroPoint: [zero] }) - 1
  }

  /** Weights and biases for sums of `terms` inputs, and the range of the sums. In int8 each index along `axis` has its own scale. */
  #weights(
    shape: readonly number[],
    axis: number,
    terms: number,
    inputScale: number,
  ): readonly [number, number, number] {
    const outputs = shape[axis]!
    const w = this.#constant(shape, 0.02, this.#random.between(-9, 9))
    const name = `t${this.#tensors.length}`
    const whole = Array.from({ length: outputs }, () => this.#random.between(-2000, 2000))
    // Inputs and weights are of about 60 steps each.
    const reach = Math.sqrt(terms) * 2.5 * 60 * 60 * 0.02 * inputScale
    if (this.#kind === 'float32') {
      const data = Float32Array.from(whole, (value) => value * 0.02 * inputScale)
      return [w, this.#tensors.push({ name, shape: [outputs], data }) - 1, reach]
    }
    const scale =
      this.#kind === 'uint8' ? [0.02] : Array.from({ length: outputs }, () => 0.02 * (0.5 + this.#random.next()))
    this.#tensors[w] = { ...this.#tensors[w]!, scale, axis, zeroPoint: this.#tensors[w]!.zeroPoint!.slice(0, 1) }
    if (scale.length > 1) this.#tensors[w] = { ...this.#tensors[w]!, zeroPoint: scale.map(() => 0) }
    const biasScale = scale.map((value) => Math.fround(Math.fround(value) * Math.fround(inputScale)))
    const bias: TensorSpec = { name, type: 'int32', shape: [outputs], data: Int32Array.from(whole), scale: biasScale }
    return [w, this.#tensors.push(bias) - 1, reach]
  }

  #added(op: string, inputs: readonly number[], y: Point, options?: TableFields): Point {
    this.#add(op, inputs, y.at, options)
    return y
  }

  #add(op: string, inputs: readonly number[], output: number, options?: TableFields): void {
    this.#operators.push({ op, inputs, outputs: [output], ...(options ? { options } : {}) })
  }
}
