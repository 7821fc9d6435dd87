/** Conv, Gemm and MatMul: the operators with weights. */
import { elementCount } from '../../tensor.js'
import { floatsOf, Unsupported } from '../graph.js'
import { resolveWindow, windowParameters } from '../shapes/window.js'
import { noActivation } from '../activation.js'
import { broadcastShapes, stridesOf, type NodeView } from '../view.js'
import type { LowerContext, Operator } from './context.js'
import type { TensorId } from '../draft.js'
import { emitCopy, transposition, wholeCopy } from './copy.js'
import { tapTable } from './taps.js'

/**
 * Conv after the passes. Inputs: x, weights, bias?, residual?. Outputs: y ('' where only the mean is used), mean?.
 * A convolution of one pixel is a product with a matrix.
 */
function lowerConv(context: LowerContext): void {
  const { view, activation } = context
  const [, , h = 0, w = 0] = view.shape(0)
  const [, , kh = 0, kw = 0] = view.shape(1)
  if (!view.input(1).constant) throw new Unsupported('its weights are computed at run time')
  const bias = view.optional(2)
  if (bias && !bias.constant) throw new Unsupported('its bias is computed at run time')
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== view.shape(1)[0]))
    throw new Unsupported(`its bias has the shape [${bias.shape.join(', ')}] for ${view.shape(1)[0]} channels`)
  const window = resolveWindow(view, [h, w], [kh, kw])
  const isPixel =
    [h, w, kh, kw, ...window.output, view.int('group', 1)].every((size) => size === 1) && view.node.outputs.length === 1
  const inputs = [
    context.input(0, 'nhwc'),
    isPixel ? matrixOf(context) : context.input(1, 'plain'),
    bias ? context.input(2, 'plain') : null,
    view.optional(3) ? context.input(3, 'nhwc') : null,
  ]
  if (isPixel) {
    context.step('dense', inputs, [context.output(0, 'nhwc')], { transposed: 1, ...activation })
    return
  }
  const { outputs } = view.node
  const y = outputs[0] === '' ? null : context.output(0, 'nhwc')
  const pooled = outputs[1] === undefined ? null : context.output(1, 'nhwc')
  context.step('conv2d', inputs, [y, pooled], {
    ...windowParameters(window),
    groups: view.int('group', 1),
    ...activation,
  })
}

/** The weights [O,C,1,1] of a convolution of one pixel as a matrix. */
function matrixOf(context: LowerContext): TensorId {
  const { constant, shape } = context.view.input(1)
  return context.constant(shape.slice(0, 2), floatsOf(constant!))
}

/** alpha · A · B + beta · C. C becomes the bias where it is the same for every row, else a sum behind the product. */
function lowerGemm(context: LowerContext): void {
  const { view, activation } = context
  if (!view.input(1).constant) throw new Unsupported('its weights are computed at run time')
  const alpha = view.float('alpha', 1)
  const weights = scaled(context, 1, alpha)
  const [m = 0, n = 0] = resultShape(view)
  const isTransposed = view.int('transA', 0) === 1
  const x = isTransposed ? transposed(context, context.input(0, 'plain')) : context.input(0, 'plain')
  const c = view.optional(2)
  const bias = c?.constant && isBias(c.shape, n) ? biasOf(context, n, view.float('beta', 1)) : null
  const transposedWeights = view.int('transB', 0)
  if (!c || bias !== null) {
    const residual = view.optional(3) ? context.input(3, 'plain') : null
    context.step('dense', [x, weights, bias, residual], [context.output(0, 'plain')], {
      transposed: transposedWeights,
      ...activation,
    })
    return
  }
  if (broadcastShapes([[m, n], c.shape]).join() !== [m, n].join())
    throw new Unsupported(`its C of shape [${c.shape.join(', ')}] does not fit [${m}, ${n}]`)
  const product = context.temporary([m, n])
  context.step('dense', [x, weights, null, null], [product], { transposed: transposedWeights, ...noActivation })
  let addend = context.operand(2, 'plain', 2)
  if (view.float('beta', 1) !== 1) {
    const scaledAddend = context.temporary(context.sizes(addend))
    context.step('elementwise', [addend], [scaledAddend], { activation: 'affine', a: view.float('beta', 1), b: 0 })
    addend = scaledAddend
  }
  context.step('binary', [product, addend], [context.output(0, 'plain')], { op: 'add', ...activation })
}

/** [M, N] of a Gemm. */
function resultShape(view: NodeView): readonly [number, number] {
  const [a, b] = [view.shape(0), view.shape(1)]
  return [a[view.int('transA', 0) === 1 ? 1 : 0]!, b[view.int('transB', 0) === 1 ? 0 : 1]!]
}

/** Whether a Gemm's C is one value per column, or one for all, so that it can be the bias. */
function isBias(shape: readonly number[], n: number): boolean {
  const count = elementCount(shape)
  return (count === n || count === 1) && (shape.at(-1) ?? 1) === count
}

function biasOf(context: LowerContext, n: number, beta: number): TensorId {
  const values = floatsOf(context.view.input(2).constant!)
  return context.constant(
    [n],
    Float32Array.from({ length: n }, (_, i) => beta * values[values.length === 1 ? 0 : i]!),
  )
}

/** A constant input multiplied by a factor. */
function scaled(context: LowerContext, i: number, factor: number): TensorId {
  if (factor === 1) return context.input(i, 'plain')
  const { constant, shape } = context.view.input(i)
  return context.constant(
    shape,
    floatsOf(constant!).map((value) => value * factor),
  )
}

function transposed(context: LowerContext, x: TensorId): TensorId {
  const [rows = 1, columns = 1] = context.sizes(x)
  const y = context.temporary([columns, rows])
  context.step('copy', [x], [y], transposition(columns, rows))
  return y
}

/**
 * A product with a constant matrix is a `dense` step, one with a computed tensor a `product` step, and one of a constant
 * matrix that is mostly zeros with a computed one a `resample` step.
 */
function lowerMatMul(context: LowerContext): void {
  const { view, activation } = context
  const b = view.input(1)
  if (!b.constant) {
    if (!lowerSparse(context)) lowerProduct(context)
    return
  }
  const batches = elementCount(b.shape.slice(0, -2))
  if (batches > 1) return lowerBatchedMatMul(context, batches)
  const [k = 1, n = 1] = b.shape.length === 1 ? [b.shape[0]!, 1] : b.shape.slice(-2)
  const weights = context.constant([k, n], floatsOf(b.constant))
  const bias = view.optional(2) ? context.input(2, 'plain') : null
  const residual = view.optional(3) ? context.input(3, 'plain') : null
  context.step('dense', [context.input(0, 'plain'), weights, bias, residual], [context.output(0, 'plain')], {
    transposed: 0,
    ...activation,
  })
}

/** Mixes the rows of the second operand as the first one says. False where that one is no matrix with few numbers a row. */
function lowerSparse(context: LowerContext): boolean {
  const { view, activation } = context
  const [a, b] = [view.input(0), view.input(1)]
  if (!a.constant || a.shape.length !== 2 || b.shape.length !== 2 || activation.activation !== 'none') return false
  const [rows = 0, depth = 0] = a.shape
  const values = floatsOf(a.constant)
  const sums = Array.from({ length: rows }, (_, row) =>
    Array.from(values.subarray(row * depth, (row + 1) * depth), (weight, index) => ({ index, weight })),
  )
  const { indices, weights, taps } = tapTable(sums.map((sum) => sum.filter(({ weight }) => weight !== 0)))
  if (taps > depth / 2) return false
  const table = [context.constant([rows, taps], indices), context.constant([rows, taps], weights)]
  context.step('resample', [context.input(1, 'plain'), ...table], [context.output(0, 'plain')], {
    outer: 1,
    inLength: depth,
    outLength: rows,
    taps,
    inner: b.shape[1]!,
  })
  return true
}

/** One `dense` step per batch, each on a slice of x, joined into y. */
function lowerBatchedMatMul(context: LowerContext, batches: number): void {
  const { view, activation } = context
  const [a, b] = [view.shape(0), view.shape(1)]
  const [m, k, n] = [a.at(-2) ?? 1, a.at(-1)!, b.at(-1)!]
  const isShared = elementCount(a.slice(0, -2)) === 1
  if (!isShared && a.slice(0, -2).join() !== b.slice(0, -2).join()) throw new Unsupported('its batches broadcast')
  const x = context.input(0, 'plain')
  const values = floatsOf(view.input(1).constant!)
  const products = Array.from({ length: batches }, (_, i) => {
    const part = isShared ? x : matrixAt(context, x, m, k, i)
    const product = context.temporary([m, n])
    const weights = context.constant([k, n], values.slice(i * k * n, (i + 1) * k * n))
    context.step('dense', [part, weights, null, null], [product], { transposed: 0, ...activation })
    return product
  })
  context.step('concat', products, [context.output(0, 'plain')], { outer: 1, groups: 1 })
}

/** Matrix `i` of a batch of [rows, columns]. */
function matrixAt(context: LowerContext, x: TensorId, rows: number, columns: number, i: number): TensorId {
  const part = context.temporary([rows, columns])
  context.step('copy', [x], [part], {
    size: [1, 1, 1, rows, columns],
    inStride: [0, 0, 0, columns, 1],
    outStride: [0, 0, 0, columns, 1],
    ...wholeCopy,
    inOffset: i * rows * columns,
  })
  return part
}

/** A product of two computed tensors. Batches that broadcast are copied out, unless one matrix serves all of them. */
function lowerProduct(context: LowerContext): void {
  const { view, activation } = context
  const left = view.shape(0).length === 1 ? [1, ...view.shape(0)] : view.shape(0)
  const right = view.shape(1).length === 1 ? [...view.shape(1), 1] : view.shape(1)
  const [rows, depth, columns] = [left.at(-2)!, left.at(-1)!, right.at(-1)!]
  const all = broadcastShapes([left.slice(0, -2), right.slice(0, -2)])
  const [x, z] = [left, right].map((shape, i) => {
    const own = elementCount(shape.slice(0, -2))
    return own === 1 || own === elementCount(all)
      ? context.input(i, 'plain')
      : spread(context, context.input(i, 'plain'), shape, [...all, ...shape.slice(-2)])
  }) as [TensorId, TensorId]
  // With a single matrix on the right, the rows of all batches are one product.
  const batches = elementCount(right.slice(0, -2)) === 1 ? 1 : elementCount(all)
  context.step('product', [x, z], [context.output(0, 'plain')], {
    batches,
    rows: (rows * elementCount(all)) / batches,
    depth,
    columns,
    ...activation,
  })
}

/** A copy of a tensor of `shape` broadcast to `target`. */
function spread(context: LowerContext, x: TensorId, shape: readonly number[], target: readonly number[]): TensorId {
  const y = context.temporary(target)
  const aligned = [...new Array<number>(target.length - shape.length).fill(1), ...shape]
  const strides = stridesOf(aligned).map((stride, i) => (aligned[i] === 1 ? 0 : stride))
  emitCopy(context, x, y, { size: target, inStride: strides, outStride: stridesOf(target) })
  return y
}

/** Operators with weights. */
export const linearOperators: readonly Operator[] = [
  {
    op: 'Conv',
    limits: '1-D, 2-D, and 3-D of one clip; weights and bias constant',
    acceptsActivation: true,
    lower: lowerConv,
  },
  { op: 'Gemm', limits: 'B constant', acceptsActivation: true, lower: lowerGemm },
  {
    op: 'MatMul',
    limits: 'with a constant second operand: its batches equal to those of the first, or one side has none',
    acceptsActivation: true,
    lower: lowerMatMul,
  },
]
