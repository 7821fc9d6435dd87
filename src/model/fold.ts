/**
 * Evaluates a node on constants, in plain TypeScript: what exporters leave as arithmetic on shapes, and weights that
 * they transpose or scale. Numbers are doubles here and rounded to the output's type at the end.
 */
import { elementCount, type TensorType } from '../tensor.js'
import { numbersOf, type Constant } from './graph.js'
import { encode } from './onnx/tensor.js'
import { concatenated, gathered, permutation, resolvePad, resolveSlice, splitParts } from './shapes/movement.js'
import { resolveReduce } from './shapes/reduce.js'
import { shapeSlice, type Inferred } from './shapes/table.js'
import { normalAxis, stridesOf, Unsupported, type NodeView } from './view.js'

type Numbers = number[]
/** Values of every output, given the values of the inputs. */
type Evaluator = (inputs: readonly Numbers[], view: NodeView, outputs: readonly Inferred[]) => readonly Numbers[]

/** Beyond this many elements a constant is left to run time: folding is for shapes and weights, not for pictures. */
const maxElements = 1 << 24

/** The outputs of a node whose inputs are constants, or null where it has no evaluator or the result is too large. */
export function foldNode(view: NodeView, outputs: readonly Inferred[]): readonly Constant[] | null {
  const evaluate = evaluators.get(view.node.op)
  if (!evaluate || outputs.some(({ shape }) => elementCount(shape) > maxElements)) return null
  if (view.inputs.some(({ shape }) => elementCount(shape) > maxElements)) return null
  const results = evaluate(
    view.inputs.map(({ constant }) => (constant ? numbersOf(constant) : [])),
    view,
    outputs,
  )
  return results.map((values, i) => {
    const { type, shape } = outputs[i]!
    if (isInteger(type) && values.some((value) => Number.isNaN(value)))
      throw new Unsupported('it computes an integer that is not a number')
    const isOpen = shape.some((size) => Number.isNaN(size))
    return { type, shape: isOpen ? [shape[0]!, values.length / shape[0]!] : shape, bytes: encode(values, type) }
  })
}

/** Nodes that only rename constant bytes keep them as a view. */
export function foldView(view: NodeView, output: Inferred): Constant | null {
  const { constant } = view.input(0)
  const isView =
    ['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Dropout'].includes(view.node.op) ||
    (view.node.op === 'Cast' && constant?.type === output.type)
  return isView && constant ? { type: constant.type, shape: output.shape, bytes: constant.bytes } : null
}

const isInteger = (type: TensorType): boolean => type !== 'float32' && type !== 'float64' && type !== 'float16'

const unary =
  (f: (x: number, view: NodeView) => number): Evaluator =>
  ([x = []], view) => [x.map((value) => f(value, view))]

/** Reads `source` at the multi-index of each output element, by strides that are 0 along broadcast axes. */
function broadcastTo(source: Numbers, shape: readonly number[], target: readonly number[]): Numbers {
  if (source.length === elementCount(target)) return source
  if (source.length === 1) return new Array<number>(elementCount(target)).fill(source[0]!)
  const own = stridesOf(shape)
  const strides = target.map((_, i) => {
    const j = i - target.length + shape.length
    return j < 0 || shape[j] === 1 ? 0 : own[j]!
  })
  return walk(target, strides, 0).map((i) => source[i]!)
}

/** The flat source index of every element of a row-major walk over `shape` with the given strides. */
function walk(shape: readonly number[], strides: readonly number[], offset: number): number[] {
  let indices = [offset]
  shape.forEach((size, axis) => {
    const next = new Array<number>(indices.length * size)
    let at = 0
    for (const base of indices) for (let i = 0; i < size; i++) next[at++] = base + i * strides[axis]!
    indices = next
  })
  return indices
}

const binary =
  (f: (a: number, b: number, type: TensorType) => number): Evaluator =>
  (inputs, view, [output]) => {
    const { shape } = output!
    const spread = inputs.map((values, i) => broadcastTo(values, view.shape(i), shape))
    const type = view.input(0).type
    return [spread.slice(1).reduce((sum, values) => sum.map((a, i) => f(a, values[i]!, type)), spread[0]!)]
  }

const transpose: Evaluator = ([x = []], view, [output]) => {
  const strides = stridesOf(view.shape(0))
  return [
    walk(
      output!.shape,
      permutation(view).map((axis) => strides[axis]!),
      0,
    ).map((i) => x[i]!),
  ]
}

const slice: Evaluator = ([x = []], view) => {
  const { starts, steps, shape } = resolveSlice(view)
  const strides = stridesOf(view.shape(0))
  const offset = starts.reduce((sum, start, i) => sum + start * strides[i]!, 0)
  return [
    walk(
      shape,
      strides.map((stride, i) => stride * steps[i]!),
      offset,
    ).map((i) => x[i]!),
  ]
}

const concat: Evaluator = (inputs, view, [output]) => {
  const { axis } = concatenated(view)
  const outer = elementCount(output!.shape.slice(0, axis))
  const runs = inputs.map((values) => values.length / outer)
  return [
    Array.from({ length: outer }, (_, o) =>
      inputs.map((values, i) => values.slice(o * runs[i]!, (o + 1) * runs[i]!)),
    ).flat(2),
  ]
}

const split: Evaluator = ([x = []], view, outputs) => {
  const { axis } = splitParts(view)
  const strides = stridesOf(view.shape(0))
  let start = 0
  return outputs.map(({ shape }) => {
    const part = walk(shape, strides, start * strides[axis]!).map((i) => x[i]!)
    start += shape[axis]!
    return part
  })
}

const gather: Evaluator = ([x = [], indices = []], view) => {
  const { axis } = gathered(view)
  const shape = view.shape(0)
  const [outer, size, inner] = [elementCount(shape.slice(0, axis)), shape[axis]!, elementCount(shape.slice(axis + 1))]
  const picked = indices.map((index) => normalAxis(index, size))
  return [
    Array.from({ length: outer }, (_, o) =>
      picked.map((index) => x.slice((o * size + index) * inner, (o * size + index + 1) * inner)),
    ).flat(2),
  ]
}

const pad: Evaluator = ([x = [], , value = []], view) => {
  if (view.text('mode', 'constant') !== 'constant') throw new Unsupported('it pads a constant by mirroring')
  const { before, shape } = resolvePad(view)
  const source = view.shape(0)
  const strides = stridesOf(source)
  const fill = value[0] ?? view.float('value', 0)
  const target = new Array<number>(elementCount(shape)).fill(fill)
  const targetStrides = stridesOf(shape)
  const offset = before.reduce((sum, b, i) => sum + b * targetStrides[i]!, 0)
  const from = walk(source, strides, 0)
  walk(source, targetStrides, offset).forEach((to, i) => {
    target[to] = x[from[i]!]!
  })
  return [target]
}

const reduceWith =
  (f: (values: Numbers) => number): Evaluator =>
  ([x = []], view, [output]) => {
    const { axes } = resolveReduce(view)
    const shape = view.shape(0)
    const strides = stridesOf(shape)
    const kept = shape.map((_, i) => i).filter((i) => !axes.includes(i))
    const inner = walk(
      axes.map((axis) => shape[axis]!),
      axes.map((axis) => strides[axis]!),
      0,
    )
    const outer = walk(
      kept.map((axis) => shape[axis]!),
      kept.map((axis) => strides[axis]!),
      0,
    )
    return [outer.map((base) => f(inner.map((i) => x[base + i]!))).slice(0, elementCount(output!.shape))]
  }

/** Running sums along an axis; `exclusive` leaves out the element itself, `reverse` begins at the end. */
const cumSum: Evaluator = ([x = [], [axis = 0] = []], view) => {
  const shape = view.shape(0)
  const along = normalAxis(axis, shape.length)
  const [length, stride] = [shape[along]!, stridesOf(shape)[along]!]
  const isReversed = view.int('reverse', 0) === 1
  const isExclusive = view.int('exclusive', 0) === 1
  const result = new Array<number>(x.length)
  walk(
    shape.map((size, i) => (i === along ? 1 : size)),
    stridesOf(shape),
    0,
  ).forEach((start) => {
    let total = 0
    for (let i = 0; i < length; i++) {
      const at = start + (isReversed ? length - 1 - i : i) * stride
      result[at] = isExclusive ? total : total + x[at]!
      total += x[at]!
    }
  })
  return [result]
}

const sum = (values: Numbers): number => values.reduce((a, b) => a + b, 0)

/** Standardized weights are a batch norm of constants, by given statistics or (of training) by those of its own input. */
const batchNorm: Evaluator = ([x = [], scale = [], bias = [], mean = [], variance = []], view) => {
  const [n = 1, c = 1, ...rest] = view.shape(0)
  const area = elementCount(rest)
  const epsilon = view.float('epsilon', 1e-5)
  const isTraining = view.int('training_mode', 0) === 1
  const result = new Array<number>(x.length)
  for (let channel = 0; channel < c; channel++) {
    const places = Array.from({ length: n }, (_, i) => (i * c + channel) * area)
    const total = (f: (value: number) => number): number =>
      places.reduce((all, at) => {
        for (let i = at; i < at + area; i++) all += f(x[i]!)
        return all
      }, 0)
    const centre = isTraining ? total((value) => value) / (n * area) : mean[channel]!
    const spread = isTraining ? total((value) => (value - centre) ** 2) / (n * area) : variance[channel]!
    const factor = scale[channel]! / Math.sqrt(spread + epsilon)
    for (const at of places) for (let i = at; i < at + area; i++) result[i] = (x[i]! - centre) * factor + bias[channel]!
  }
  return [result]
}

const constantOfShape: Evaluator = (_, view, [output]) => {
  const value = view.node.attributes['value']
  return [
    new Array<number>(elementCount(output!.shape)).fill(value?.kind === 'tensor' ? numbersOf(value.value)[0]! : 0),
  ]
}

const range: Evaluator = ([start = [], , delta = []], _, [output]) => [
  Array.from({ length: output!.shape[0]! }, (_unused, i) => start[0]! + i * delta[0]!),
]

const nonZero: Evaluator = ([x = []], view) => {
  const shape = view.shape(0)
  const strides = stridesOf(shape)
  const hits = x.map((value, i) => (value === 0 ? -1 : i)).filter((i) => i >= 0)
  return [shape.flatMap((size, axis) => hits.map((i) => Math.floor(i / strides[axis]!) % size))]
}

const scatterNd: Evaluator = ([data = [], indices = [], updates = []], view) => {
  const strides = stridesOf(view.shape(0))
  const depth = view.shape(1).at(-1) ?? 1
  const run = elementCount(view.shape(0).slice(depth))
  const result = [...data]
  for (let i = 0; i * depth < indices.length; i++) {
    let at = 0
    for (let d = 0; d < depth; d++) at += normalAxis(indices[i * depth + d]!, view.shape(0)[d]!) * strides[d]!
    for (let r = 0; r < run; r++) result[at + r] = updates[i * run + r]!
  }
  return [result]
}

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

const truth = (value: boolean): number => (value ? 1 : 0)
/** Half to even, as ONNX Round says. */
const roundEven = (x: number): number => {
  const r = Math.round(x)
  return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r
}

const evaluators: ReadonlyMap<string, Evaluator> = new Map<string, Evaluator>([
  ['Shape', (_, view) => [[...shapeSlice(view)]]],
  ['Size', (_, view) => [[elementCount(view.shape(0))]]],
  ...['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Dropout'].map((op): [string, Evaluator] => [
    op,
    ([x = []]) => [x],
  ]),
  ['Abs', unary(Math.abs)],
  ['Neg', unary((x) => -x)],
  ['Floor', unary(Math.floor)],
  ['Ceil', unary(Math.ceil)],
  ['Round', unary(roundEven)],
  ['Sign', unary(Math.sign)],
  ['Sqrt', unary(Math.sqrt)],
  ['Exp', unary(Math.exp)],
  ['Log', unary(Math.log)],
  ['Reciprocal', unary((x) => 1 / x)],
  ['Relu', unary((x) => Math.max(x, 0))],
  ['Sigmoid', unary((x) => 1 / (1 + Math.exp(-x)))],
  ['Tanh', unary(Math.tanh)],
  ['Not', unary((x) => truth(x === 0))],
  ['Softplus', unary((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))))],
  ['Sin', unary(Math.sin)],
  ['Cos', unary(Math.cos)],
  ['CumSum', cumSum],
  ['Clip', clip],
  ['Add', binary((a, b) => a + b)],
  ['Sum', binary((a, b) => a + b)],
  ['Sub', binary((a, b) => a - b)],
  ['Mul', binary((a, b) => a * b)],
  ['Div', binary((a, b, type) => (isInteger(type) ? Math.trunc(a / b) : a / b))],
  ['Pow', binary((a, b) => a ** b)],
  [
    'Mod',
    (inputs, view, outputs) =>
      binary((a, b) => (view.int('fmod', 0) === 1 ? a % b : a - b * Math.floor(a / b)))(inputs, view, outputs),
  ],
  ['Max', binary((a, b) => Math.max(a, b))],
  ['Min', binary((a, b) => Math.min(a, b))],
  ['Equal', binary((a, b) => truth(a === b))],
  ['Less', binary((a, b) => truth(a < b))],
  ['Greater', binary((a, b) => truth(a > b))],
  ['LessOrEqual', binary((a, b) => truth(a <= b))],
  ['GreaterOrEqual', binary((a, b) => truth(a >= b))],
  ['And', binary((a, b) => truth(a !== 0 && b !== 0))],
  ['Or', binary((a, b) => truth(a !== 0 || b !== 0))],
  ['Xor', binary((a, b) => truth((a !== 0) !== (b !== 0)))],
  ['Transpose', transpose],
  ['Slice', slice],
  ['Concat', concat],
  ['Split', split],
  ['Gather', gather],
  ['Pad', pad],
  ['Expand', ([x = []], view, [output]) => [broadcastTo(x, view.shape(0), output!.shape)]],
  ['Tile', ([x = []], view, [output]) => [tile(x, view.shape(0), output!.shape)]],
  ['ReduceSum', reduceWith(sum)],
  ['ReduceMean', reduceWith((v) => sum(v) / v.length)],
  ['ReduceMax', reduceWith((v) => v.reduce((a, b) => Math.max(a, b), -Infinity))],
  ['ReduceMin', reduceWith((v) => v.reduce((a, b) => Math.min(a, b), Infinity))],
  ['ReduceProd', reduceWith((v) => v.reduce((a, b) => a * b, 1))],
  ['BatchNormalization', batchNorm],
  ['ConstantOfShape', constantOfShape],
  ['Range', range],
  ['Cast', cast],
  ['CastLike', cast],
  ['Where', where],
  ['NonZero', nonZero],
  ['ScatterND', scatterNd],
])

function tile(x: Numbers, shape: readonly number[], target: readonly number[]): Numbers {
  const strides = stridesOf(shape)
  const outStrides = stridesOf(target)
  return Array.from(
    { length: elementCount(target) },
    (_, i) =>
      x[
        shape.reduce(
          (at, size, axis) => at + ((Math.floor(i / outStrides[axis]!) % target[axis]!) % size) * strides[axis]!,
          0,
        )
      ]!,
  )
}
