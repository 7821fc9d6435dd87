/**
 * Exporters from channels-last frameworks wrap each convolution in a Transpose from NHWC and one back. This pass moves
 * every Transpose to NHWC behind the nodes that read it, until it meets one from NHWC and both cancel. The nodes between
 * them then work in ONNX's order, which the other passes expect. A product with a matrix becomes a 1×1 convolution.
 */
import { elementCount, imageLayout } from '../../tensor.js'
import { unaryOps } from '../activation.js'
import {
  floatConstant,
  floatsOf,
  int64Constant,
  madeNode,
  withoutDeadNodes,
  type Attribute,
  type Constant,
  type Graph,
  type Node,
  type Value,
} from '../graph.js'
import { concatenated, permutation, resolvePad, resolveSlice, splitParts } from '../shapes/movement.js'
import { quantizedOp } from '../quantized/code.js'
import { resolveReduce } from '../shapes/reduce.js'
import { softmaxSpan } from '../shapes/table.js'
import { normalAxis } from '../view.js'
import { unlessUnsupported } from './attempt.js'
import { GraphIndex } from '../graph-index.js'
import { changed } from './changes.js'
import { transposedMatrix } from './weighted.js'

const toNhwc = [0, 2, 3, 1]
const fromNhwc = [0, 3, 1, 2]

/** The place in NCHW of an axis of an NHWC value. */
const nchwAxis = (axis: number): number => toNhwc[axis]!
/** Values per NHWC axis in NCHW order. */
const reordered = <T>(values: readonly T[]): T[] => fromNhwc.map((axis) => values[axis]!)

/** Operators that work on each element of their first input, in any order. */
const elementOps = new Set([...unaryOps, 'Identity', 'Dropout', 'Cast'])
const broadcasting = new Set(['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Pow', 'PRelu', 'Sum', 'Mean'])
const reductions = new Set(['ReduceMean', 'ReduceSum', 'ReduceMax', 'ReduceMin'])

/** Moves transpositions to NHWC down the graph until they cancel. */
export function sinkTransposes(graph: Graph): Graph {
  if (!graph.nodes.some(({ op }) => op === 'Transpose')) return graph
  const sinking = new TransposeSinking(graph)
  for (const node of graph.nodes) sinking.visit(node)
  return sinking.finish()
}

/** A node whose inputs and attributes are in NCHW. Where its result is an image, the other nodes still read it in NHWC. */
interface Moved {
  readonly node: Node
  readonly isImage: boolean
}

/** Visits the nodes in order and keeps, for each NHWC value, the NCHW value from which it is transposed. */
class TransposeSinking {
  readonly #index: GraphIndex
  readonly #nodes: Node[] = []
  readonly #constants: Map<string, Constant>
  readonly #values: Map<string, Value>
  /** By NHWC value, the NCHW value from which it is transposed. */
  readonly #sources = new Map<string, string>()
  readonly #renamed = new Map<string, string>()

  constructor(graph: Graph) {
    this.#index = GraphIndex.of(graph)
    this.#constants = new Map(graph.constants)
    this.#values = new Map(graph.values)
    for (const { name, shape } of graph.inputs)
      if (shape && imageLayout(shape) === 'nhwc') this.#addTranspose(name, this.#addValue(name), 'NCHW')
  }

  /** An image input in NHWC counts as transposed from NCHW, which costs nothing at run time. */
  #addTranspose(from: string, to: string, order: 'NCHW' | 'NHWC'): void {
    const perm = { kind: 'ints', value: order === 'NHWC' ? toNhwc : fromNhwc } as const
    const name = `${order === 'NHWC' ? to : from} to ${order}`
    this.#push(madeNode('Transpose', { name, attributes: { perm }, inputs: [from], output: to }))
  }

  /** Declares the NCHW value of an NHWC value. */
  #addValue(name: string): string {
    const value = this.#values.get(name)!
    const source = `${name}.nchw`
    this.#values.set(source, { ...value, name: source, shape: reordered(value.shape!) })
    this.#sources.set(name, source)
    return source
  }

  #push(node: Node): void {
    this.#nodes.push(node)
  }

  visit(given: Node): void {
    const node = given.inputs.some((input) => this.#renamed.has(input))
      ? { ...given, inputs: given.inputs.map((input) => this.#renamed.get(input) ?? input) }
      : given
    if (node.op === 'Transpose' && node.domain === '') return this.#visitTranspose(given, node)
    const moved = given.inputs.some((input) => this.#sources.has(input))
      ? unlessUnsupported(() => this.#moved(given))
      : null
    if (!moved) return this.#push(node)
    if (!moved.isImage) return this.#push(moved.node)
    this.#push({ ...moved.node, outputs: given.outputs.map((output) => (output === '' ? '' : this.#addValue(output))) })
    for (const output of given.outputs)
      if (output !== '') this.#addTranspose(this.#sources.get(output)!, output, 'NHWC')
  }

  #visitTranspose(given: Node, node: Node): void {
    const order = permutation(this.#index.view(given)).join()
    const [input = ''] = node.inputs
    const [output = ''] = node.outputs
    const source = this.#sources.get(given.inputs[0]!)
    if (order === toNhwc.join()) this.#sources.set(output, input)
    if (order !== fromNhwc.join() || source === undefined) return this.#push(node)
    if (this.#index.isOutput(output)) return this.#push({ ...node, op: 'Identity', attributes: {}, inputs: [source] })
    this.#renamed.set(output, source)
  }

  finish(): Graph {
    return withoutDeadNodes({
      ...this.#index.graph,
      nodes: this.#nodes,
      constants: this.#constants,
      values: this.#values,
    })
  }

  /** The node in NCHW, or null where it must read NHWC. Throws `Unsupported` like the resolvers it uses. */
  #moved(node: Node): Moved | null {
    const { op, domain } = node
    if (domain === 'gapcam' && op === quantizedOp) return this.#withInputs(node, [0])
    if (domain !== '') return null
    if (elementOps.has(op)) return this.#withInputs(node, [0])
    if (broadcasting.has(op))
      return this.#withInputs(
        node,
        node.inputs.map((_, i) => i),
      )
    const view = this.#index.view(node)
    if (reductions.has(op)) return this.#reduced(node)
    switch (op) {
      case 'MatMul':
        return this.#product(node)
      case 'Pad': {
        const { before, after } = resolvePad(view)
        const value = view.optional(2) ? view.numbers(2, 'fill value')[0]! : view.float('value', 0)
        return this.#withInputs({ ...node, inputs: node.inputs.slice(0, 1) }, [0], {
          pads: { kind: 'ints', value: [...reordered(before), ...reordered(after)] },
          value: { kind: 'float', value },
        })
      }
      case 'Concat':
        return this.#withInputs(
          node,
          node.inputs.map((_, i) => i),
          { axis: int(nchwAxis(concatenated(view).axis)) },
        )
      case 'Split':
        return this.#withInputs(node, [0], { axis: int(nchwAxis(splitParts(view).axis)) })
      case 'Slice':
        return this.#sliced(node)
      case 'Softmax':
      case 'LogSoftmax': {
        const { axis, isFlattened } = softmaxSpan(view)
        return isFlattened ? null : this.#withInputs(node, [0], { axis: int(nchwAxis(axis)) })
      }
      case 'LayerNormalization':
        if (normalAxis(view.int('axis', -1), 4) !== 3 || node.outputs.length > 1) return null
        return this.#withInputs({ ...node, op: 'ChannelNormalization', domain: 'gapcam' }, [0])
      default:
        return null
    }
  }

  /** The node with the inputs at these places in NCHW; null where one of them does not exist in NCHW. */
  #withInputs(
    node: Node,
    places: readonly number[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): Moved | null {
    const inputs = node.inputs.map((input, i) => (places.includes(i) ? this.#inNchw(input) : input))
    return inputs.includes(null)
      ? null
      : { node: changed(node, { inputs: inputs as string[], attributes }), isImage: true }
  }

  #inNchw(input: string): string | null {
    const source = this.#sources.get(input)
    if (source !== undefined) return source
    const constant = this.#constants.get(input)
    if (!constant) return this.#onePixel(input)
    if (constant.type !== 'float32') return null
    if (elementCount(constant.shape) === 1) return input
    return this.#addConstant(`${input}.nchw`, transposedConstant(constant))
  }

  /** The NCHW value of an image with one pixel or one channel, such as a gate: both orders have the same bytes. */
  #onePixel(input: string): string | null {
    const [n, h, w, c, ...rest] = this.#index.shape(input)
    if (n === undefined || c === undefined || rest.length > 0 || (h! * w! > 1 && c > 1)) return null
    const source = this.#addValue(input)
    this.#addTranspose(input, source, 'NCHW')
    return source
  }

  #addConstant(name: string, constant: Constant): string {
    this.#constants.set(name, constant)
    return name
  }

  #reduced(node: Node): Moved | null {
    const source = this.#sources.get(node.inputs[0]!)
    const { axes, keepsDims } = resolveReduce(this.#index.view(node))
    // Without H and W, the remaining axes are in the same order in NCHW and NHWC.
    if (source === undefined || (!keepsDims && !(axes.includes(1) && axes.includes(2)))) return null
    const kept = changed(node, {
      inputs: [source],
      attributes: { axes: { kind: 'ints', value: axes.map(nchwAxis).sort((a, b) => a - b) } },
    })
    return { node: kept, isImage: keepsDims }
  }

  #sliced(node: Node): Moved | null {
    const source = this.#sources.get(node.inputs[0]!)
    const { starts, steps, shape } = resolveSlice(this.#index.view(node))
    if (source === undefined || steps.some((step) => step < 1)) return null
    const list = (what: string, values: readonly number[]): string =>
      this.#addConstant(`${node.name}.${what}`, int64Constant([4], reordered(values)))
    const ends = starts.map((start, axis) => start + (shape[axis]! - 1) * steps[axis]! + 1)
    const inputs = [
      source,
      list('starts', starts),
      list('ends', ends),
      this.#addConstant(`${node.name}.axes`, int64Constant([4], [0, 1, 2, 3])),
      list('steps', steps),
    ]
    return { node: { ...node, attributes: {}, inputs }, isImage: true }
  }

  /** The product of x [N,H,W,K] and a constant matrix [K,M], as a 1×1 convolution. */
  #product(node: Node): Moved | null {
    const [x = '', matrix = ''] = node.inputs
    const source = this.#sources.get(x)
    const weights = this.#constants.get(matrix)
    if (source === undefined || weights?.type !== 'float32' || weights.shape.length !== 2) return null
    const [k = 0, m = 0] = weights.shape
    const name = this.#addConstant(
      `${matrix}.nchw`,
      floatConstant([m, k, 1, 1], transposedMatrix(floatsOf(weights), k, m)),
    )
    return { node: { ...node, op: 'Conv', attributes: {}, inputs: [source, name] }, isImage: true }
  }
}

const int = (value: number): Attribute => ({ kind: 'int', value })

/** A constant that broadcasts to NHWC, transposed so that it broadcasts to NCHW. */
function transposedConstant(constant: Constant): Constant {
  const [n = 1, h = 1, w = 1, c = 1] = [...new Array<number>(4 - constant.shape.length).fill(1), ...constant.shape]
  const values = floatsOf(constant)
  if (h * w === 1 || c === 1) return floatConstant([n, c, h, w], values)
  const moved = new Float32Array(values.length)
  for (let i = 0; i < n; i++)
    moved.set(transposedMatrix(values.subarray(i * h * w * c, (i + 1) * h * w * c), h * w, c), i * h * w * c)
  return floatConstant([n, c, h, w], moved)
}
