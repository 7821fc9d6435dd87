/**
 * One rule per operator of a classifier's tail: the facts of its result, given those of its inputs. A rule must hold for
 * every input of the network; where it would need more than the facts, it returns `unknown`. A further operator is a row
 * in the table at the end.
 */
import { floatAttribute, intAttribute, type Node } from '../graph.js'
import { logit, share, unknown, type FactContext, type Facts, type Rule } from './facts.js'
import { affineProduct, arithmetic, divided, power } from './fact-arithmetic.js'
import {
  along,
  concat,
  fromStart,
  gathered,
  pooled,
  reduced,
  reshaped,
  sliced,
  someOf,
  transposed,
  union,
  where,
} from './fact-movement.js'
import { dequantized, quantized, quantizedRule } from './fact-quantization.js'

/** The rule of a node's operator, if there is one. */
export function ruleOf({ op, domain }: Node): Rule | undefined {
  if (domain === '') return rules[op]
  return domain === 'com.microsoft' ? (contribRules[op] ?? rules[op]) : undefined
}

const bounded =
  (low: number, high: number): Rule =>
  () => ({ ...unknown, low, high })
const first: Rule = ({ input }) => input(0)

/** Softmax-like operators; before opset 13 they normalise all axes from `axis` on together. */
function softmaxAxis(context: FactContext): number | undefined {
  const { node, opset } = context
  const shape = context.shape(0)
  if (!shape) return undefined
  const isJoint = intAttribute(node, 'opset', opset) < 13
  const axis = fromStart(intAttribute(node, 'axis', isJoint ? 1 : -1), shape.length)
  if (!isJoint) return axis
  const wide = shape.flatMap((size, i) => (i >= axis && size > 1 ? [i] : []))
  return wide.length <= 1 ? (wide[0] ?? axis) : undefined
}

const softmax: Rule = (context) => share(softmaxAxis(context))
const logSoftmax: Rule = (context) => ({ ...unknown, high: 0, exponential: softmax(context) })

const monotone =
  (f: (x: number) => number): Rule =>
  ({ input }) => {
    const { low, high, quantization } = input(0)
    return { ...unknown, low: f(low), high: f(high), quantization }
  }

const exp: Rule = (context) => context.input(0).exponential ?? monotone(Math.exp)(context)

const log: Rule = ({ input }) => {
  const facts = input(0)
  return facts.low < 0
    ? unknown
    : { ...unknown, low: Math.log(facts.low), high: Math.log(facts.high), exponential: facts }
}

const relu: Rule = ({ input }) => clipped(input(0), 0, Infinity)

function clipped(facts: Facts, low: number, high: number): Facts {
  const changes = facts.low < low - tolerance || facts.high > high + tolerance
  if (!changes) return facts
  return { ...unknown, low: Math.min(Math.max(facts.low, low), high), high: Math.max(Math.min(facts.high, high), low) }
}

/** A clip to [0.000001, 0.999999] for safety leaves probabilities what they are. */
const tolerance = 1e-3

const clip: Rule = ({ node, input, constant }) => {
  const low = node.inputs[1] ? constant(1)?.[0] : floatAttribute(node, 'min', -Infinity)
  const high = node.inputs[2] ? constant(2)?.[0] : floatAttribute(node, 'max', Infinity)
  return low === undefined || high === undefined ? unknown : clipped(input(0), low, high)
}

/** Max and Min of several values: no sum survives. */
const extreme =
  (f: (...values: number[]) => number): Rule =>
  ({ node, input }) => {
    const all = node.inputs.map((_, i) => input(i))
    if (all.length === 1) return all[0]!
    return {
      ...unknown,
      low: f(...all.map(({ low }) => low)),
      high: f(...all.map(({ high }) => high)),
      kind: all.every(({ kind }) => kind === 'share') ? 'share' : 'other',
    }
  }

/** Lp normalisation; of values that are not negative, the first order gives shares. */
const normalized: Rule = ({ node, input, shape }) => {
  const isFirst = intAttribute(node, 'p', 2) === 1
  const rank = shape(0)?.length
  if (!isFirst || input(0).low < 0) return { ...unknown, low: -1, high: 1 }
  return share(rank === undefined ? undefined : fromStart(intAttribute(node, 'axis', -1), rank))
}

const kept = ['Identity', 'Dropout', 'Cast', 'CastLike', 'Expand', 'Round', 'Floor', 'Ceil'] as const
const shapeOnly = ['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'] as const
const layers = [
  'Conv',
  'ConvTranspose',
  'ConvInteger',
  'MatMulInteger',
  'DynamicQuantizeMatMul',
  'MatMulIntegerToFloat',
  'FusedMatMul',
  'MatMulNBits',
  'DeformConv',
  'LayerNormalization',
  'SkipLayerNormalization',
  'GroupNormalization',
  'InstanceNormalization',
] as const

const rowsOf = (ops: readonly string[], rule: Rule): Record<string, Rule> =>
  Object.fromEntries(ops.map((op) => [op, rule]))

const rules: Readonly<Record<string, Rule | undefined>> = {
  ...rowsOf(kept, first),
  ...rowsOf(shapeOnly, reshaped),
  ...rowsOf(layers, () => logit),
  Gemm: affineProduct,
  MatMul: affineProduct,
  Softmax: softmax,
  Hardmax: softmax,
  LogSoftmax: logSoftmax,
  Sigmoid: () => share(),
  HardSigmoid: () => share(),
  Tanh: bounded(-1, 1),
  Erf: bounded(-1, 1),
  Softsign: bounded(-1, 1),
  Sin: bounded(-1, 1),
  Cos: bounded(-1, 1),
  Softplus: bounded(0, Infinity),
  Relu: relu,
  Clip: clip,
  Exp: exp,
  Log: log,
  Sqrt: monotone((x) => Math.sqrt(Math.max(0, x))),
  Pow: power,
  Abs: ({ input }) => {
    const { low, high } = input(0)
    return low >= 0 ? input(0) : { ...unknown, low: 0, high: Math.max(-low, high) }
  },
  Neg: ({ input }) => ({ ...unknown, low: -input(0).high, high: -input(0).low, kind: input(0).kind }),
  Add: arithmetic('Add'),
  Sub: arithmetic('Sub'),
  Mul: arithmetic('Mul'),
  Div: divided,
  Reciprocal: divided,
  Sum: arithmetic('Sum'),
  Mean: arithmetic('Mean'),
  Max: extreme(Math.max),
  Min: extreme(Math.min),
  BatchNormalization: ({ input }) => (input(0).kind === 'logit' ? logit : unknown),
  Concat: concat,
  Where: where,
  Slice: sliced,
  Gather: gathered,
  Split: along(({ node }) => [intAttribute(node, 'axis', 0)]),
  GatherElements: along(({ node }) => [intAttribute(node, 'axis', 0)]),
  GatherND: ({ input }) => someOf(input(0)),
  ArrayFeatureExtractor: ({ input }) => someOf(input(0)),
  TopK: ({ input }) => someOf(input(0)),
  Tile: ({ input }) => someOf(input(0)),
  Transpose: transposed,
  ReduceMean: reduced(() => 1),
  ReduceSum: reduced((count) => count),
  ReduceMax: reduced(null),
  ReduceMin: reduced(null),
  GlobalAveragePool: pooled,
  AveragePool: ({ input }) => someOf(input(0)),
  MaxPool: ({ input }) => someOf(input(0)),
  GlobalMaxPool: ({ input }) => someOf(input(0)),
  LpNormalization: normalized,
  QuantizeLinear: quantized,
  DequantizeLinear: dequantized,
  QLinearConv: quantizedRule([6, 7], () => logit),
  QLinearMatMul: quantizedRule([6, 7], () => logit),
}

const contribRules: Readonly<Record<string, Rule | undefined>> = {
  BiasSoftmax: (context) => {
    const rank = context.shape(0)?.length
    return share(rank === undefined ? undefined : fromStart(intAttribute(context.node, 'axis', 1), rank))
  },
  QLinearSoftmax: quantizedRule([3, 4], softmax),
  QLinearSigmoid: quantizedRule([3, 4], () => share()),
  QGemm: quantizedRule([7, 8], () => logit),
  QLinearConv: quantizedRule([6, 7], () => logit),
  QLinearAdd: quantizedRule([6, 7], (context) => arithmetic('Add')({ ...context, ...pairAt(context, 0, 3) })),
  QLinearMul: quantizedRule([6, 7], (context) => arithmetic('Mul')({ ...context, ...pairAt(context, 0, 3) })),
  QLinearGlobalAveragePool: quantizedRule([3, 4], (context) =>
    intAttribute(context.node, 'channels_last', 0) === 0 ? pooled(context) : someOf(context.input(0)),
  ),
  QLinearAveragePool: quantizedRule([3, 4], ({ input }) => someOf(input(0))),
  QLinearReduceMean: quantizedRule([3, 4], ({ input }) => someOf(input(0))),
  QLinearLeakyRelu: quantizedRule([3, 4], () => unknown),
  QLinearConcat: quantizedRule([0, 1], ({ node, input }) =>
    union(node.inputs.flatMap((_, i) => (i >= 2 && (i - 2) % 3 === 0 ? [input(i)] : []))),
  ),
  FusedConv: ({ node }) => (node.attributes['activation'] ? unknown : logit),
  FusedGemm: ({ node }) => (node.attributes['activation'] ? unknown : logit),
}

/** The two operands of a quantised binary operator; each is followed by its scale and zero point. */
const pairAt = (context: FactContext, a: number, b: number): Pick<FactContext, 'input' | 'shape' | 'constant'> => ({
  input: (index) => context.input(index === 0 ? a : b),
  shape: (index) => context.shape(index === 0 ? a : b),
  constant: () => null,
})
