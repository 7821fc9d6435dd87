/** Reductions. The axes are an input since Reduce*-18, and since ReduceSum-13. */
import { Unsupported } from '../graph.js'
import { normalAxis, type NodeView } from '../view.js'

/** The reduced axes in rising order, and the resulting shape. */
export interface Reduced {
  readonly axes: readonly number[]
  readonly keepsDims: boolean
  readonly shape: readonly number[]
}

/** Resolves a reduction, or an ArgMax or ArgMin. */
export function resolveReduce(view: NodeView): Reduced {
  const shape = view.shape(0)
  const isArg = view.node.op.startsWith('Arg')
  const given = isArg ? [view.int('axis', 0)] : (view.intsOrInput('axes', 1) ?? [])
  const isNone = given.length === 0
  if (isNone && view.int('noop_with_empty_axes', 0) === 1) return { axes: [], keepsDims: true, shape }
  const axes = (isNone ? shape.map((_, i) => i) : given.map((axis) => normalAxis(axis, shape.length))).sort(
    (a, b) => a - b,
  )
  if (new Set(axes).size !== axes.length) throw new Unsupported(`it reduces the axes [${given.join(', ')}]`)
  const keepsDims = view.int('keepdims', 1) === 1
  const kept = shape.map((size, i) => (axes.includes(i) ? 1 : size))
  return { axes, keepsDims, shape: keepsDims ? kept : kept.filter((_, i) => !axes.includes(i)) }
}
