/** Functions of each element, of one tensor or of several that broadcast. */
import type { TensorType } from '../../tensor.js'
import { Unsupported } from '../graph.js'
import type { NodeView } from '../view.js'
import { broadcastTo, isInteger, type Evaluator } from './evaluator.js'

const unary =
  (f: (x: number) => number): Evaluator =>
  ([x = []]) => [x.map((value) => f(value))]

/** Of more than two operands, `f` joins the result so far with the next one. */
const binary =
  (f: (a: number, b: number, type: TensorType) => number): Evaluator =>
  (inputs, view, [output]) => {
    const { shape } = output!
    const spread = inputs.map((values, i) => broadcastTo(values, view.shape(i), shape))
    const { type } = view.input(0)
    return [spread.slice(1).reduce((result, values) => result.map((a, i) => f(a, values[i]!, type)), spread[0]!)]
  }

const truth = (value: boolean): number => (value ? 1 : 0)

/** Rounds half to even, as ONNX Round does. */
function roundEven(x: number): number {
  const r = Math.round(x)
  return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r
}

const modulo = (view: NodeView): Evaluator =>
  binary((a, b) => (view.int('fmod', 0) === 1 ? a % b : a - b * Math.floor(a / b)))

const cast: Evaluator = ([x = []], _, [output]) => {
  const { type } = output!
  if (type === 'float16') throw new Unsupported('it casts a constant to float16')
  if (type === 'bool') return [x.map((value) => (value === 0 ? 0 : 1))]
  return [isInteger(type) ? x.map(Math.trunc) : x]
}

const where: Evaluator = ([condition = [], a = [], b = []], view, [output]) => {
  const [c, x, y] = [condition, a, b].map((values, i) => broadcastTo(values, view.shape(i), output!.shape))
  return [c!.map((isTrue, i) => (isTrue ? x![i]! : y![i]!))]
}

const clip: Evaluator = ([x = []], view) => {
  const low = view.optional(1) ? (view.numbers(1, 'bounds')[0] ?? -Infinity) : view.float('min', -Infinity)
  const high = view.optional(2) ? (view.numbers(2, 'bounds')[0] ?? Infinity) : view.float('max', Infinity)
  return [x.map((value) => Math.min(Math.max(value, low), high))]
}

/** Evaluators by operator. */
export const elementwiseEvaluators: Readonly<Record<string, Evaluator>> = {
  Abs: unary(Math.abs),
  Neg: unary((x) => -x),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
  Round: unary(roundEven),
  Sign: unary(Math.sign),
  Sqrt: unary(Math.sqrt),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Reciprocal: unary((x) => 1 / x),
  Relu: unary((x) => Math.max(x, 0)),
  Sigmoid: unary((x) => 1 / (1 + Math.exp(-x))),
  Tanh: unary(Math.tanh),
  Not: unary((x) => truth(x === 0)),
  Softplus: unary((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  Sin: unary(Math.sin),
  Cos: unary(Math.cos),
  Clip: clip,
  Add: binary((a, b) => a + b),
  Sum: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary((a, b, type) => (isInteger(type) ? Math.trunc(a / b) : a / b)),
  Pow: binary((a, b) => a ** b),
  Mod: (inputs, view, outputs) => modulo(view)(inputs, view, outputs),
  Max: binary((a, b) => Math.max(a, b)),
  Min: binary((a, b) => Math.min(a, b)),
  Equal: binary((a, b) => truth(a === b)),
  Less: binary((a, b) => truth(a < b)),
  Greater: binary((a, b) => truth(a > b)),
  LessOrEqual: binary((a, b) => truth(a <= b)),
  GreaterOrEqual: binary((a, b) => truth(a >= b)),
  And: binary((a, b) => truth(a !== 0 && b !== 0)),
  Or: binary((a, b) => truth(a !== 0 || b !== 0)),
  Xor: binary((a, b) => truth((a !== 0) !== (b !== 0))),
  Cast: cast,
  CastLike: cast,
  Where: where,
}
