/** Sliding windows: sizes, pads and results of Conv and the pools (ONNX Conv-22, MaxPool-22, AveragePool-22). */
import { Unsupported } from '../graph.js'
import type { NodeView } from '../view.js'

/**
 * A window over one or more axes with its defaults resolved: one number per axis. `before` and `after` are the padding on
 * both sides of an axis.
 */
export interface Windows {
  readonly kernel: readonly number[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly before: readonly number[]
  readonly after: readonly number[]
  readonly output: readonly number[]
}

/** A window of two dimensions. Pads are [top, left, bottom, right]. */
export interface Window {
  readonly kernel: Pair
  readonly strides: Pair
  readonly dilations: Pair
  readonly pads: readonly [number, number, number, number]
  readonly output: Pair
}

/** Largest number of a window that a plan's reader accepts. */
const largest = 65535

type Pair = readonly [number, number]

/** Resolves a node's window over spatial sizes [H, W]. `kernelShape` is that of the weights of a Conv. */
export function resolveWindow(view: NodeView, size: Pair, kernelShape?: Pair): Window {
  const { kernel, strides, dilations, before, after, output } = resolveWindows(view, size, kernelShape)
  return {
    kernel: [kernel[0]!, kernel[1]!],
    strides: [strides[0]!, strides[1]!],
    dilations: [dilations[0]!, dilations[1]!],
    pads: [before[0]!, before[1]!, after[0]!, after[1]!],
    output: [output[0]!, output[1]!],
  }
}

/** The same over any number of axes. */
export function resolveWindows(view: NodeView, size: readonly number[], kernelShape?: readonly number[]): Windows {
  const rank = size.length
  const perAxis = (what: string, fallback?: readonly number[]): readonly number[] =>
    positive(view.ints(what) ?? fallback, rank, what)
  const ones = size.map(() => 1)
  const kernel = perAxis('kernel_shape', kernelShape)
  if (kernelShape?.some((length, axis) => length !== kernel[axis]))
    throw new Unsupported('its kernel_shape is not that of its weights')
  const strides = perAxis('strides', ones)
  const dilations = perAxis('dilations', ones)
  const extent = kernel.map((length, axis) => (length - 1) * dilations[axis]! + 1)
  const { before, after } = resolvePads(view, size, extent, strides)
  if ([...kernel, ...strides, ...dilations, ...before, ...after].some((length) => length > largest))
    throw new Unsupported(`its window is larger than ${largest}`)
  const isCeil = view.int('ceil_mode', 0) === 1
  const output = size.map((length, axis) =>
    windowCount(length, extent[axis]!, strides[axis]!, before[axis]!, after[axis]!, isCeil),
  )
  return { kernel, strides, dilations, before, after, output }
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

function resolvePads(
  view: NodeView,
  size: readonly number[],
  extent: readonly number[],
  strides: readonly number[],
): Pick<Windows, 'before' | 'after'> {
  const auto = view.text('auto_pad', 'NOTSET')
  const none = size.map(() => 0)
  if (auto === 'VALID') return { before: none, after: none }
  if (auto === 'SAME_UPPER' || auto === 'SAME_LOWER') {
    const total = size.map((length, i) =>
      Math.max(0, (Math.ceil(length / strides[i]!) - 1) * strides[i]! + extent[i]! - length),
    )
    const before = total.map((t) => (auto === 'SAME_UPPER' ? Math.floor(t / 2) : Math.ceil(t / 2)))
    return { before, after: total.map((t, i) => t - before[i]!) }
  }
  const pads = view.ints('pads') ?? [...none, ...none]
  if (pads.length !== 2 * size.length || pads.some((p) => p < 0))
    throw new Unsupported(`its pads are [${pads.join(', ')}]`)
  return { before: pads.slice(0, size.length), after: pads.slice(size.length) }
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

function positive(values: readonly number[] | undefined, count: number, what: string): readonly number[] {
  if (values?.length !== count || values.some((v) => !Number.isInteger(v) || v < 1))
    throw new Unsupported(`its ${what} is [${values?.join(', ') ?? ''}] over ${count} axes`)
  return values
}
