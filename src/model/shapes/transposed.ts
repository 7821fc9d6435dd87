/** Transposed convolutions: sizes, pads and results of ConvTranspose-11 over images. */
import { Unsupported } from '../graph.js'
import type { NodeView } from '../view.js'

/** A transposed convolution, per axis of the image. */
export interface TransposedAxis {
  readonly kernel: number
  readonly stride: number
  readonly dilation: number
  /** What is cut off before the first element of the result. */
  readonly before: number
  readonly output: number
}

/** The number of output channels in all groups, and both axes. */
export interface Transposed {
  readonly channels: number
  readonly axes: readonly [TransposedAxis, TransposedAxis]
}

/** Resolves a node over images [N,C,H,W] with weights [C,O/groups,kernelH,kernelW]. */
export function resolveTransposed(view: NodeView): Transposed {
  const [shape, weights] = [view.shape(0), view.shape(1)]
  if (shape.length !== 4 || weights.length !== 4)
    throw new Unsupported(`its input has ${shape.length} dimensions, gapcam computes images (4)`)
  const groups = view.int('group', 1)
  if (weights[0] !== shape[1] || shape[1]! % groups !== 0)
    throw new Unsupported(`its weights [${weights.join(', ')}] do not fit ${shape[1]} channels in ${groups} groups`)
  return { channels: weights[1]! * groups, axes: [resolveAxis(view, 0), resolveAxis(view, 1)] }
}

function resolveAxis(view: NodeView, axis: number): TransposedAxis {
  const size = view.shape(0)[2 + axis]!
  const kernel = view.shape(1)[2 + axis]!
  const [stride, dilation, extra] = [
    view.ints('strides')?.[axis] ?? 1,
    view.ints('dilations')?.[axis] ?? 1,
    view.ints('output_padding')?.[axis] ?? 0,
  ]
  const auto = view.text('auto_pad', 'NOTSET')
  const whole = (size - 1) * stride + (kernel - 1) * dilation + 1 + extra
  const isSame = auto === 'SAME_UPPER' || auto === 'SAME_LOWER'
  const wanted = view.ints('output_shape')?.[axis] ?? (isSame ? size * stride : undefined)
  if (wanted !== undefined) {
    const cut = Math.max(0, whole - wanted)
    const before = auto === 'SAME_UPPER' ? Math.floor(cut / 2) : Math.ceil(cut / 2)
    return { kernel, stride, dilation, before, output: wanted }
  }
  const pads = auto === 'VALID' ? [] : (view.ints('pads') ?? [])
  const [before, after] = [pads[axis] ?? 0, pads[axis + 2] ?? 0]
  if (before < 0 || after < 0) throw new Unsupported(`its pads are [${pads.join(', ')}]`)
  return { kernel, stride, dilation, before, output: whole - before - after }
}
