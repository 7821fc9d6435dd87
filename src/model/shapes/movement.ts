/** Operators that only move elements: resolved axes, amounts and shapes. Lowering uses the same numbers. */
import { elementCount } from '../../tensor.js'
import { Unsupported } from '../graph.js'
import { normalAxis, type NodeView } from '../view.js'

/** The shape of a Reshape. 0 keeps a size, one -1 stands for the rest (Reshape-14 with allowzero). */
export function reshaped(view: NodeView): number[] {
  const shape = view.shape(0)
  const wanted = view.opset < 5 ? [...(view.ints('shape') ?? [])] : view.numbers(1, 'target sizes')
  const result = wanted.map((size, i) => (size === 0 && view.int('allowzero', 0) === 0 ? (shape[i] ?? 1) : size))
  const open = result.indexOf(-1)
  if (open >= 0) {
    const rest = result.reduce((product, size, i) => (i === open ? product : product * size), 1)
    result[open] = rest === 0 ? 0 : elementCount(shape) / rest
  }
  if (elementCount(result) !== elementCount(shape) || result.some((size) => !Number.isInteger(size))) {
    throw new Unsupported(`[${shape.join(', ')}] cannot be reshaped to [${wanted.join(', ')}]`)
  }
  return result
}

/** [sizes before the axis, sizes from it on] of a Flatten. */
export function flattened(view: NodeView): number[] {
  const shape = view.shape(0)
  const axis = view.int('axis', 1)
  const cut = axis < 0 ? axis + shape.length : axis
  return [elementCount(shape.slice(0, cut)), elementCount(shape.slice(cut))]
}

/** The shape without sizes of 1: all, or those at the given axes. */
export function squeezed(view: NodeView): number[] {
  const shape = view.shape(0)
  const axes = view.intsOrInput('axes', 1)?.map((axis) => normalAxis(axis, shape.length))
  return shape.filter((size, i) => (axes ? !axes.includes(i) : size !== 1))
}

/** The shape with sizes of 1 at the given axes of the result. */
export function unsqueezed(view: NodeView): number[] {
  const shape = view.shape(0)
  const axes = view.intsOrInput('axes', 1) ?? []
  const rank = shape.length + axes.length
  const added = new Set(axes.map((axis) => normalAxis(axis, rank)))
  const rest = [...shape]
  return Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : rest.shift()!))
}

/** The permutation of a Transpose. The default reverses the axes. */
export function permutation(view: NodeView): readonly number[] {
  const rank = view.shape(0).length
  const perm = view.ints('perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i)
  if (perm.length !== rank || new Set(perm).size !== rank) throw new Unsupported(`its perm is [${perm.join(', ')}]`)
  return perm
}

/** The axis and the result's shape of a Concat. */
export function concatenated(view: NodeView): { axis: number; shape: number[] } {
  const shapes = view.inputs.map(({ shape }) => shape)
  const first = shapes[0] ?? []
  if (first.length === 0) throw new Unsupported('it joins single numbers, which have no axis')
  const axis = normalAxis(view.int('axis', 1), first.length)
  const shape = first.map((size, i) => (i === axis ? shapes.reduce((sum, s) => sum + (s[i] ?? NaN), 0) : size))
  if (shapes.some((s) => s.length !== first.length || s.some((size, i) => i !== axis && size !== first[i])))
    throw new Unsupported('its inputs do not fit together')
  return { axis, shape }
}

/** The axis of a Split and the size of each part along it. */
export function splitParts(view: NodeView): { axis: number; sizes: readonly number[] } {
  const shape = view.shape(0)
  const axis = normalAxis(view.int('axis', 0), shape.length)
  const size = shape[axis]!
  const given = view.intsOrInput('split', 1)
  const count = view.int('num_outputs', view.node.outputs.length)
  if (!given && (count < 1 || count > size)) throw new Unsupported(`it splits ${size} into ${count} parts`)
  const part = Math.ceil(size / count)
  const sizes = given ?? Array.from({ length: count }, (_, i) => Math.min(part, size - i * part))
  if (sizes.reduce((a, b) => a + b, 0) !== size || sizes.some((s) => s < 0))
    throw new Unsupported(`it splits ${size} into [${sizes.join(', ')}]`)
  return { axis, sizes }
}

/** A Slice for every axis: where it starts, its step, and the resulting shape. */
export interface Slices {
  readonly starts: readonly number[]
  readonly steps: readonly number[]
  readonly shape: readonly number[]
}

/** Resolves a Slice whose bounds are constant. */
export function resolveSlice(view: NodeView): Slices {
  const shape = view.shape(0)
  const starts = view.intsOrInput('starts', 1) ?? []
  const ends = view.intsOrInput('ends', 2) ?? []
  const axes = view.intsOrInput('axes', 3) ?? starts.map((_, i) => i)
  const steps = view.intsOrInput('steps', 4) ?? starts.map(() => 1)
  const result = { starts: shape.map(() => 0), steps: shape.map(() => 1), shape: [...shape] }
  axes.forEach((given, i) => {
    const axis = normalAxis(given, shape.length)
    const size = shape[axis]!
    const step = steps[i] ?? 1
    if (step === 0) throw new Unsupported('it steps by 0')
    const clamp = (value: number, low: number, high: number): number =>
      Math.min(Math.max(value < 0 ? value + size : value, low), high)
    const start = step > 0 ? clamp(starts[i] ?? 0, 0, size) : clamp(starts[i] ?? 0, 0, size - 1)
    const end = step > 0 ? clamp(ends[i] ?? size, 0, size) : clamp(ends[i] ?? -size - 1, -1, size - 1)
    result.starts[axis] = start
    result.steps[axis] = step
    result.shape[axis] = Math.max(0, Math.ceil((end - start) / step))
  })
  return result
}

/** The amounts of a Pad per axis, and the resulting shape. Negative amounts crop. */
export function resolvePad(view: NodeView): {
  before: readonly number[]
  after: readonly number[]
  shape: readonly number[]
} {
  const shape = view.shape(0)
  const pads = view.intsOrInput('pads', 1) ?? view.ints('paddings') ?? []
  const axes = (view.optional(3) ? view.numbers(3, 'axes') : shape.map((_, i) => i)).map((axis) =>
    normalAxis(axis, shape.length),
  )
  if (pads.length !== axes.length * 2) throw new Unsupported(`it has ${pads.length} pads for ${axes.length} axes`)
  const before = shape.map(() => 0)
  const after = shape.map(() => 0)
  axes.forEach((axis, i) => {
    before[axis] = pads[i]!
    after[axis] = pads[i + axes.length]!
  })
  return { before, after, shape: shape.map((size, i) => size + before[i]! + after[i]!) }
}

/** The axis and the result's shape of a Gather. */
export function gathered(view: NodeView): { axis: number; shape: number[] } {
  const shape = view.shape(0)
  const axis = normalAxis(view.int('axis', 0), shape.length)
  return { axis, shape: [...shape.slice(0, axis), ...view.shape(1), ...shape.slice(axis + 1)] }
}
