/** Sliding windows: the sizes, pads and results of Conv and the pools (ONNX Conv-22, MaxPool-22, AveragePool-22). */
import { Unsupported, type NodeView } from '../view.js'

/** A 2-D window with everything resolved; pads are [top, left, bottom, right]. */
export interface Window {
  readonly kernel: readonly [number, number]
  readonly strides: readonly [number, number]
  readonly dilations: readonly [number, number]
  readonly pads: readonly [number, number, number, number]
  readonly output: readonly [number, number]
}

/** Of a window's numbers in a plan. */
const largest = 65535

type Pair = readonly [number, number]

/** Resolves a window over spatial sizes [H, W]; `kernelShape` is the weights' for Conv. */
export function resolveWindow(view: NodeView, size: Pair, kernelShape?: Pair): Window {
  const kernel = pair(view.ints('kernel_shape') ?? kernelShape, 'kernel_shape')
  if (kernelShape && (kernel[0] !== kernelShape[0] || kernel[1] !== kernelShape[1]))
    throw new Unsupported('its kernel_shape is not that of its weights')
  const strides = pair(view.ints('strides') ?? [1, 1], 'strides')
  const dilations = pair(view.ints('dilations') ?? [1, 1], 'dilations')
  const extent: Pair = [(kernel[0] - 1) * dilations[0] + 1, (kernel[1] - 1) * dilations[1] + 1]
  const pads = resolvePads(view, size, extent, strides)
  if ([...kernel, ...strides, ...dilations, ...pads].some((size) => size > largest))
    throw new Unsupported(`its window is larger than ${largest}`)
  const isCeil = view.int('ceil_mode', 0) === 1
  const output: Pair = [
    windowCount(size[0], extent[0], strides[0], pads[0], pads[2], isCeil),
    windowCount(size[1], extent[1], strides[1], pads[1], pads[3], isCeil),
  ]
  return { kernel, strides, dilations, pads, output }
}

function resolvePads(view: NodeView, size: Pair, extent: Pair, strides: Pair): Window['pads'] {
  const auto = view.text('auto_pad', 'NOTSET')
  if (auto === 'VALID') return [0, 0, 0, 0]
  if (auto === 'SAME_UPPER' || auto === 'SAME_LOWER') {
    const total = [0, 1].map((i) =>
      Math.max(0, (Math.ceil(size[i]! / strides[i]!) - 1) * strides[i]! + extent[i]! - size[i]!),
    )
    const before = total.map((t) => (auto === 'SAME_UPPER' ? Math.floor(t / 2) : Math.ceil(t / 2)))
    return [before[0]!, before[1]!, total[0]! - before[0]!, total[1]! - before[1]!]
  }
  const pads = view.ints('pads') ?? [0, 0, 0, 0]
  if (pads.length !== 4 || pads.some((p) => p < 0)) throw new Unsupported(`its pads are [${pads.join(', ')}]`)
  return [pads[0]!, pads[1]!, pads[2]!, pads[3]!]
}

/** How many windows fit. With ceil_mode a last one that starts beyond the input and its first padding does not count. */
function windowCount(
  size: number,
  extent: number,
  stride: number,
  before: number,
  after: number,
  isCeil: boolean,
): number {
  const free = size + before + after - extent
  if (free < 0) throw new Unsupported('its kernel is larger than the padded input')
  if (!isCeil) return Math.floor(free / stride) + 1
  const count = Math.ceil(free / stride) + 1
  return (count - 1) * stride >= size + before ? count - 1 : count
}

function pair(values: readonly number[] | undefined, what: string): Pair {
  if (values?.length !== 2 || values.some((v) => !Number.isInteger(v) || v < 1))
    throw new Unsupported(`its ${what} is [${values?.join(', ') ?? ''}], gapcam computes two dimensions`)
  return [values[0]!, values[1]!]
}
