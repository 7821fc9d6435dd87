/**
 * Rules of arithmetic: ranges by interval arithmetic, sums along an axis where they follow, and the division of a value by
 * its sum, which is how exporters spell out a softmax.
 */
import { intAttribute, intsAttribute, type Node } from '../graph.js'
import { logit, share, unknown, type FactContext, type Facts, type Rule } from './facts.js'

/** The product of two bounds; 0 times infinity is 0, because the bound 0 is exact. */
const times = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : a * b)

function product(a: Facts, b: Facts): readonly [number, number] {
  const all = [times(a.low, b.low), times(a.low, b.high), times(a.high, b.low), times(a.high, b.high)]
  return [Math.min(...all), Math.max(...all)]
}

const isFixed = ({ low, high }: Facts): boolean => low === high

/** The kind of a sum or product with constants: shares stay shares, logits stay logits. */
function kindOf(all: readonly Facts[], isConstant: readonly boolean[]): Facts['kind'] {
  const variable = all.filter((_, i) => !isConstant[i])
  const [kind = 'other'] = variable.map((facts) => facts.kind)
  return variable.every((facts) => facts.kind === kind) ? kind : 'other'
}

/** Add, Sub, Mul of two values, Sum and Mean of several. */
export const arithmetic =
  (op: 'Add' | 'Sub' | 'Mul' | 'Sum' | 'Mean'): Rule =>
  (context) => {
    const { node } = context
    const count = op === 'Sum' || op === 'Mean' ? node.inputs.length : 2
    const all = Array.from({ length: count }, (_, i) => context.input(i))
    const isConstant = all.map((_, i) => context.constant(i) !== null)
    if (op === 'Mul') return multiplied(context, all as [Facts, Facts], isConstant)
    const factor = op === 'Mean' ? 1 / count : 1
    const [a, b] = all as [Facts, Facts]
    const low = op === 'Sub' ? a.low - b.high : all.reduce((sum, facts) => sum + facts.low, 0) * factor
    const high = op === 'Sub' ? a.high - b.low : all.reduce((sum, facts) => sum + facts.high, 0) * factor
    return {
      ...unknown,
      low: Number.isNaN(low) ? -Infinity : low,
      high: Number.isNaN(high) ? Infinity : high,
      kind: kindOf(all, isConstant),
      sum: op === 'Sub' ? null : summed(context, all, factor),
    }
  }

/** The sums of several values add up if all are along one axis of equal shapes. */
function summed(context: FactContext, all: readonly Facts[], factor: number): Facts['sum'] {
  const sums = all.map((facts, i) => ownSum(context, facts, i, all))
  const axis = sums.find((sum) => sum !== null)?.axis
  if (axis === undefined || !sums.every((sum) => sum !== null && sum.axis === axis)) return null
  return { axis, total: sums.reduce((total, sum) => total + sum!.total, 0) * factor }
}

/** A value's own sum; of one fixed number, that number as often as the axis of another operand is long. */
function ownSum(context: FactContext, facts: Facts, index: number, all: readonly Facts[]): Facts['sum'] {
  const shape = context.shape(index)
  const out = context.outputShape
  if (facts.sum) return shape && out && shape.length === out.length ? facts.sum : null
  const axis = all.find(({ sum }) => sum !== null)?.sum?.axis
  return isFixed(facts) && axis !== undefined && out ? { axis, total: facts.low * (out[axis] ?? NaN) } : null
}

function multiplied(context: FactContext, [a, b]: readonly [Facts, Facts], isConstant: readonly boolean[]): Facts {
  const normalizedBy = normalization(context)
  if (normalizedBy) return normalizedBy
  const [low, high] = product(a, b)
  const [fixed, other] = isFixed(a) ? [a, b] : isFixed(b) ? [b, a] : [null, null]
  // A mask of different constants makes no logits of shares, but it keeps the kind.
  const sum = fixed && other?.sum ? { ...other.sum, total: other.sum.total * fixed.low } : null
  const isLinear = isConstant.some(Boolean)
  const kind = isLinear ? kindOf([a, b], isConstant) : a.kind === 'share' && b.kind === 'share' ? 'share' : 'other'
  return { ...unknown, low, high, sum, kind }
}

/** Div and Reciprocal. */
export const divided: Rule = (context) => {
  const { node, input, constant } = context
  const normalizedBy = normalization(context)
  if (normalizedBy) return normalizedBy
  const isReciprocal = node.op === 'Reciprocal'
  const one = { ...unknown, low: 1, high: 1 }
  const [a, b] = isReciprocal ? [one, input(0)] : [input(0), input(1)]
  if (b.low < 0) return b.high < 0 && isFixed(b) ? scaledBy(a, 1 / b.low) : unknown
  const inverse = { ...unknown, low: 1 / b.high, high: b.low === 0 ? Infinity : 1 / b.low }
  if (isFixed(b)) return scaledBy(a, inverse.low)
  const [low, high] = product(a, inverse)
  const isConstant = [isReciprocal || constant(0) !== null, !isReciprocal && constant(1) !== null]
  return { ...unknown, low, high, kind: kindOf([a, b], isConstant) }
}

function scaledBy(facts: Facts, factor: number): Facts {
  const [low, high] = [times(facts.low, factor), times(facts.high, factor)].sort((a, b) => a - b) as [number, number]
  return {
    ...unknown,
    low,
    high,
    kind: facts.kind,
    sum: facts.sum && { ...facts.sum, total: facts.sum.total * factor },
  }
}

/** x / Σx or x · (1 / Σx) of a value that is not negative: shares that sum to 1 along the axis of the sum. */
function normalization(context: FactContext): Facts | null {
  const { node } = context
  if (node.op === 'Reciprocal') return null
  for (const [value, other] of node.op === 'Div'
    ? [[0, 1]]
    : ([
        [0, 1],
        [1, 0],
      ] as const)) {
    const maker = context.maker(other!)
    const divisor = node.op === 'Div' ? sumBehind(context, other!) : maker && inverted(context, maker)
    if (!divisor || origin(context, value!) !== origin(divisor, 0) || context.input(value!).low < 0) continue
    const axes = summedAxes(divisor)
    return share(axes?.length === 1 ? axes[0] : undefined)
  }
  return null
}

/** The sum behind `1 / Σ`. */
function inverted(context: FactContext, maker: Node): FactContext | null {
  const at = context.at(maker)
  if (maker.op === 'Reciprocal') return sumBehind(at, 0)
  return maker.op === 'Div' && at.constant(0)?.every((value) => value === 1) ? sumBehind(at, 1) : null
}

/** The ReduceSum that an input comes from, behind steps that change it at most by a small constant. */
function sumBehind(context: FactContext, index: number): FactContext | null {
  let at = context
  let input = index
  for (let steps = 0; steps < 8; steps++) {
    const maker = at.maker(input)
    if (!maker) return null
    at = at.at(maker)
    if (maker.op === 'ReduceSum' || maker.op === 'ReduceL1') return at
    if (maker.op === 'Add' || maker.op === 'Max') {
      const constantAt = [0, 1].find((i) => at.constant(i)?.every((value) => Math.abs(value) <= 1e-3))
      if (constantAt === undefined) return null
      input = 1 - constantAt
    } else if (passing.has(maker.op)) input = 0
    else return null
  }
  return null
}

const passing = new Set(['Identity', 'Cast', 'Expand', 'Reshape', 'Unsqueeze', 'Squeeze', 'Clip', 'Dropout'])

/** The name of the value that an input holds, behind casts and identities. */
function origin(context: FactContext, index: number): string {
  let [at, name] = [context, context.node.inputs[index] ?? '']
  for (let maker = at.maker(index); maker && ['Identity', 'Cast', 'Dropout'].includes(maker.op); maker = at.maker(0)) {
    at = at.at(maker)
    name = maker.inputs[0] ?? ''
  }
  return name
}

function summedAxes({ node, constant, shape }: FactContext): readonly number[] | null {
  const sizes = shape(0)
  if (!sizes) return null
  const given = node.inputs[1] ? constant(1) : (intsAttribute(node, 'axes') ?? sizes.map((_, i) => i))
  const axes = given?.map((axis) => (axis < 0 ? axis + sizes.length : axis))
  const wide = axes?.filter((axis) => sizes[axis] !== 1)
  return wide?.length ? wide : (axes?.slice(0, 1) ?? null)
}

/** Pow with a constant exponent, of values that are not negative. */
export const power: Rule = ({ input, constant }) => {
  const [base, exponent] = [input(0), constant(1)]
  if (exponent?.length !== 1 || !(exponent[0]! > 0) || base.low < 0) return unknown
  return { ...unknown, low: base.low ** exponent[0]!, high: base.high ** exponent[0]!, kind: base.kind }
}

/**
 * MatMul and Gemm. Of a value without bounds they make logits. Shares times constant weights are mixtures of shares: the
 * range follows from the weights.
 */
export const affineProduct: Rule = (context) => {
  const { node, input, constant, shape } = context
  const x = input(0)
  if (x.kind !== 'share') return logit
  const weights = constant(1)
  const [rows = 0, columns = 0] = shape(1) ?? []
  if (!weights || shape(1)?.length !== 2) return logit
  if (intAttribute(node, 'transA', 0) !== 0 || node.attributes['alpha'] || node.inputs[2]) return logit
  const isTransposed = intAttribute(node, 'transB', 0) === 1
  const [inputs, outputs] = isTransposed ? [columns, rows] : [rows, columns]
  const isMixture = x.sum !== null && x.sum.axis === (shape(0)?.length ?? 0) - 1
  let [low, high] = [Infinity, -Infinity]
  for (let o = 0; o < outputs; o++) {
    let [least, most, down, up] = [Infinity, -Infinity, 0, 0]
    for (let i = 0; i < inputs; i++) {
      const w = weights[isTransposed ? o * inputs + i : i * outputs + o]!
      least = Math.min(least, w)
      most = Math.max(most, w)
      down += Math.min(times(w, x.low), times(w, x.high))
      up += Math.max(times(w, x.low), times(w, x.high))
    }
    low = Math.min(low, isMixture ? Math.max(down, least * x.sum!.total) : down)
    high = Math.max(high, isMixture ? Math.min(up, most * x.sum!.total) : up)
  }
  // Weights of both signs are a layer of a network, not a mixture.
  return low >= 0 ? { ...unknown, low, high, kind: 'share' } : logit
}
