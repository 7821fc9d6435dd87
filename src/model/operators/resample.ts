/**
 * Resize and Upsample, one axis at a time: every output sample is a weighted sum of input samples. Their indices and
 * weights (ONNX Resize-19) are computed here once, and the kernel reads the table.
 */
import { elementCount } from '../../tensor.js'
import { resolveResize } from '../shapes/resize.js'
import { Unsupported } from '../graph.js'
import type { NodeView } from '../view.js'
import { nhwcAxis, type LowerContext, type Operator } from './context.js'
import { tapTable, type Taps } from './taps.js'

/** Each sample of an axis has a row in a table. Larger sizes are no pictures, but damage in a file. */
const mostSamples = 2 ** 16

function lowerResize(context: LowerContext): void {
  const { view } = context
  const { shape, scales } = resolveResize(view)
  const sizes = view.shape(0)
  const form = context.formOf(0)
  const axes = sizes.map((_, axis) => axis).filter((axis) => sizes[axis] !== shape[axis] || scales[axis] !== 1)
  let current = context.input(0, form)
  if (axes.length === 0) return context.alias(0, form, current)
  const long = axes.find((axis) => shape[axis]! > mostSamples)
  if (long !== undefined)
    throw new Unsupported(`it resizes axis ${long} to ${shape[long]} samples, more than ${mostSamples}`)
  axes.forEach((logical, i) => {
    const axis = form === 'nhwc' ? nhwcAxis(logical) : logical
    const from = context.sizes(current)
    const resized = from.map((size, j) => (j === axis ? shape[logical]! : size))
    const y = i === axes.length - 1 ? context.output(0, form) : context.temporary(resized)
    const { indices, weights, taps } = tapTable(tapsAlong(view, from[axis]!, shape[logical]!, scales[logical]!))
    context.step(
      'resample',
      [current, context.constant([resized[axis]!, taps], indices), context.constant([resized[axis]!, taps], weights)],
      [y],
      {
        outer: elementCount(from.slice(0, axis)),
        inLength: from[axis]!,
        outLength: resized[axis]!,
        taps,
        inner: elementCount(from.slice(axis + 1)),
      },
    )
    current = y
  })
}

/** The taps of one axis from `size` to `target` samples. */
function tapsAlong(view: NodeView, size: number, target: number, scale: number): Taps {
  const isOld = view.node.op === 'Upsample' || view.opset < 11
  const mode = view.text('mode', 'nearest')
  const place = placeOf(
    isOld ? 'asymmetric' : view.text('coordinate_transformation_mode', 'half_pixel'),
    size,
    target,
    scale,
  )
  const places = Array.from({ length: target }, (_, i) => place(i))
  if (mode === 'nearest') {
    const round = roundingOf(isOld ? 'floor' : view.text('nearest_mode', 'round_prefer_floor'))
    return places.map((x) => [{ index: clamp(round(x), size), weight: 1 }])
  }
  const stretch = view.int('antialias', 0) === 1 && scale < 1 ? 1 / scale : 1
  const isExclusive = view.int('exclude_outside', 0) === 1
  if (mode === 'linear' || mode === 'bilinear')
    return places.map((x) => filtered(x, size, 1, stretch, isExclusive, (d) => Math.max(0, 1 - d)))
  if (mode === 'cubic')
    return places.map((x) => filtered(x, size, 2, stretch, isExclusive, cubic(view.float('cubic_coeff_a', -0.75))))
  throw new Unsupported(`its mode is ${mode}`)
}

/** The input coordinate of an output sample (coordinate_transformation_mode). */
function placeOf(mode: string, size: number, target: number, scale: number): (i: number) => number {
  switch (mode) {
    case 'half_pixel':
      return (i) => (i + 0.5) / scale - 0.5
    case 'pytorch_half_pixel':
      return (i) => (target > 1 ? (i + 0.5) / scale - 0.5 : 0)
    case 'half_pixel_symmetric': {
      const adjusted = target / (scale * size)
      return (i) => (size / 2) * (1 - adjusted) + (i + 0.5) / scale - 0.5
    }
    case 'align_corners':
      return (i) => (target > 1 ? (i * (size - 1)) / (target - 1) : 0)
    case 'asymmetric':
      return (i) => i / scale
    case 'tf_half_pixel_for_nn':
      return (i) => (i + 0.5) / scale
    default:
      throw new Unsupported(`its coordinate_transformation_mode is ${mode}`)
  }
}

/** How a nearest resize rounds a coordinate (nearest_mode). */
function roundingOf(mode: string): (x: number) => number {
  switch (mode) {
    case 'round_prefer_floor':
      return (x) => Math.ceil(x - 0.5)
    case 'round_prefer_ceil':
      return (x) => Math.floor(x + 0.5)
    case 'floor':
      return Math.floor
    case 'ceil':
      return Math.ceil
    default:
      throw new Unsupported(`its nearest_mode is ${mode}`)
  }
}

const clamp = (index: number, size: number): number => Math.min(Math.max(index, 0), size - 1)

/**
 * Samples within `radius` of x. Antialiasing stretches the kernel. Samples beyond the edge repeat it, or are left out if
 * `isExclusive`. The weights are scaled to a sum of 1 where either applies.
 */
function filtered(
  x: number,
  size: number,
  radius: number,
  stretch: number,
  isExclusive: boolean,
  kernel: (distance: number) => number,
): Taps[number] {
  const reach = radius * stretch
  const taps = []
  for (let index = Math.floor(x - reach) + 1; index < x + reach; index++) {
    const weight = kernel(Math.abs(index - x) / stretch)
    if (isExclusive && (index < 0 || index >= size)) continue
    taps.push({ index: clamp(index, size), weight })
  }
  const total = taps.reduce((sum, tap) => sum + tap.weight, 0)
  return isExclusive || stretch > 1 ? taps.map(({ index, weight }) => ({ index, weight: weight / total })) : taps
}

/** Keys' cubic convolution kernel with coefficient a (R. Keys, 1981). */
function cubic(a: number): (d: number) => number {
  return (d) => (d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0)
}

/** Resize and Upsample. */
export const resampleOperators: readonly Operator[] = [
  {
    op: 'Resize',
    limits: 'scales or sizes constant; not tf_crop_and_resize',
    acceptsActivation: false,
    lower: lowerResize,
  },
  { op: 'Upsample', limits: 'scales constant', acceptsActivation: false, lower: lowerResize },
]
