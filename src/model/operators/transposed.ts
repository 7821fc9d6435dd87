/**
 * ConvTranspose as a convolution and a move of channels to places. With a stride of s, each element of the result lies in
 * one of s phases of a block, and each phase is an ordinary convolution with every s-th weight. All phases together are one
 * convolution with s times the channels per axis.
 */
import { noActivation } from '../activation.js'
import { floatsOf, Unsupported } from '../graph.js'
import { resolveTransposed, type Transposed, type TransposedAxis } from '../shapes/transposed.js'
import { stridesOf } from '../view.js'
import type { LowerContext, Operator } from './context.js'
import { emitCopy } from './copy.js'

/** One axis of the convolution that computes all phases. */
interface Blocks {
  /** Weights of each phase. */
  readonly taps: number
  readonly padBefore: number
  readonly padAfter: number
  /** Blocks of `stride` elements that hold the result. */
  readonly count: number
  /** Elements of the first block before the result. */
  readonly skipped: number
}

function blocksOf({ kernel, stride, dilation, before, output }: TransposedAxis, size: number): Blocks {
  const taps = Math.ceil(((kernel - 1) * dilation + 1) / stride)
  const first = Math.floor(before / stride)
  const last = Math.ceil((before + output) / stride) - 1
  if (first > taps - 1 || last < size - 1) throw new Unsupported('its pads are larger than its kernel')
  return {
    taps,
    padBefore: taps - 1 - first,
    padAfter: last - (size - 1),
    count: last - first + 1,
    skipped: before - first * stride,
  }
}

function lowerConvTranspose(context: LowerContext): void {
  const { view } = context
  if (!view.input(1).constant) throw new Unsupported('its weights are computed at run time')
  if (view.optional(2) && !view.input(2).constant) throw new Unsupported('its bias is computed at run time')
  const [n = 1, , height = 0, width = 0] = view.shape(0)
  const { channels, axes } = resolveTransposed(view)
  const [down, across] = [blocksOf(axes[0], height), blocksOf(axes[1], width)]
  const [sh, sw] = [axes[0].stride, axes[1].stride]
  const phases = sh * sw
  const groups = view.int('group', 1)
  // The channels of a group lie together, so with groups the phases come last.
  const [byChannel, byPhase] = groups > 1 ? [phases, 1] : [1, channels]
  const weights = phaseWeights(context, axes, { down, across, channels, byChannel, byPhase })
  const bias = view.optional(2) ? floatsOf(view.input(2).constant!) : null
  const offsets = new Float32Array(channels * phases)
  if (bias)
    for (let o = 0; o < channels; o++)
      for (let phase = 0; phase < phases; phase++) offsets[o * byChannel + phase * byPhase] = bias[o]!

  const blocks = context.temporary([n, down.count, across.count, channels * phases])
  context.step(
    'conv2d',
    [context.input(0, 'nhwc'), weights, bias ? context.constant([offsets.length], offsets) : null, null],
    [blocks, null],
    {
      ...{ kernelH: down.taps, kernelW: across.taps, strideH: 1, strideW: 1, dilationH: 1, dilationW: 1 },
      ...{ padTop: down.padBefore, padLeft: across.padBefore, padBottom: down.padAfter, padRight: across.padAfter },
      groups,
      ...noActivation,
    },
  )

  const y = context.output(0, 'nhwc')
  const whole = [n, down.count * sh, across.count * sw, channels]
  const isWhole = context.sizes(y).every((size, i) => size === whole[i])
  const placed = isWhole ? y : context.temporary(whole)
  const row = whole[2]! * channels
  emitCopy(context, blocks, placed, {
    size: [n * down.count, sh, across.count, sw, channels],
    inStride: [across.count * channels * phases, sw * byPhase, channels * phases, byPhase, byChannel],
    outStride: [sh * row, row, sw * channels, channels, 1],
  })
  if (isWhole) return
  const from = down.skipped * row + across.skipped * channels
  emitCopy(
    context,
    placed,
    y,
    { size: context.sizes(y), inStride: stridesOf(whole), outStride: stridesOf(context.sizes(y)) },
    { in: from },
  )
}

/** Weights [C,O/groups,kernelH,kernelW] as those of a convolution [O·phases,C/groups,tapsH,tapsW]. */
function phaseWeights(
  context: LowerContext,
  axes: Transposed['axes'],
  of: { down: Blocks; across: Blocks; channels: number; byChannel: number; byPhase: number },
): number {
  const { view } = context
  const { down, across, channels, byChannel, byPhase } = of
  const groups = view.int('group', 1)
  const [inputs = 0, perGroup = 0, kh = 0, kw = 0] = view.shape(1)
  const given = floatsOf(view.input(1).constant!)
  const depth = inputs / groups
  const [sh, sw] = [axes[0].stride, axes[1].stride]
  const plane = down.taps * across.taps
  const result = new Float32Array(channels * sh * sw * depth * plane)
  for (let i = 0; i < inputs; i++)
    for (let o = 0; o < perGroup; o++)
      for (let y = 0; y < kh; y++)
        for (let x = 0; x < kw; x++) {
          const [at, to] = [y * axes[0].dilation, x * axes[1].dilation]
          const phase = (at % sh) * sw + (to % sw)
          const output = (Math.floor(i / depth) * perGroup + o) * byChannel + phase * byPhase
          const tap = (down.taps - 1 - Math.floor(at / sh)) * across.taps + (across.taps - 1 - Math.floor(to / sw))
          result[(output * depth + (i % depth)) * plane + tap] = given[((i * perGroup + o) * kh + y) * kw + x]!
        }
  return context.constant([channels * sh * sw, depth, down.taps, across.taps], result)
}

/** The transposed convolution. */
export const transposedOperators: readonly Operator[] = [
  {
    op: 'ConvTranspose',
    limits: '2-D; weights and bias constant; pads smaller than the kernel',
    acceptsActivation: false,
    lower: lowerConvTranspose,
  },
]
