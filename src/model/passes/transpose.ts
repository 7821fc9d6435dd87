/**
 * Exporters from channels-last frameworks wrap each convolution in a Transpose from NHWC and one back. This pass moves
 * every Transpose to NHWC behind what reads it, until it meets one from NHWC and both are gone: what stood between
 * then works on ONNX's own order, where the other passes know it. A product with a matrix becomes a 1×1 convolution.
 */
import { elementCount } from '../../tensor.js'
import {
  floatConstant,
  floatsOf,
  int64Constant,
  type Attribute,
  type Constant,
  type Graph,
  type Node,
  type Value,
} from '../graph.js'
import { unaryOps } from '../operators/elementwise.js'
import { concatenated, permutation, resolvePad, resolveSlice, splitParts } from '../shapes/movement.js'
import { resolveReduce } from '../shapes/reduce.js'
import { softmaxSpan } from '../shapes/table.js'
import { normalAxis } from '../view.js'
import { unlessUnsupported } from './attempt.js'
import { changed, GraphIndex } from './changes.js'
import { withoutDeadNodes } from '../prepare.js'

const toNhwc = [0, 2, 3, 1]
const fromNhwc = [0, 3, 1, 2]

/** Where an axis of an NHWC value lies in NCHW. */
const nchwAxis = (axis: number): number => toNhwc[axis]!
const reordered = <T>(values: readonly T[]): T[] => fromNhwc.map((axis) => values[axis]!)

const sameOrder = new Set([...unaryOps, 'Identity', 'Dropout', 'Cast', 'Mish'])
const broadcasting = new Set(['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Pow', 'PRelu', 'Sum', 'Mean'])
const reductions = new Set(['ReduceMean', 'ReduceSum', 'ReduceMax', 'ReduceMin'])

export function sinkTransposes(graph: Graph): Graph {
  if (!graph.nodes.some(({ op }) => op === 'Transpose')) return graph
  const walk = new Walk(graph)
  for (const node of graph.nodes) walk.visit(node)
  return walk.finish()
}

/** A node in ONNX's order: its inputs and attributes there, and whether its results still are pictures in NHWC to the others. */
interface Moved {
  readonly node: Node
  readonly isPicture: boolean
}

class Walk {
  readonly #index: GraphIndex
  readonly #nodes: Node[] = []
  readonly #constants: Map<string, Constant>
  readonly #values: Map<string, Value>
  /** The NCHW value of which a value is the NHWC transposition. */
  readonly #sources = new Map<string, string>()
  readonly #renamed = new Map<string, string>()

  constructor(graph: Graph) {
    this.#index = GraphIndex.of(graph)
    this.#constants = new Map(graph.constants)
    this.#values = new Map(graph.values)
    for (const { name, shape } of graph.inputs) if (isNhwcPicture(shape)) this.#addTransposedInput(name)
  }

  /** A picture in NHWC counts as the transposition of one in NCHW, which is free to make. */
  #addTransposedInput(name: string): void {
    this.#push({
      name: `${name} to NCHW`,
      op: 'Transpose',
      domain: '',
      attributes: perm(fromNhwc),
      inputs: [name],
      outputs: [this.#addValue(name)],
    })
  }

  /** Declares the NCHW value of an NHWC one. */
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
    if (!moved.isPicture) return this.#push(moved.node)
    this.#push({ ...moved.node, outputs: given.outputs.map((output) => (output === '' ? '' : this.#addValue(output))) })
    for (const output of given.outputs) {
      if (output !== '')
        this.#push({
          name: `${output} to NHWC`,
          op: 'Transpose',
          domain: '',
          attributes: perm(toNhwc),
          inputs: [this.#sources.get(output)!],
          outputs: [output],
        })
    }
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

  #moved(node: Node): Moved | null {
    if (node.domain !== '') return null
    const { op } = node
    if (sameOrder.has(op)) return this.#withInputs(node, [0])
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

  /** The node with its pictures (and the constants beside them) at these places in NCHW; null where one is not to be had. */
  #withInputs(
    node: Node,
    places: readonly number[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): Moved | null {
    const inputs = node.inputs.map((input, i) => (places.includes(i) ? this.#inNchw(input) : input))
    return inputs.includes(null)
      ? null
      : { node: changed(node, { inputs: inputs as string[], attributes }), isPicture: true }
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

  /** A picture of one pixel or one channel, such as a gate: both orders are the same bytes. */
  #onePixel(input: string): string | null {
    const [n, h, w, c, ...rest] = this.#index.shape(input)
    if (n === undefined || c === undefined || rest.length > 0 || (h! * w! > 1 && c > 1)) return null
    const source = this.#addValue(input)
    this.#push({
      name: `${input} to NCHW`,
      op: 'Transpose',
      domain: '',
      attributes: perm(fromNhwc),
      inputs: [input],
      outputs: [source],
    })
    return source
  }

  #addConstant(name: string, constant: Constant): string {
    this.#constants.set(name, constant)
    return name
  }

  #reduced(node: Node): Moved | null {
    const source = this.#sources.get(node.inputs[0]!)
    const { axes, keepsDims } = resolveReduce(this.#index.view(node))
    // Without H and W, what is left is in the same order in both forms.
    if (source === undefined || (!keepsDims && !(axes.includes(1) && axes.includes(2)))) return null
    const kept = changed(node, {
      inputs: [source],
      attributes: { axes: { kind: 'ints', value: axes.map(nchwAxis).sort((a, b) => a - b) } },
    })
    return { node: kept, isPicture: keepsDims }
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
    return { node: { ...node, attributes: {}, inputs }, isPicture: true }
  }

  /** x [N,H,W,K] times a constant matrix [K,M]: a 1×1 convolution. */
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
    return { node: { ...node, op: 'Conv', attributes: {}, inputs: [source, name] }, isPicture: true }
  }
}

const int = (value: number): Attribute => ({ kind: 'int', value })
const perm = (value: readonly number[]): Readonly<Record<string, Attribute>> => ({ perm: { kind: 'ints', value } })

function isNhwcPicture(shape: Value['shape']): boolean {
  const isChannels = (size: unknown): boolean => size === 1 || size === 3 || size === 4
  return shape?.length === 4 && isChannels(shape[3]) && !isChannels(shape[1])
}

/** A constant that broadcasts to NHWC, for NCHW. */
function transposedConstant(constant: Constant): Constant {
  const [n = 1, h = 1, w = 1, c = 1] = [...new Array<number>(4 - constant.shape.length).fill(1), ...constant.shape]
  const values = floatsOf(constant)
  if (h * w === 1 || c === 1) return floatConstant([n, c, h, w], values)
  const moved = new Float32Array(values.length)
  for (let i = 0; i < n; i++)
    moved.set(transposedMatrix(values.subarray(i * h * w * c, (i + 1) * h * w * c), h * w, c), i * h * w * c)
  return floatConstant([n, c, h, w], moved)
}

/** Rows and columns that are moved together, so that both sides stay in the first-level cache. */
const tile = 32

/** [rows, columns] as [columns, rows]. */
export function transposedMatrix(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length)
  for (let i0 = 0; i0 < rows; i0 += tile) {
    const iEnd = Math.min(i0 + tile, rows)
    for (let j0 = 0; j0 < columns; j0 += tile) {
      const jEnd = Math.min(j0 + tile, columns)
      for (let i = i0; i < iEnd; i++) for (let j = j0; j < jEnd; j++) result[j * rows + i] = values[i * columns + j]!
    }
  }
  return result
}
