/**
 * Shape and type inference: one rule per operator. A rule returns the type and shape of each output, or throws
 * `Unsupported` with the reason. Lowering and folding use the same resolvers.
 */
import { elementCount, type TensorType } from '../../tensor.js'
import { unaryOps } from '../activation.js'
import { numbersOf, Unsupported } from '../graph.js'
import { dataTypes } from '../onnx/tensor.js'
import { broadcastShapes, normalAxis, type NodeView } from '../view.js'
import {
  concatenated,
  flattened,
  gathered,
  permutation,
  reshaped,
  resolvePad,
  resolveSlice,
  splitParts,
  squeezed,
  unsqueezed,
} from './movement.js'
import { planarView } from './planar.js'
import { resolveReduce } from './reduce.js'
import { resolveResize } from './resize.js'
import { resolveTransposed } from './transposed.js'
import { resolveWindows } from './window.js'

/** Type and shape of one output. A size that depends on data (NonZero) is NaN. */
export interface Inferred {
  readonly type: TensorType
  readonly shape: readonly number[]
}

/** Throws `Unsupported` where the node is not covered. */
export type ShapeRule = (view: NodeView) => readonly Inferred[]

const like = (view: NodeView, shape: readonly number[], type: TensorType = view.input(0).type): Inferred[] => [
  { type, shape },
]
const same: ShapeRule = (view) => like(view, view.shape(0))
const broadcast: ShapeRule = (view) => like(view, broadcastShapes(view.inputs.map(({ shape }) => shape)))
const compare: ShapeRule = (view) => like(view, broadcastShapes(view.inputs.map(({ shape }) => shape)), 'bool')
const reduce: ShapeRule = (view) => like(view, resolveReduce(view).shape)

/** The shape of an image [N,C,H,W]. */
const image = (view: NodeView): readonly [number, number, number, number] => {
  const shape = view.shape(0)
  if (shape.length !== 4) throw new Unsupported(`its input has ${shape.length} dimensions, gapcam computes images (4)`)
  return [shape[0]!, shape[1]!, shape[2]!, shape[3]!]
}

/** The rule for images, also for inputs of one dimension [N,C,L], as images of one row. */
const orOfRows =
  (rule: ShapeRule): ShapeRule =>
  (view) => {
    if (view.shape(0).length !== 3) return rule(view)
    return rule(planarView(view)).map(({ type, shape }) => ({ type, shape: shape.filter((_, axis) => axis !== 2) }))
  }

/** The shape of an image or of a clip [N,C,T,H,W]: the sizes behind C are those that a window covers. */
const imageOrClip = (view: NodeView): { n: number; c: number; sizes: readonly number[] } => {
  const [n = 0, c = 0, ...sizes] = view.shape(0).length === 5 ? view.shape(0) : image(view)
  return { n, c, sizes }
}

const conv: ShapeRule = (view) => {
  const { n, c, sizes } = imageOrClip(view)
  const [o = 0, perGroup = 0, ...kernel] = view.shape(1)
  const groups = view.int('group', 1)
  if (kernel.length !== sizes.length) throw new Unsupported(`its weights have ${view.shape(1).length} dimensions`)
  if (perGroup * groups !== c || o % groups !== 0)
    throw new Unsupported(`its weights [${view.shape(1).join(', ')}] do not fit ${c} channels in ${groups} groups`)
  return like(view, [n, o, ...resolveWindows(view, sizes, kernel).output])
}

const convTranspose: ShapeRule = (view) => {
  const { channels, axes } = resolveTransposed(view)
  const bias = view.optional(2)
  if (bias && elementCount(bias.shape) !== channels)
    throw new Unsupported(`its bias [${bias.shape.join(', ')}] does not fit ${channels} channels`)
  return like(view, [view.shape(0)[0]!, channels, ...axes.map(({ output }) => output)])
}

const pool: ShapeRule = (view) => {
  const { n, c, sizes } = imageOrClip(view)
  if (view.node.outputs.length > 1 && view.node.outputs[1] !== '') throw new Unsupported('it also gives indices')
  return like(view, [n, c, ...resolveWindows(view, sizes).output])
}

const globalPool: ShapeRule = (view) =>
  like(
    view,
    view.shape(0).map((size, i) => (i < 2 ? size : 1)),
  )

const matMul: ShapeRule = (view) => {
  const [a, b] = [view.shape(0), view.shape(1)]
  if (a.length === 0 || b.length === 0) throw new Unsupported('it multiplies a scalar')
  const [left, right] = [a.length === 1 ? [1, ...a] : a, b.length === 1 ? [...b, 1] : b]
  if (left.at(-1) !== right.at(-2)) throw new Unsupported(`[${a.join(', ')}] and [${b.join(', ')}] do not multiply`)
  const batch = broadcastShapes([left.slice(0, -2), right.slice(0, -2)])
  return like(view, [...batch, ...(a.length === 1 ? [] : [left.at(-2)!]), ...(b.length === 1 ? [] : [right.at(-1)!])])
}

const gemm: ShapeRule = (view) => {
  const [a, b] = [view.shape(0), view.shape(1)]
  if (a.length !== 2 || b.length !== 2) throw new Unsupported('its operands are not matrices')
  const [m, k] = view.int('transA', 0) === 1 ? [a[1]!, a[0]!] : [a[0]!, a[1]!]
  const [k2, n] = view.int('transB', 0) === 1 ? [b[1]!, b[0]!] : [b[0]!, b[1]!]
  if (k !== k2) throw new Unsupported(`[${a.join(', ')}] and [${b.join(', ')}] do not multiply`)
  return like(view, [m, n])
}

const castTo = (view: NodeView): TensorType => {
  const type = dataTypes[view.int('to', 0)]
  if (!type) throw new Unsupported(`it casts to data type ${view.int('to', 0)}`)
  return type
}

const split: ShapeRule = (view) => {
  const { axis, sizes } = splitParts(view)
  return sizes.map((size) => ({
    type: view.input(0).type,
    shape: view.shape(0).map((s, i) => (i === axis ? size : s)),
  }))
}

const expand: ShapeRule = (view) => like(view, broadcastShapes([view.shape(0), view.numbers(1, 'target sizes')]))

const constantOfShape: ShapeRule = (view) => {
  const value = view.node.attributes['value']
  return [{ type: value?.kind === 'tensor' ? value.value.type : 'float32', shape: view.numbers(0, 'sizes') }]
}

const range: ShapeRule = (view) => {
  const [start = 0, limit = 0, delta = 1] = [0, 1, 2].map((i) => view.numbers(i, 'limits')[0] ?? 0)
  return like(view, [Math.max(0, Math.ceil((limit - start) / delta))])
}

const quantizeType = (view: NodeView): TensorType => {
  const given = dataTypes[view.int('output_dtype', 0)]
  return view.optional(2)?.type ?? given ?? 'uint8'
}

const reductions = ['Sum', 'Mean', 'Max', 'Min', 'L1', 'L2', 'SumSquare', 'Prod', 'LogSum', 'LogSumExp'].map(
  (name) => [`Reduce${name}`, reduce] as const,
)

/** Dropout changes nothing at inference. In training mode, or if that is not known, it is not covered. */
function dropout(view: NodeView): readonly Inferred[] {
  const mode = view.optional(2)
  if (mode && !(mode.constant && numbersOf(mode.constant)[0] === 0)) throw new Unsupported('it is of training')
  return view.node.outputs.length > 1
    ? [...like(view, view.shape(0)), ...like(view, view.shape(0), 'bool')]
    : same(view)
}

/** The normalized tensor, and optionally the mean and inverse deviation of each row. */
function layerNormalization(view: NodeView): readonly Inferred[] {
  const axis = normalAxis(view.int('axis', -1), view.shape(0).length)
  const perRow = view.shape(0).map((size, i) => (i < axis ? size : 1))
  return [...same(view), ...view.node.outputs.slice(1).flatMap(() => like(view, perRow))]
}

const keepShape = [
  ...unaryOps,
  'Celu',
  'ThresholdedRelu',
  'Round',
  'Sign',
  'Not',
  'Sin',
  'Cos',
  'LRN',
  'Softmax',
  'LogSoftmax',
  'LpNormalization',
  'Identity',
  'InstanceNormalization',
  'ScatterND',
  'ScatterElements',
  'CumSum',
  'Trilu',
].map((name) => [name, same] as const)
const broadcastOps = [
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Pow',
  'Mod',
  'Sum',
  'Mean',
  'Max',
  'Min',
  'PRelu',
  'And',
  'Or',
  'Xor',
].map((name) => [name, broadcast] as const)
const comparisons = ['Equal', 'Less', 'Greater', 'LessOrEqual', 'GreaterOrEqual'].map(
  (name) => [name, compare] as const,
)

/** Rules by operator. */
export const shapeRules: ReadonlyMap<string, ShapeRule> = new Map<string, ShapeRule>([
  ...keepShape,
  ...broadcastOps,
  ...comparisons,
  ...reductions,
  ['Conv', orOfRows(conv)],
  ['ConvTranspose', convTranspose],
  ['MaxPool', orOfRows(pool)],
  ['AveragePool', orOfRows(pool)],
  ['LpPool', pool],
  ['GlobalAveragePool', globalPool],
  ['GlobalMaxPool', globalPool],
  ['GlobalLpPool', globalPool],
  ['MatMul', matMul],
  ['Gemm', gemm],
  // Only the first output is computed. The others are for training.
  ['BatchNormalization', same],
  ['Dropout', dropout],
  ['LayerNormalization', layerNormalization],
  ['Reshape', (view) => like(view, reshaped(view))],
  ['Flatten', (view) => like(view, flattened(view))],
  ['Squeeze', (view) => like(view, squeezed(view))],
  ['Unsqueeze', (view) => like(view, unsqueezed(view))],
  [
    'Transpose',
    (view) =>
      like(
        view,
        permutation(view).map((axis) => view.shape(0)[axis]!),
      ),
  ],
  ['Concat', (view) => like(view, concatenated(view).shape)],
  ['Split', split],
  ['Slice', (view) => like(view, resolveSlice(view).shape)],
  ['Pad', (view) => like(view, resolvePad(view).shape)],
  ['Gather', (view) => like(view, gathered(view).shape)],
  ['GatherElements', (view) => like(view, view.shape(1))],
  ['Expand', expand],
  [
    'Tile',
    (view) => {
      const repeats = view.numbers(1, 'repeats')
      return like(
        view,
        view.shape(0).map((size, i) => size * repeats[i]!),
      )
    },
  ],
  ['Resize', (view) => like(view, resolveResize(view).shape)],
  ['Upsample', (view) => like(view, resolveResize(view).shape)],
  [
    'DepthToSpace',
    (view) => {
      const [n, c, h, w] = image(view)
      const b = view.int('blocksize', 1)
      return like(view, [n, c / (b * b), h * b, w * b])
    },
  ],
  [
    'SpaceToDepth',
    (view) => {
      const [n, c, h, w] = image(view)
      const b = view.int('blocksize', 1)
      return like(view, [n, c * b * b, h / b, w / b])
    },
  ],
  ['Shape', (view) => [{ type: 'int64', shape: [shapeSlice(view).length] }]],
  ['Size', () => [{ type: 'int64', shape: [] }]],
  ['ConstantOfShape', constantOfShape],
  ['Range', range],
  ['Cast', (view) => like(view, view.shape(0), castTo(view))],
  ['CastLike', (view) => like(view, view.shape(0), view.input(1).type)],
  ['Where', (view) => like(view, broadcastShapes([0, 1, 2].map((i) => view.shape(i))), view.input(1).type)],
  ['ArgMax', (view) => like(view, resolveReduce(view).shape, 'int64')],
  ['ArgMin', (view) => like(view, resolveReduce(view).shape, 'int64')],
  ['QuantizeLinear', (view) => like(view, view.shape(0), quantizeType(view))],
  ['DequantizeLinear', (view) => like(view, view.shape(0), view.input(1).type)],
  [
    'NonZero',
    (view) => [
      {
        type: 'int64',
        shape: [Math.max(1, view.shape(0).length), view.input(0).constant ? elementCount(view.shape(0)) : NaN],
      },
    ],
  ],
])

/** The sizes between start and end (Shape-15). */
export function shapeSlice(view: NodeView): readonly number[] {
  const shape = view.shape(0)
  const end = view.node.attributes['end']
  return shape.slice(view.int('start', 0), end?.kind === 'int' ? end.value : undefined)
}

/** The axis of Softmax or LogSoftmax, and whether it also covers all axes behind it (opset < 13). */
export function softmaxSpan(view: NodeView): { axis: number; isFlattened: boolean } {
  const isOld = view.opset < 13
  return { axis: normalAxis(view.int('axis', isOld ? 1 : -1), view.shape(0).length), isFlattened: isOld }
}
