/** The moments of a window over time: its part within a frame, what a mean counts, and weights moment by moment. */
import type { Attribute } from './graph.js'
import type { Windows } from './shapes/window.js'

/** A list of whole numbers as an attribute. */
export const ints = (value: readonly number[]): Attribute => ({ kind: 'ints', value })

/** The part of a window that lies in an image. */
export function imageWindow({ kernel, strides, dilations, before, after }: Windows): Record<string, Attribute> {
  return {
    kernel_shape: ints(kernel.slice(1)),
    strides: ints(strides.slice(1)),
    dilations: ints(dilations.slice(1)),
    pads: ints([...before.slice(1), ...after.slice(1)]),
  }
}

/** For each frame of a mean over time, how many moments its window counts. What ceil_mode adds is never counted. */
export function momentsCounted(over: Windows, frames: number, countsPadding: boolean): readonly number[] {
  const [moments = 1, stride = 1, dilation = 1] = [over.kernel[0], over.strides[0], over.dilations[0]]
  const [least, most] = countsPadding ? [-over.before[0]!, frames + over.after[0]!] : [0, frames]
  return Array.from({ length: over.output[0]! }, (_, i) => {
    const first = i * stride - over.before[0]!
    return Array.from({ length: moments }, (_, moment) => first + moment * dilation).filter(
      (at) => at >= least && at < most,
    ).length
  })
}

/** The sizes of the weights of a convolution over clips. */
export interface Kernels {
  readonly outputs: number
  readonly channels: number
  readonly times: number
  /** Elements of a kernel in one moment. */
  readonly plane: number
}

/** Weights [O,C,T,H,W] as one [O,C,H,W] for each moment. */
export function momentsOf(weights: Float32Array, { outputs, channels, times, plane }: Kernels): Float32Array[] {
  return Array.from({ length: times }, (_, moment) => {
    const part = new Float32Array(outputs * channels * plane)
    for (let i = 0; i < outputs * channels; i++) {
      const from = (i * times + moment) * plane
      part.set(weights.subarray(from, from + plane), i * plane)
    }
    return part
  })
}

/** The moments' weights [O,C,H,W] as [O,T·C,H,W]. */
export function joinedMoments(moments: readonly Float32Array[], outputs: number): Float32Array {
  const row = moments[0]!.length / outputs
  const joined = new Float32Array(moments.length * moments[0]!.length)
  moments.forEach((part, moment) => {
    for (let o = 0; o < outputs; o++)
      joined.set(part.subarray(o * row, (o + 1) * row), (o * moments.length + moment) * row)
  })
  return joined
}
