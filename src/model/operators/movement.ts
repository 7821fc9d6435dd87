/** Operators that only move elements: another name for the same memory where possible, else strided copies. */
import { elementCount } from '../../tensor.js'
import { numbersOf, Unsupported } from '../graph.js'
import { dataTypes } from '../onnx/tensor.js'
import { concatenated, gathered, permutation, resolvePad, resolveSlice, splitParts } from '../shapes/movement.js'
import type { StepParameters } from '../steps.js'
import { normalAxis, stridesOf } from '../view.js'
import { nhwcAxis, nhwcShape, type Form, type LowerContext, type Operator } from './context.js'
import type { TensorId } from '../draft.js'
import { emitCopy } from './copy.js'
import { commonForm } from './elementwise.js'

/** Reshape, Flatten, Squeeze and Unsqueeze: the same memory with other sizes. */
function lowerReshape(context: LowerContext): void {
  context.alias(0, 'plain', context.input(0, 'plain'))
}

/** The same memory under another name, in the form in which it exists. */
function lowerIdentity(context: LowerContext): void {
  const form = context.formOf(0)
  context.alias(0, form, context.input(0, form))
}

/** The native engine computes in float32 only, so the only cast it covers changes nothing. */
function lowerCast(context: LowerContext): void {
  const type = context.view.node.op === 'Cast' ? dataTypes[context.view.int('to', 0)] : context.view.input(1).type
  if (type !== 'float32') throw new Unsupported(`it casts to ${type ?? 'an unknown type'}`)
  lowerIdentity(context)
}

const isPermutation = (perm: readonly number[], other: readonly number[]): boolean => perm.join() === other.join()

/** A transposition between NCHW and NHWC costs nothing where the other form exists; any other is a copy. */
function lowerTranspose(context: LowerContext): void {
  const perm = permutation(context.view)
  const form = context.formOf(0)
  if (form === 'nhwc' && isPermutation(perm, [0, 2, 3, 1])) return context.alias(0, 'plain', context.input(0, 'nhwc'))
  if (form === 'plain' && isPermutation(perm, [0, 3, 1, 2])) return context.alias(0, 'nhwc', context.input(0, 'plain'))
  const x = context.input(0, form)
  const strides = stridesOf(context.sizes(x))
  const y = context.output(0, 'plain')
  emitCopy(context, x, y, {
    size: context.sizes(y),
    inStride: perm.map((axis) => strides[form === 'nhwc' ? nhwcAxis(axis) : axis]!),
    outStride: stridesOf(context.sizes(y)),
  })
}

/** Values per axis, in the order in which a form stores the axes. */
function ordered(values: readonly number[], form: Form): readonly number[] {
  return form === 'nhwc' ? nhwcShape(values) : values
}

function lowerSlice(context: LowerContext): void {
  const { starts, steps } = resolveSlice(context.view)
  const form = context.formOf(0)
  const x = context.input(0, form)
  const y = context.output(0, form)
  const strides = stridesOf(context.sizes(x))
  const first = ordered(starts, form).reduce((sum, start, i) => sum + start * strides[i]!, 0)
  const inStride = ordered(steps, form).map((step, i) => step * strides[i]!)
  emitCopy(context, x, y, { size: context.sizes(y), inStride, outStride: stridesOf(context.sizes(y)) }, { in: first })
}

function lowerSplit(context: LowerContext): void {
  const { axis, sizes } = splitParts(context.view)
  const form = context.formOf(0)
  const x = context.input(0, form)
  const strides = stridesOf(context.sizes(x))
  const stride = strides[form === 'nhwc' ? nhwcAxis(axis) : axis]!
  let start = 0
  sizes.forEach((size, i) => {
    if (context.view.node.outputs[i] !== '') {
      const y = context.output(i, form)
      emitCopy(
        context,
        x,
        y,
        { size: context.sizes(y), inStride: strides, outStride: stridesOf(context.sizes(y)) },
        { in: start * stride },
      )
    }
    start += size
  })
}

function lowerConcat(context: LowerContext): void {
  const { view } = context
  const indices = Array.from({ length: view.inputCount }, (_, i) => i)
  const form = commonForm(context, indices)
  const { axis } = concatenated(view)
  const inputs = indices.map((i) => context.input(i, form))
  const y = context.output(0, form)
  const outer = elementCount(context.sizes(y).slice(0, form === 'nhwc' ? nhwcAxis(axis) : axis))
  context.step('concat', inputs, [y], { outer, groups: 1 })
}

function lowerExpand(context: LowerContext): void {
  const x = context.input(0, 'plain')
  const y = context.output(0, 'plain')
  const [from, to] = [context.sizes(x), context.sizes(y)]
  const strides = stridesOf(from)
  const inStride = to.map((_, i) => {
    const j = i - to.length + from.length
    return j < 0 || from[j] === 1 ? 0 : strides[j]!
  })
  emitCopy(context, x, y, { size: to, inStride, outStride: stridesOf(to) })
}

/** One copy per repeated axis. */
function lowerTile(context: LowerContext): void {
  const { view } = context
  const repeats = view.numbers(1, 'repeats')
  let current = context.input(0, 'plain')
  const axes = repeats.map((_, axis) => axis).filter((axis) => repeats[axis] !== 1)
  if (axes.length === 0) return context.alias(0, 'plain', current)
  axes.forEach((axis, i) => {
    const sizes = context.sizes(current)
    const times = repeats[axis]!
    const [outer, run] = [elementCount(sizes.slice(0, axis)), elementCount(sizes.slice(axis))]
    const tiled = sizes.map((size, j) => (j === axis ? size * times : size))
    const y = i === axes.length - 1 ? context.output(0, 'plain') : context.temporary(tiled)
    emitCopy(context, current, y, {
      size: [outer, times, run],
      inStride: [run, 0, 1],
      outStride: [run * times, run, 1],
    })
    current = y
  })
}

function lowerPad(context: LowerContext): void {
  const { view } = context
  const mode = view.text('mode', 'constant')
  if (mode !== 'constant') return lowerMirrorPad(context, mode)
  const { before, after } = resolvePad(view)
  const value = view.optional(2) ? view.numbers(2, 'fill value')[0]! : view.float('value', 0)
  const form = context.formOf(0)
  const x = context.input(0, form)
  const y = context.output(0, form)
  const [lead, trail] = [ordered(before, form), ordered(after, form)]
  const size = context.sizes(x).map((s, i) => s + Math.min(lead[i]!, 0) + Math.min(trail[i]!, 0))
  const [inStride, outStride] = [stridesOf(context.sizes(x)), stridesOf(context.sizes(y))]
  const from = lead.reduce((sum, b, i) => sum + Math.max(-b, 0) * inStride[i]!, 0)
  const to = lead.reduce((sum, b, i) => sum + Math.max(b, 0) * outStride[i]!, 0)
  emitCopy(context, x, y, { size, inStride, outStride }, { in: from, out: to }, value)
}

/** Pad modes reflect, edge and wrap: each output index picks one input index along an axis. */
function lowerMirrorPad(context: LowerContext, mode: string): void {
  const { before, after } = resolvePad(context.view)
  const pick = mirrored(mode)
  const form = context.formOf(0)
  const axes = ordered(before, form)
    .map((b, axis) => ({ axis, lead: b, trail: ordered(after, form)[axis]! }))
    .filter(({ lead, trail }) => lead !== 0 || trail !== 0)
  const picks = axes.map(({ axis, lead, trail }) => ({
    axis,
    indices: (size: number) => Array.from({ length: size + lead + trail }, (_, i) => pick(i - lead, size)),
  }))
  pickAlong(context, form, picks)
}

/** The input index for a place of the padded axis, which may lie outside of 0 to size - 1. */
function mirrored(mode: string): (place: number, size: number) => number {
  switch (mode) {
    case 'edge':
      return (place, size) => Math.min(Math.max(place, 0), size - 1)
    case 'wrap':
      return (place, size) => ((place % size) + size) % size
    case 'reflect':
      return (place, size) => {
        if (size === 1) return 0
        const period = 2 * (size - 1)
        const folded = ((place % period) + period) % period
        return folded < size ? folded : period - folded
      }
    default:
      throw new Unsupported(`its mode is ${mode}`)
  }
}

/** Picks elements along one axis after the other, by `resample` steps with one tap. */
function pickAlong(
  context: LowerContext,
  form: Form,
  picks: readonly { axis: number; indices: (size: number) => readonly number[] }[],
): void {
  let current = context.input(0, form)
  if (picks.length === 0) return context.alias(0, form, current)
  picks.forEach(({ axis, indices }, i) => {
    const sizes = context.sizes(current)
    const picked = indices(sizes[axis]!)
    const padded = sizes.map((size, j) => (j === axis ? picked.length : size))
    const y = i === picks.length - 1 ? context.output(0, form) : context.temporary(padded)
    context.step('resample', [current, ...pickTables(context, picked)], [y], spanOf(sizes, axis, picked.length))
    current = y
  })
}

function lowerGather(context: LowerContext): void {
  const { view } = context
  const { axis } = gathered(view)
  const indices = view.input(1).constant
  if (!indices) throw new Unsupported('its indices are computed at run time')
  const sizes = view.shape(0)
  const picked = numbersOf(indices).map((index) => normalAxis(index, sizes[axis]!))
  const tables = pickTables(context, picked)
  const span = spanOf(sizes, axis, picked.length)
  context.step('resample', [context.input(0, 'plain'), ...tables], [context.output(0, 'plain')], span)
}

/** The constants of a `resample` step that picks one element per result: indices, and weights of 1. */
function pickTables(context: LowerContext, picked: readonly number[]): readonly [TensorId, TensorId] {
  const indices = context.constant([picked.length, 1], Int32Array.from(picked))
  const ones = context.constant([picked.length, 1], new Float32Array(picked.length).fill(1))
  return [indices, ones]
}

/** The parameters of a `resample` step with one tap along an axis. */
function spanOf(sizes: readonly number[], axis: number, outLength: number): StepParameters<'resample'> {
  return {
    outer: elementCount(sizes.slice(0, axis)),
    inLength: sizes[axis]!,
    outLength,
    taps: 1,
    inner: elementCount(sizes.slice(axis + 1)),
  }
}

/** Channels [g, C/g] to [C/g, g]. A pass makes it of Concat, Reshape, Transpose, Reshape and Slice or Split. */
function lowerChannelShuffle(context: LowerContext): void {
  const { view } = context
  const [n, , h, w] = view.shape(0) as [number, number, number, number]
  const inputs = Array.from({ length: view.inputCount }, (_, i) => context.input(i, 'nhwc'))
  const outputs = view.node.outputs.map((_, i) => context.output(i, 'nhwc'))
  context.step('concat', inputs, outputs, { outer: n * h * w, groups: view.int('groups', 1) })
}

/** Moves blocks of channels to H and W. In mode DCR the channels are [block, depth], in CRD [depth, block]. */
function lowerDepthToSpace(context: LowerContext): void {
  const { view } = context
  const [n, c, h, w] = view.shape(0) as [number, number, number, number]
  const b = view.int('blocksize', 1)
  const depth = c / (b * b)
  const [byBlock, byColumn, byDepth] = view.text('mode', 'DCR') === 'DCR' ? [b * depth, depth, 1] : [b, 1, b * b]
  emitCopy(context, context.input(0, 'nhwc'), context.output(0, 'nhwc'), {
    size: [n * h, b, w, b, depth],
    inStride: [w * c, byBlock, c, byColumn, byDepth],
    outStride: [b * w * b * depth, w * b * depth, b * depth, depth, 1],
  })
}

/** Moves blocks of H and W to channels. */
function lowerSpaceToDepth(context: LowerContext): void {
  const [n, c, h, w] = context.view.shape(0) as [number, number, number, number]
  const b = context.view.int('blocksize', 1)
  emitCopy(context, context.input(0, 'nhwc'), context.output(0, 'nhwc'), {
    size: [(n * h) / b, b, w / b, b, c],
    inStride: [b * w * c, w * c, b * c, c, 1],
    outStride: [w * b * c, b * c, b * b * c, c, 1],
  })
}

const entry = (op: string, lower: Operator['lower'], limits = ''): Operator => ({
  op,
  limits,
  acceptsActivation: false,
  takesBytes: true,
  lower,
})

/** Operators that move elements. */
export const movementOperators: readonly Operator[] = [
  ...['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'].map((op) =>
    entry(op, lowerReshape, op === 'Reshape' ? 'target sizes constant' : ''),
  ),
  entry('Identity', lowerIdentity),
  entry('Dropout', lowerIdentity),
  ...['Cast', 'CastLike'].map((op) => entry(op, lowerCast, 'from float32 to float32')),
  entry('Transpose', lowerTranspose),
  entry('Slice', lowerSlice, 'bounds constant'),
  entry('Split', lowerSplit, 'sizes constant'),
  entry('Concat', lowerConcat),
  entry('Expand', lowerExpand, 'target sizes constant'),
  entry('Tile', lowerTile, 'repeats constant'),
  entry('Pad', lowerPad, 'pads constant'),
  entry('Gather', lowerGather, 'indices constant'),
  entry('ChannelShuffle', lowerChannelShuffle),
  entry('DepthToSpace', lowerDepthToSpace),
  entry('SpaceToDepth', lowerSpaceToDepth),
]
