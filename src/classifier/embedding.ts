/**
 * The embedding of a picture: a vector that is near that of a similar picture. It is a value of the network, or the mean of a
 * feature map; `embedding-plan.ts` finds which.
 */
import { z } from 'zod'
import type { Engine } from '../engine/engine.js'
import { featureMapOf } from '../heat/grid-plan.js'

/** Where the embedding comes from, as plain data that is kept with a compiled model. */
export const embeddingFacts = z.union([
  /** A value of the network as it is (no layout), or a feature map whose mean is the embedding. */
  z.strictObject({ value: z.string(), layout: z.enum(['nchw', 'nhwc']).nullable(), length: z.int().min(1) }),
  z.strictObject({ reason: z.string() }),
])
export type EmbeddingFacts = z.output<typeof embeddingFacts>

/** Gives the embedding of the engine's last run, or says why there is none. */
export type Embedding =
  | {
      readonly length: number /** The vector of the last run; the caller owns it. */
      readonly read: () => Float32Array
    }
  | { readonly reason: string }

/** Of a model that was opened without its embedding. */
export const noEmbedding: Exclude<EmbeddingFacts, { readonly value: string }> = {
  reason: 'the embedding was not asked for when the model was opened',
}

/** The embedding of an engine that was opened with the value as an output. */
export function embeddingOf(facts: EmbeddingFacts, engine: Engine): Embedding {
  if ('reason' in facts) return facts
  const { value, layout, length } = facts
  const missing = { reason: `the engine does not output ${value} as ${length} numbers` }
  if (layout === null) {
    const output = engine.outputs.find(({ name }) => name === value)
    if (!(output?.data instanceof Float32Array) || output.data.length !== length) return missing
    const { data } = output
    return { length, read: () => data.slice() }
  }
  const map = featureMapOf(engine, value, layout)
  if (map?.channels !== length) return missing
  return { length, read: () => meanOf(map) }
}

/** The mean of each channel over all places. */
function meanOf({ data, width, height, channels, isNhwc }: NonNullable<ReturnType<typeof featureMapOf>>): Float32Array {
  const places = width * height
  const [ofPlace, ofChannel] = isNhwc ? [channels, 1] : [1, places]
  const mean = new Float32Array(channels)
  for (let channel = 0; channel < channels; channel++) {
    let sum = 0
    for (let place = 0; place < places; place++) sum += data[place * ofPlace + channel * ofChannel]!
    mean[channel] = sum / places
  }
  return mean
}
