/** Sliding windows: sizes, pads and results of Conv and the pools (ONNX Conv-22, MaxPool-22, AveragePool-22). */
import { Unsupported } from '../graph.js'
import type { NodeView } from '../view.js'

/** A window of two dimensions with its defaults resolved. Pads are [top, left, bottom, right]. */
export interface Window {
  readonly kernel: readonly [number, number]
  readonly strides: readonly [number, number]
  readonly dilations: readonly [number, number]
  readonly pads: readonly [number, number, number, number]
  readonly output: readonly [number, number]
}

/** Largest number of a window that a plan's reader accepts. */
const largest = 65535

type Pair = readonly [number, number]

/** Resolves a node's window over spatial sizes [H, W]. `kernelShape` is that of the weights of a Conv. */
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

/** The window as parameters of a plan's step. */
export function windowParameters({ kernel, strides, pads, dilations }: Window) {
  return {
    kernelH: kernel[0],
    kernelW: kernel[1],
    strideH: strides[0],
    strideW: strides[1],
    padTop: pads[0],
    padLeft: pads[1],
    padBottom: pads[2],
    padRight: pads[3],
    dilationH: dilations[0],
    dilationW: dilations[1],
  }
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

/** How many windows fit. With ceil_mode, a last window that starts beyond the input and its first padding does not count. */
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
