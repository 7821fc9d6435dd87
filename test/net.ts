/** Builds small seeded networks for tests. Weights are scaled so that the signal neither vanishes nor explodes. */
import { floats, int64, type AttributeValue, type ModelSpec, type NodeSpec, type Weight } from './onnx-builder.js'
import { Random } from './random.js'

type Attributes = Readonly<Record<string, AttributeValue>>

/** Attributes of a Conv, and whether it has a bias (default true). */
interface ConvOptions {
  readonly kernel?: number
  readonly groups?: number
  readonly bias?: boolean
  readonly strides?: readonly number[]
  readonly pads?: readonly number[]
  readonly dilations?: readonly number[]
  readonly auto_pad?: string
}

/** Builds a graph node by node. It knows the number of channels of every value. */
export class Net {
  readonly nodes: NodeSpec[] = []
  readonly weights: Record<string, Weight> = {}
  readonly #random: Random
  readonly #channels = new Map<string, number>()
  readonly #input: readonly number[]

  constructor(seed: number, input: readonly number[], channels = input[1]!) {
    this.#random = new Random(seed)
    this.#input = input
    this.#channels.set('input', channels)
  }

  /** Number of channels of a value that this network made. */
  channels(value: string): number {
    return this.#channels.get(value)!
  }

  /** Adds a node with one output and returns the output's name. `channels` is by default that of the first input. */
  node(
    op: string,
    inputs: readonly string[],
    attributes: Attributes = {},
    channels = this.channels(inputs[0]!),
  ): string {
    const output = `${op.toLowerCase()}_${this.nodes.length}`
    this.nodes.push({ op, inputs, outputs: [output], attributes })
    this.#channels.set(output, channels)
    return output
  }

  /** Splits the channels into equal parts. */
  split(value: string, parts: number): string[] {
    const outputs = Array.from({ length: parts }, (_, i) => `split_${this.nodes.length}_${i}`)
    const size = this.channels(value) / parts
    this.nodes.push({
      op: 'Split',
      inputs: [value, this.constant(int64(...outputs.map(() => size)))],
      outputs,
      attributes: { axis: 1 },
    })
    for (const output of outputs) this.#channels.set(output, size)
    return outputs
  }

  /** Adds a constant and returns its name. */
  constant(weight: Weight): string {
    const name = `w${Object.keys(this.weights).length}`
    this.weights[name] = weight
    return name
  }

  /** A convolution with a square kernel (default 3), padded so that the size stays unless `pads` or `auto_pad` is given. */
  conv(x: string, features: number, { kernel = 3, groups = 1, bias = true, ...attributes }: ConvOptions = {}): string {
    const perGroup = this.channels(x) / groups
    const weight = floats(
      [features, perGroup, kernel, kernel],
      this.#random.normals(features * perGroup * kernel * kernel, Math.sqrt(2 / (perGroup * kernel * kernel))),
    )
    const inputs = [
      x,
      this.constant(weight),
      ...(bias ? [this.constant(floats([features], this.#random.normals(features, 0.1)))] : []),
    ]
    const pads = Math.floor(kernel / 2)
    return this.node(
      'Conv',
      inputs,
      {
        group: groups,
        kernel_shape: [kernel, kernel],
        ...('auto_pad' in attributes || 'pads' in attributes ? {} : { pads: [pads, pads, pads, pads] }),
        ...attributes,
      },
      features,
    )
  }

  /** A BatchNormalization with statistics near 0 and 1. */
  norm(x: string): string {
    const c = this.channels(x)
    const near = (mean: number, spread: number): string =>
      this.constant(
        floats(
          [c],
          this.#random.normals(c, spread).map((v) => mean + v),
        ),
      )
    const variance = this.constant(
      floats(
        [c],
        Float32Array.from({ length: c }, () => 0.5 + this.#random.next()),
      ),
    )
    return this.node('BatchNormalization', [x, near(1, 0.1), near(0, 0.1), near(0, 0.1), variance], {
      epsilon: { float: 1e-5 },
    })
  }

  /** Gelu by Erf, as exporters spell it out. */
  gelu(x: string): string {
    const erf = this.node('Erf', [this.node('Div', [x, this.constant(floats([], [Math.SQRT2]))])])
    return this.node('Mul', [
      this.node('Mul', [x, this.node('Add', [erf, this.constant(floats([], [1]))])]),
      this.constant(floats([], [0.5])),
    ])
  }

  relu(x: string): string {
    return this.node('Relu', [x])
  }

  /** Relu6 as a Clip. */
  clip6(x: string): string {
    return this.node('Clip', [x, this.constant(floats([], [0])), this.constant(floats([], [6]))])
  }

  concat(...values: string[]): string {
    return this.node(
      'Concat',
      values,
      { axis: 1 },
      values.reduce((sum, value) => sum + this.channels(value), 0),
    )
  }

  maxPool(x: string, attributes: Attributes = {}): string {
    return this.node('MaxPool', [x], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], ...attributes })
  }

  /** The model that ends in GlobalAveragePool, Flatten, Gemm. */
  head(x: string, classes = 11): ModelSpec {
    return this.dense(this.node('Flatten', [this.node('GlobalAveragePool', [x])]), this.channels(x), classes)
  }

  /** The model that ends in a Gemm of a vector. */
  dense(flat: string, width: number, classes = 11): ModelSpec {
    const weight = this.constant(floats([classes, width], this.#random.normals(classes * width, Math.sqrt(2 / width))))
    const logits = this.node('Gemm', [flat, weight, this.constant(floats([classes], this.#random.normals(classes)))], {
      transB: 1,
    })
    return this.model(logits, [1, classes])
  }

  /** The model with this output. */
  model(output: string, shape: readonly number[]): ModelSpec {
    return { nodes: this.nodes, weights: this.weights, inputs: { input: this.#input }, outputs: { [output]: shape } }
  }
}
