/** Nodes with constant weights (Conv, Gemm, MatMul): what passes ask before they change the weights, and how these lie. */
import { hasFusedActivation } from '../activation.js'
import type { Node } from '../graph.js'
import type { GraphIndex } from '../graph-index.js'
import { elementCount } from '../../tensor.js'

/** Whether a node is a Conv or a product with a constant matrix and bias, and nothing is fused into it. */
export function isFoldable(index: GraphIndex, node: Node): boolean {
  if (node.inputs.length > 3 || node.outputs.length > 1 || hasFusedActivation(node)) return false
  const weights = index.constant(node.inputs[1])
  if (weights?.type !== 'float32') return false
  if (node.inputs[2] && index.constant(node.inputs[2])?.type !== 'float32') return false
  if (node.op === 'Conv') return true
  if (node.op === 'MatMul') return weights.shape.length === 2 && index.shape(node.inputs[0]!).length >= 2
  return node.op === 'Gemm' && isPlainGemm(index, node)
}

/** Whether a Gemm has no factors, and adds the same to every row. */
function isPlainGemm(index: GraphIndex, gemm: Node): boolean {
  const view = index.view(gemm)
  if (view.float('alpha', 1) !== 1 || view.float('beta', 1) !== 1) return false
  return !gemm.inputs[2] || elementCount(index.shape(gemm.inputs[2]).slice(0, -1)) === 1
}

/** Whether the weights of one output lie together, as in Conv, or side by side with the others, as in a matrix [K,N]. */
export function isByOutput(index: GraphIndex, node: Node): boolean {
  return node.op === 'Conv' || (node.op === 'Gemm' && index.view(node).int('transB', 0) === 1)
}

/** Whether a Conv computes each pixel from that pixel alone, and has no residual. */
export function isPointwise(index: GraphIndex, conv: Node): boolean {
  const view = index.view(conv)
  const [, , kh, kw] = view.shape(1)
  const strides = view.ints('strides') ?? [1, 1]
  const pads = view.ints('pads') ?? []
  const isUnpadded =
    pads.every((p) => p === 0) &&
    ['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'].includes(view.text('auto_pad', 'NOTSET'))
  return kh === 1 && kw === 1 && strides.every((s) => s === 1) && isUnpadded && conv.inputs.length < 4
}

/** Side of the square blocks that are transposed at once, so that both sides stay in the first-level cache. */
const tile = 32

/** A matrix [rows, columns] as [columns, rows]. */
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
