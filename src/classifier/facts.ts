/**
 * Everything that is known of an open classifier besides its engine, as plain data: what file, manifest and the files beside
 * it say. It is kept with the compiled model, and checked when it is read again.
 */
import { z } from 'zod'
import type { Engine } from '../engine/engine.js'
import type { GridPlan } from '../heat/grid-plan.js'
import type { HeatPlan } from '../heat/open.js'
import { manifestSchema } from '../model/metadata/schema.js'
import { taskFacts } from '../model/metadata/task-facts.js'
import { embeddingFacts } from './embedding.js'
import type { Wiring } from './wiring.js'

const text = z.string()
const texts = z.array(text)
const quantization = z.strictObject({ scale: z.number(), zeroPoint: z.number() })

/** Checks facts that were kept. */
export const factsSchema = z.strictObject({
  sha256: text.regex(/^[0-9a-f]{64}$/),
  /** The manifest, completed by what the exporter wrote. */
  manifest: manifestSchema,
  /** The code of the file's integer input where the engine takes real numbers. */
  code: quantization.extend({ type: z.enum(['int8', 'uint8', 'int16', 'uint16']) }).nullable(),
  /** The task, with how its outputs are read, and how it is known. */
  task: taskFacts,
  taskSentence: text,
  /** The name of the output with the scores, and the number of scores. */
  output: text,
  count: z.int().min(1),
  labels: texts,
  reading: z.strictObject({
    activation: z.enum(['softmax', 'sigmoid', 'exp', 'none']),
    quantization: quantization.nullable(),
    sentence: text,
    isCertain: z.boolean(),
  }),
  assumed: texts,
  origins: z.strictObject({ size: text, colour: text, scale: text, crop: text, labels: text, scores: text }),
  /** Whether the plan computes in half precision because it was measured, and a sentence about it ('' if not asked for). */
  precision: z.strictObject({ isHalf: z.boolean(), sentence: text }),
  embedding: embeddingFacts,
  heat: z.union([
    z.strictObject({ map: text, layout: z.enum(['nchw', 'nhwc']), classes: z.int().min(1), channels: z.int().min(1) }),
    z.strictObject({ reason: text }),
  ]),
})

/** What is known of a classifier. */
export type ModelFacts = z.output<typeof factsSchema>

/** An engine that was opened for a classifier, with all that is known. */
export interface OpenedModel {
  readonly engine: Engine
  readonly wiring: Wiring
  readonly facts: Omit<ModelFacts, 'heat'>
  readonly heat: HeatPlan | GridPlan | { readonly reason: string }
  /** Ends when the compiled model is on disk, or could not be written. */
  readonly keeping: Promise<void> | undefined
}
