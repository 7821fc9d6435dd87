/** Small networks over clips with random weights (seeded), one of each family, for comparisons of engines and targets. */
import { floats, int64, type ModelSpec, type NodeSpec, type Weight } from './onnx-builder.js'
import { Random } from './random.js'

const clip = [1, 3, 16, 32, 32]
const classes = 11

class Clips {
  readonly #random: Random
  readonly nodes: NodeSpec[] = []
  readonly weights: Record<string, Weight> = {}
  #count = 0

  constructor(seed: number) {
    this.#random = new Random(seed)
  }

  node(op: string, inputs: readonly string[], attributes: NodeSpec['attributes'] = {}): string {
    const output = `${op.toLowerCase()}${this.#count++}`
    this.nodes.push({ op, inputs, outputs: [output], attributes })
    return output
  }

  weight(shape: readonly number[], fanIn: number): string {
    const name = `w${this.#count++}`
    const length = shape.reduce((product, size) => product * size, 1)
    this.weights[name] = floats(shape, this.#random.normals(length, Math.sqrt(2 / fanIn)))
    return name
  }

  /** A convolution with a kernel and steps over frames, rows and columns, and the usual padding. */
  conv(x: string, from: number, to: number, kernel: readonly number[], strides: readonly number[] = [1, 1, 1]): string {
    const half = kernel.map((size) => (size - 1) / 2)
    const fanIn = from * kernel.reduce((product, size) => product * size, 1)
    const weights = [this.weight([to, from, ...kernel], fanIn), this.weight([to], 100)]
    return this.node('Conv', [x, ...weights], { pads: [...half, ...half], strides: [...strides] })
  }

  pool(x: string, size: readonly number[], pads: readonly number[] = [0, 0, 0, 0, 0, 0]): string {
    return this.node('MaxPool', [x], { kernel_shape: [...size], strides: [...size], pads: [...pads] })
  }

  layer(x: string, from: number, to: number): string {
    return this.node('Gemm', [x, this.weight([from, to], from), this.weight([to], 100)])
  }

  model(output: string): ModelSpec {
    return { nodes: this.nodes, weights: this.weights, inputs: { clip }, outputs: { [output]: [1, classes] } }
  }
}

/** Eight convolutions over time and place, five maxima, three layers (Tran et al. 2015). */
function c3d(): ModelSpec {
  const net = new Clips(1)
  let [x, channels] = ['clip', 3]
  const stages = [[6], [10], [12, 12], [16, 16], [16, 16]]
  for (const [stage, widths] of stages.entries()) {
    for (const width of widths) {
      x = net.node('Relu', [net.conv(x, channels, width, [3, 3, 3])])
      channels = width
    }
    // The last one pads at the end, as in the paper.
    x = net.pool(x, stage === 0 ? [1, 2, 2] : [2, 2, 2], stage === 4 ? [0, 0, 0, 0, 1, 1] : undefined)
  }
  net.weights['row'] = int64(1, 16)
  x = net.node('Reshape', [x, 'row'])
  x = net.node('Relu', [net.layer(x, 16, 24)])
  x = net.node('Relu', [net.layer(x, 24, 24)])
  return net.model(net.layer(x, 24, classes))
}

/** Residual blocks with steps over time, and a mean over time and place (torchvision's r3d). */
function r3d(): ModelSpec {
  const net = new Clips(2)
  let x = net.node('Relu', [net.conv('clip', 3, 8, [3, 7, 7], [1, 2, 2])])
  const inner = net.conv(net.node('Relu', [net.conv(x, 8, 8, [3, 3, 3])]), 8, 8, [3, 3, 3])
  x = net.node('Relu', [net.node('Add', [inner, x])])
  const deep = net.conv(net.node('Relu', [net.conv(x, 8, 12, [3, 3, 3], [2, 2, 2])]), 12, 12, [3, 3, 3])
  x = net.node('Relu', [net.node('Add', [deep, net.conv(x, 8, 12, [1, 1, 1], [2, 2, 2])])])
  const mean = net.node('Flatten', [net.node('GlobalAveragePool', [x])])
  return net.model(net.layer(mean, 12, classes))
}

/** Convolutions over place and over time in turn (R(2+1)D), and a gate for each channel (X3D). */
function r2plus1d(): ModelSpec {
  const net = new Clips(3)
  let x = net.node('Relu', [net.conv('clip', 3, 8, [1, 3, 3], [1, 2, 2])])
  x = net.node('Relu', [net.conv(x, 8, 10, [3, 1, 1], [2, 1, 1])])
  const gate = net.node('Sigmoid', [net.conv(net.node('GlobalAveragePool', [x]), 10, 10, [1, 1, 1])])
  x = net.node('Mul', [x, gate])
  const mean = net.node('AveragePool', [x], { kernel_shape: [2, 4, 4], strides: [2, 4, 4] })
  const flat = net.node('ReduceMean', [mean], { axes: [2, 3, 4], keepdims: 0 })
  return net.model(net.layer(flat, 10, classes))
}

export const clipNetworks: Readonly<Record<string, () => ModelSpec>> = { c3d, r3d, r2plus1d }
