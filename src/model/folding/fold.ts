/**
 * Evaluates a node on constants: the arithmetic on shapes that exporters leave in a graph, and weights that they
 * transpose or scale. Numbers are doubles and are rounded to the output's type at the end.
 */
import { elementCount } from '../../tensor.js'
import { numbersOf, Unsupported, type Constant } from '../graph.js'
import { encode } from '../onnx/tensor.js'
import type { Inferred } from '../shapes/table.js'
import type { NodeView } from '../view.js'
import { evaluators } from './evaluators.js'
import { isInteger, sameElementOps } from './evaluator.js'

/** Larger constants are computed at run time: folding is for shapes and weights, not for images. */
const maxElements = 1 << 24

/** The outputs of a node with constant inputs, or null where it has no evaluator or a tensor is too large. */
export function foldNode(view: NodeView, outputs: readonly Inferred[]): readonly Constant[] | null {
  const evaluate = evaluators.get(view.node.op)
  if (!evaluate || outputs.some(({ shape }) => elementCount(shape) > maxElements)) return null
  if (view.inputs.some(({ shape }) => elementCount(shape) > maxElements)) return null
  // The values of constants are known, and with them every size but that of NonZero's result, unless a value is NaN.
  const isOpen = outputs.some(({ shape }) => shape.some((size) => Number.isNaN(size)))
  if (isOpen && view.node.op !== 'NonZero') throw new Unsupported('a size of its result is not a number')
  const results = evaluate(
    view.inputs.map(({ constant }) => (constant ? numbersOf(constant) : [])),
    view,
    outputs,
  )
  return results.map((values, i) => {
    const { type, shape } = outputs[i]!
    if (isInteger(type) && values.some((value) => Number.isNaN(value)))
      throw new Unsupported('it computes an integer that is not a number')
    return { type, shape: isOpen ? [shape[0]!, values.length / shape[0]!] : shape, bytes: encode(values, type) }
  })
}

/** The output of a node that keeps the bytes of its constant input, as a view of them; null for any other node. */
export function foldView(view: NodeView, output: Inferred): Constant | null {
  const { constant } = view.input(0)
  const keepsBytes =
    sameElementOps.includes(view.node.op) || (view.node.op === 'Cast' && constant?.type === output.type)
  return keepsBytes && constant ? { type: constant.type, shape: output.shape, bytes: constant.bytes } : null
}
