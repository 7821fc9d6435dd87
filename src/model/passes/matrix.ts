/**
 * Multiplies two matrices that follow each other without an activation between them, where their product is less work:
 * a classifier behind a 1×1 convolution of the pooled map, or a bottleneck in a head.
 */
import {
  floatConstant,
  floatsOf,
  int64Constant,
  madeNode,
  type Constant,
  type Graph,
  type Node,
  type Value,
} from '../graph.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges } from './changes.js'
import { isByOutput, isFoldable, isPointwise, transposedMatrix } from './weighted.js'

/** Most multiply-adds that the compiler spends on one product: a fraction of a second. */
const mostWork = 2 ** 28

/** y = W x + b for vectors x. */
interface Matrix {
  /** [outputs, inputs] */
  readonly weights: Float32Array
  readonly bias: Float32Array
  readonly inputs: number
  readonly outputs: number
}

/** Joins pairs of matrices where the product is less work. */
export function foldMatrices(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const constants = new Map<string, Constant>()
  const values: Value[] = []
  for (const node of graph.nodes) {
    const before = isMatrix(index, node) ? matrixBefore(index, node) : null
    if (!before || replaced.has(before) || !isWorthIt(index, before, node)) continue
    const folded = product(matrixOf(index, before), matrixOf(index, node))
    const { name } = node
    const isConv = node.op === 'Conv'
    const [weights, bias, vector, sizes] = ['weights', 'bias', 'vector', 'sizes'].map(
      (what) => `${name}.folded ${what}`,
    ) as [string, string, string, string]
    const shape = [index.shape(before.inputs[0]!)[0]!, folded.inputs, ...(isConv ? [1, 1] : [])]
    constants.set(weights, floatConstant([folded.outputs, folded.inputs, ...(isConv ? [1, 1] : [])], folded.weights))
    constants.set(bias, floatConstant([folded.outputs], folded.bias))
    constants.set(sizes, int64Constant([shape.length], shape))
    values.push({ name: vector, type: 'float32', shape })
    replaced.set(node, [
      madeNode('Reshape', { inputs: [before.inputs[0]!, sizes], output: vector }),
      madeNode(isConv ? 'Conv' : 'Gemm', {
        name,
        attributes: isConv ? {} : { transB: { kind: 'int', value: 1 } },
        inputs: [vector, weights, bias],
        output: node.outputs[0]!,
      }),
    ])
  }
  return applyChanges(graph, { replaced, constants, values })
}

/** Whether a node multiplies one vector per image of the batch by constant weights. */
function isMatrix(index: GraphIndex, node: Node): boolean {
  if (node.domain !== '' || !isFoldable(index, node)) return false
  const shape = index.shape(node.inputs[0]!)
  if (node.op !== 'Conv') return shape.length === 2 && index.view(node).int('transA', 0) === 0
  return shape[2] === 1 && shape[3] === 1 && isPointwise(index, node) && index.view(node).int('group', 1) === 1
}

/** The matrix whose result only this node reads, with nothing but reshapes between them. */
function matrixBefore(index: GraphIndex, node: Node): Node | null {
  for (let reader = node; ; ) {
    const maker = index.soleMaker(reader.inputs[0]!, reader)
    if (!maker) return null
    if (isMatrix(index, maker)) return maker
    const isSameVector =
      ['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'].includes(maker.op) &&
      index.shape(maker.inputs[0]!)[0] === index.shape(maker.outputs[0]!)[0]
    if (!isSameVector) return null
    reader = maker
  }
}

function sizesOf(index: GraphIndex, node: Node): { inputs: number; outputs: number } {
  const [a = 0, b = 0] = index.shape(node.inputs[1]!)
  return isByOutput(index, node) ? { inputs: b, outputs: a } : { inputs: a, outputs: b }
}

function isWorthIt(index: GraphIndex, first: Node, second: Node): boolean {
  const [{ inputs, outputs: inner }, { inputs: same, outputs }] = [sizesOf(index, first), sizesOf(index, second)]
  return inner === same && inputs * outputs < inputs * inner + inner * outputs && inputs * inner * outputs <= mostWork
}

function matrixOf(index: GraphIndex, node: Node): Matrix {
  const { inputs, outputs } = sizesOf(index, node)
  const values = floatsOf(index.constant(node.inputs[1])!)
  const given = node.inputs[2] ? floatsOf(index.constant(node.inputs[2])!) : new Float32Array(outputs)
  const bias = given.length === 1 ? new Float32Array(outputs).fill(given[0]!) : given
  const weights = isByOutput(index, node) ? values : transposedMatrix(values, inputs, outputs)
  return { weights, bias, inputs, outputs }
}

/** The map `second(first(x))`, summed in double precision. */
function product(first: Matrix, second: Matrix): Matrix {
  const weights = new Float32Array(second.outputs * first.inputs)
  const row = new Float64Array(first.inputs)
  const bias = Float32Array.from(second.bias)
  for (let o = 0; o < second.outputs; o++) {
    row.fill(0)
    let shift = 0
    for (let m = 0; m < first.outputs; m++) {
      const factor = second.weights[o * second.inputs + m]!
      const at = m * first.inputs
      shift += factor * first.bias[m]!
      for (let i = 0; i < first.inputs; i++) row[i]! += factor * first.weights[at + i]!
    }
    weights.set(row, o * first.inputs)
    bias[o]! += shift
  }
  return { weights, bias, inputs: first.inputs, outputs: second.outputs }
}
