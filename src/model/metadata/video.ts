/** How a network takes clips; `video-layouts.ts` recognises it. A manifest gives it in its field `video`. */
import { z } from 'zod'
import type { Graph } from '../graph.js'

const frames = z.int().min(2).max(256).describe('frames of a clip')
const everyMs = z
  .number()
  .min(1)
  .max(600_000)
  .describe('time from one frame of a clip to the next, milliseconds; default 100')
const axes = z
  .enum(['ncthw', 'ntchw', 'nthwc'])
  .describe('order of the axes of the clip: one clip, channels, frames, height, width')

/** What a manifest says of clips. */
export const videoOverrides = z.strictObject({ frames, everyMs, axes }).partial()

/** How a network takes clips. */
export const videoSchema = z.discriminatedUnion('form', [
  /** It takes all frames of a clip at once. */
  z.strictObject({ form: z.literal('clips'), frames, everyMs, axes, input: z.string() }),
  /** It takes one picture; `vectors` are the values whose mean over time its head takes. */
  z.strictObject({ form: z.literal('pooled'), frames, everyMs, vectors: z.array(z.string()).min(1) }),
])
export type VideoLayout = z.output<typeof videoSchema>

/** Whether the network takes clips: its one input has five axes. */
export const takesClips = ({ inputs }: Graph): boolean => inputs.length === 1 && inputs[0]!.shape?.length === 5

/** Where the channels and the frames of a clip are, by the order of its axes. */
export const clipAxes = {
  ncthw: { channels: 1, frames: 2, height: 3, width: 4 },
  ntchw: { channels: 2, frames: 1, height: 3, width: 4 },
  nthwc: { channels: 4, frames: 1, height: 2, width: 3 },
} as const

/** The order of the axes: a size of 1 or 3 is the channels. */
export function axesOf(shape: readonly (number | string | null)[]): 'ncthw' | 'ntchw' | 'nthwc' {
  const isChannels = (size: unknown): boolean => size === 1 || size === 3
  if (isChannels(shape[1])) return 'ncthw'
  return isChannels(shape[2]) ? 'ntchw' : isChannels(shape[4]) ? 'nthwc' : 'ncthw'
}
