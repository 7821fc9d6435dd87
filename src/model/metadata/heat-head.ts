/**
 * Finds the head from which a class activation map can be read (Zhou et al. 2016, "Learning Deep Features for
 * Discriminative Localization"): a mean over the positions of a feature map, then only linear steps up to the scores. The
 * logit of a class is then itself a mean over positions, and the share of each position is a product with the map. The
 * search follows the graph's structure, not its names. Without such a head it returns the reason as a sentence.
 */
import { floatsOf, numbersOf, type Constant, type Graph, type Node } from '../graph.js'
import { unlessUnsupported } from '../passes/attempt.js'
import { isPointwise } from '../passes/weighted.js'
import { recognizeMeans } from '../passes/mean.js'
import { GraphIndex } from '../graph-index.js'
import { resolveReduce } from '../shapes/reduce.js'

export interface HeatHead {
  /** Name of the feature map in the file. */
  readonly map: string
  /** Position of the map's channels in the file. */
  readonly layout: 'nchw' | 'nhwc'
  /** The weight of each channel in a class's logit: logit = mean over positions of weights · channels, plus a bias. */
  weights(classIndex: number): Float32Array
}

/** The transpose of a linear step: maps coefficients of its outputs to coefficients of its inputs. Owns its numbers. */
type Floats = Float32Array<ArrayBuffer>
type Transposed = (coefficients: Floats) => Floats

/** Operators that keep the vector and its order; quantisation keeps it up to rounding. */
const keepers = new Set([
  'Identity',
  'Dropout',
  'Cast',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'QuantizeLinear',
  'DequantizeLinear',
])
/** Operators that may follow the logits. */
const scorings = new Set(['Softmax', 'LogSoftmax', 'Sigmoid'])

/** Searches backwards from `output`. `graph` is prepared: shapes inferred, constant arithmetic folded. */
export function findHeatHead(graph: Graph, output: string, classes: number): HeatHead | { readonly reason: string } {
  const index = GraphIndex.of(recognizeMeans(graph))
  const layers: Transposed[] = []
  let value = output
  for (;;) {
    const node = index.maker(value)
    if (!node) return { reason: 'its scores do not come from a feature map by a mean and linear layers' }
    const [source = ''] = node.inputs
    const pooled = pooledMap(index, node)
    if (pooled !== null) return headOf(index, { ...pooled, layers, classes, gap: node })
    if (layers.length === 0 && scorings.has(node.op)) value = source
    else if (keepers.has(node.op)) {
      if (!isVector(index.shape(source)))
        return {
          reason: `its head flattens a feature map (${node.op} ${node.name}); only a mean over the positions can be traced back to them`,
        }
      value = source
    } else {
      const layer = unlessUnsupported(() => linearLayer(index, node))
      if (!layer) return { reason: refusal(node) }
      layers.push(layer.transposed)
      value = layer.input
    }
  }
}

function refusal({ op, name, inputs }: Node): string {
  const what =
    inputs.length > 1 ? `${op} ${name}, which is not linear in one value` : `${op} ${name}, which is not linear`
  return `between the mean over the feature map and the scores is ${what}; a score is then not a sum over positions`
}

/** The map that a node averages, and the position of its channels; null for other nodes. */
function pooledMap(index: GraphIndex, node: Node): { map: string; layout: 'nchw' | 'nhwc' } | null {
  const [map = ''] = node.inputs
  if (node.op === 'GlobalAveragePool') return { map, layout: 'nchw' }
  if (node.op !== 'ReduceMean' || index.shape(map).length !== 4) return null
  const reduced = unlessUnsupported(() => resolveReduce(index.view(node)))
  return reduced?.axes.join() === '1,2' ? { map, layout: 'nhwc' } : null
}

interface Found {
  readonly map: string
  readonly layout: 'nchw' | 'nhwc'
  readonly layers: Transposed[]
  readonly classes: number
  readonly gap: Node
}

function headOf(index: GraphIndex, { map, layout, layers, classes, gap }: Found): HeatHead {
  // A 1×1 convolution without an activation commutes with the mean. The plan computes it after the mean, so its input is
  // the map that exists at run time.
  let [at, reader] = [map, gap]
  for (let conv = index.soleMaker(at, reader); layout === 'nchw' && conv; conv = index.soleMaker(at, reader)) {
    const layer =
      conv.op === 'Conv'
        ? unlessUnsupported(() => (isPointwise(index, conv!) ? linearLayer(index, conv!) : null))
        : null
    if (!layer) break
    layers.push(layer.transposed)
    at = layer.input
    reader = conv
  }
  let known: { index: number; weights: Float32Array } | null = null
  return {
    map: at,
    layout,
    weights(classIndex) {
      if (known?.index === classIndex) return known.weights
      const oneHot = new Float32Array(classes)
      oneHot[classIndex] = 1
      const weights = layers.reduce((coefficients, transposed) => transposed(coefficients), oneHot)
      known = { index: classIndex, weights }
      return weights
    },
  }
}

interface LinearLayer {
  readonly input: string
  readonly transposed: Transposed
}

function linearLayer(index: GraphIndex, node: Node): LinearLayer | null {
  if (node.domain !== '') return null
  const [a = '', b = ''] = node.inputs
  const [left, right] = [constantOf(index, a), constantOf(index, b)]
  switch (node.op) {
    case 'Gemm':
      return right && !left && index.view(node).int('transA', 0) === 0 ? gemm(index, node, right) : null
    case 'MatMul':
      return right?.shape.length === 2
        ? { input: a, transposed: product(numbers(right), right.shape[0]!, right.shape[1]!, false, 1) }
        : null
    case 'Conv': {
      const [features = 0, channels = 0, kh, kw] = right?.shape ?? []
      const isPlain = right && kh === 1 && kw === 1 && index.view(node).int('group', 1) === 1
      return isPlain ? { input: a, transposed: product(numbers(right), channels, features, true, 1) } : null
    }
    case 'Add':
    case 'Sub': // x − c only: c − x would change the sign.
      return left && node.op === 'Add'
        ? { input: b, transposed: (c) => c }
        : right
          ? { input: a, transposed: (c) => c }
          : null
    case 'Mul':
      return left ? scaled(b, numbers(left)) : right ? scaled(a, numbers(right)) : null
    case 'Div':
      return right
        ? scaled(
            a,
            numbers(right).map((v) => 1 / v),
          )
        : null
    case 'BatchNormalization':
      return batchNorm(index, node)
    default:
      return null
  }
}

function gemm(index: GraphIndex, node: Node, weights: Constant): LinearLayer {
  const isTransposed = index.view(node).int('transB', 0) === 1
  const [rows = 0, columns = 0] = weights.shape
  const [inputs, outputs] = isTransposed ? [columns, rows] : [rows, columns]
  return {
    input: node.inputs[0]!,
    transposed: product(numbers(weights), inputs, outputs, isTransposed, index.view(node).float('alpha', 1)),
  }
}

/** y = scale · W x with W as [outputs, inputs] (`isOutputFirst`) or [inputs, outputs]. */
function product(weights: Floats, inputs: number, outputs: number, isOutputFirst: boolean, scale: number): Transposed {
  const [outputStride, inputStride] = isOutputFirst ? [inputs, 1] : [1, outputs]
  return (coefficients) => {
    const result = new Float32Array(inputs)
    for (let o = 0; o < outputs; o++) {
      const factor = scale * coefficients[o]!
      if (factor === 0) continue // in the last layer, all coefficients but one are 0
      for (let i = 0; i < inputs; i++) result[i]! += factor * weights[o * outputStride + i * inputStride]!
    }
    return result
  }
}

function scaled(input: string, factors: Floats): LinearLayer {
  return { input, transposed: (coefficients) => coefficients.map((c, i) => c * factors[factors.length === 1 ? 0 : i]!) }
}

function batchNorm(index: GraphIndex, node: Node): LinearLayer | null {
  const [input = '', ...rest] = node.inputs
  const [scale, , , variance] = rest.map((name) => constantOf(index, name))
  if (!scale || !variance) return null
  const epsilon = index.view(node).float('epsilon', 1e-5)
  const [factors, variances] = [numbers(scale), numbers(variance)]
  return scaled(
    input,
    factors.map((factor, i) => factor / Math.sqrt(variances[i]! + epsilon)),
  )
}

/** A constant, or a constant behind a DequantizeLinear. */
function constantOf(index: GraphIndex, name: string): Constant | null {
  const constant = index.constant(name)
  if (constant) return constant
  const node = index.maker(name)
  if (node?.op !== 'DequantizeLinear') return null
  const [stored, scale, zeroPoint] = node.inputs.map((input) => index.constant(input))
  if (!stored || !scale) return null
  const [values, scales, zeros] = [numbersOf(stored), numbersOf(scale), zeroPoint ? numbersOf(zeroPoint) : [0]]
  const axis = scales.length === 1 ? 0 : (index.view(node).int('axis', 1) + stored.shape.length) % stored.shape.length
  const inner = stored.shape.slice(axis + 1).reduce((product, size) => product * size, 1)
  const data = Float32Array.from(values, (value, i) => {
    const at = scales.length === 1 ? 0 : Math.floor(i / inner) % scales.length
    return (value - (zeros[at] ?? zeros[0] ?? 0)) * scales[at]!
  })
  return { type: 'float32', shape: stored.shape, bytes: new Uint8Array(data.buffer) }
}

/** Copies a constant as floats: the model's file may change once its weights are packed. */
function numbers(constant: Constant): Floats {
  return constant.type === 'float32' ? Float32Array.from(floatsOf(constant)) : Float32Array.from(numbersOf(constant))
}

const isVector = (shape: readonly number[]): boolean => shape.filter((size) => size !== 1).length <= 1
