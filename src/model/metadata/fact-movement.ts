/**
 * Rules of operators that move, choose, join or average elements: ranges remain, and a sum along an axis remains if the
 * axis survives.
 */
import { intAttribute, intsAttribute } from '../graph.js'
import { unknown, type FactContext, type Facts, type Rule } from './facts.js'

/** Elements keep their values, but not all of them remain: sums along the axis of the choice are lost. */
export const someOf = (facts: Facts): Facts =>
  facts.sum === null && !facts.exponential ? facts : { ...facts, sum: null, exponential: null }

/** An axis counted from the end, counted from 0. */
export const fromStart = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis)

/** The union of the inputs' ranges from `start` on. */
export function union(all: readonly Facts[]): Facts {
  const [one = unknown] = all
  if (all.every((facts) => facts === one)) return someOf(one)
  const hasSameKind = all.every(({ kind }) => kind === one.kind)
  const { quantization: q } = one
  const hasSameCode = all.every(
    ({ quantization }) => quantization?.scale === q?.scale && quantization?.zeroPoint === q?.zeroPoint,
  )
  return {
    ...unknown,
    low: Math.min(...all.map(({ low }) => low)),
    high: Math.max(...all.map(({ high }) => high)),
    kind: hasSameKind ? one.kind : 'other',
    quantization: hasSameCode ? q : null,
  }
}

export const concat: Rule = (context) => {
  const { node, input, outputShape } = context
  const all = node.inputs.map((_, i) => input(i))
  const joined = union(all)
  const [sum] = all.map((facts) => facts.sum)
  if (!outputShape || !sum) return joined
  const axis = fromStart(intAttribute(node, 'axis', 0), outputShape.length)
  const isKept = axis !== sum.axis && all.every(({ sum: own }) => own?.axis === sum.axis && own.total === sum.total)
  return isKept ? { ...joined, sum } : joined
}

export const where: Rule = ({ input }) => union([input(1), input(2)])

/** Slice, Gather, Split and others along known axes: a sum along another axis remains. */
export const along =
  (axesOf: (context: FactContext) => readonly number[] | null): Rule =>
  (context) => {
    const facts = context.input(0)
    const shape = context.shape(0)
    const axes = axesOf(context)
    if (!facts.sum || !shape || !axes) return someOf(facts)
    const isTouched = axes.some((axis) => fromStart(axis, shape.length) === facts.sum?.axis)
    if (!isTouched) return { ...facts, exponential: null }
    return isWhole(context, facts.sum.axis, shape) ? facts : someOf(facts)
  }

/** Whether all elements along the axis remain, in whichever order: a slice of everything, a permuting gather. */
function isWhole({ node, constant, outputShape }: FactContext, axis: number, shape: readonly number[]): boolean {
  if (outputShape?.length !== shape.length || outputShape[axis] !== shape[axis]) return false
  if (node.op !== 'Gather') return node.op === 'Slice'
  const indices = constant(1)
  return indices !== null && new Set(indices.map((index) => fromStart(index, shape[axis]!))).size === shape[axis]
}

export const sliced = along(({ node, constant, shape }) =>
  node.inputs.length > 1
    ? node.inputs[3]
      ? constant(3)
      : (constant(1)?.map((_, i) => i) ?? null)
    : (intsAttribute(node, 'axes') ?? shape(0)?.map((_, i) => i) ?? null),
)

/** Gather with indices of rank 1 keeps the rank; a scalar index removes the axis, which moves later ones. */
export const gathered: Rule = (context) => {
  const facts = along(({ node }) => [intAttribute(node, 'axis', 0)])(context)
  const [shape, out] = [context.shape(0), context.outputShape]
  if (!facts.sum || !shape || !out || shape.length === out.length) return facts
  const axis = fromStart(intAttribute(context.node, 'axis', 0), shape.length)
  if (out.length !== shape.length - 1) return someOf(facts)
  return facts.sum.axis < axis ? facts : { ...facts, sum: { ...facts.sum, axis: facts.sum.axis - 1 } }
}

export const transposed: Rule = ({ node, input, shape }) => {
  const facts = input(0)
  const rank = shape(0)?.length
  if (!facts.sum) return facts
  const perm =
    intsAttribute(node, 'perm') ?? (rank === undefined ? null : Array.from({ length: rank }, (_, i) => rank - 1 - i))
  const axis = perm?.indexOf(facts.sum.axis) ?? -1
  return axis < 0 ? someOf(facts) : { ...facts, sum: { ...facts.sum, axis } }
}

/** Reshape, Flatten, Squeeze, Unsqueeze: the axis of the sum is the one with the same size, outer and inner product. */
export const reshaped: Rule = ({ input, shape, outputShape }) => {
  const facts = input(0)
  const from = shape(0)
  if (!facts.sum) return facts
  if (!from || !outputShape) return someOf(facts)
  const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1)
  const { axis } = facts.sum
  const [size, inner] = [from[axis], product(from.slice(axis + 1))]
  const found = outputShape.findIndex((own, i) => own === size && product(outputShape.slice(i + 1)) === inner)
  return found < 0 ? someOf(facts) : { ...facts, sum: { ...facts.sum, axis: found } }
}

/** The axes that a reduction removes, counted from 0; null if they are not known. */
function reducedAxes({ node, constant, shape }: FactContext): readonly number[] | null {
  const rank = shape(0)?.length
  if (rank === undefined) return null
  const given = node.inputs[1] ? constant(1) : (intsAttribute(node, 'axes') ?? [])
  if (!given) return null
  return given.length === 0 ? Array.from({ length: rank }, (_, i) => i) : given.map((axis) => fromStart(axis, rank))
}

/** A mean, sum, maximum or minimum over axes; `scale` is what an element is multiplied with for `count` of them. */
export const reduced =
  (scale: ((count: number) => number) | null): Rule =>
  (context) => {
    const facts = context.input(0)
    const shape = context.shape(0)
    const axes = reducedAxes(context)
    if (!axes || !shape) return scale?.(2) === 1 ? someOf(facts) : unknown
    const count = axes.reduce((product, axis) => product * shape[axis]!, 1)
    const factor = scale?.(count) ?? 1
    const { sum } = facts
    const isKept = scale && sum && !axes.includes(sum.axis)
    const keepsDims = intAttribute(context.node, 'keepdims', 1) === 1
    const axis = sum && (keepsDims ? sum.axis : sum.axis - axes.filter((each) => each < sum.axis).length)
    return {
      ...facts,
      exponential: null,
      low: facts.low * factor,
      high: facts.high * factor,
      sum: isKept ? { axis: axis!, total: sum.total * factor } : null,
    }
  }

/** Means over the places of a map: channels keep their sum. */
export const pooled: Rule = ({ input }) => {
  const facts = input(0)
  return facts.sum?.axis === 1 ? { ...facts, exponential: null } : someOf(facts)
}
