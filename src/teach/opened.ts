/** A classifier of an engine that this room has put together: a network that looks, or a network with a head. */
import { classifierOf, type Classifier } from '../classifier.js'
import { noEmbedding, type EmbeddingFacts } from '../classifier/embedding.js'
import type { OpenedModel } from '../classifier/facts.js'
import { wire } from '../classifier/wiring.js'
import type { Engine } from '../engine/engine.js'
import type { TaskFacts } from '../model/metadata/task-facts.js'
import type { Reading } from '../model/metadata/reading.js'
import type { Manifest } from '../model/metadata/schema.js'
import type { ResizeMode } from '../pixels/spec.js'

/** What is known of the engine. */
export interface OpenedEngine {
  readonly engine: Engine
  readonly manifest: Manifest
  readonly sha256: string
  /** The output with one number for each label. */
  readonly output: string
  readonly labels: readonly string[]
  readonly reading: Reading
  /** Where labels, pixels and scores come from, as part of a sentence. */
  readonly from: string
  /** Default: single pictures. */
  readonly task?: { readonly facts: TaskFacts; readonly sentence: string }
  /** Default: stretched. */
  readonly resize?: ResizeMode
  readonly heat?: OpenedModel['heat']
  readonly embedding?: EmbeddingFacts
}

/** The classifier; it closes the engine. `name` is that in messages. */
export function openedAs(name: string, opened: OpenedEngine): Classifier {
  const { engine, manifest, sha256, output, labels, reading, from } = opened
  const { task = single, resize = 'stretch', heat = noHeat, embedding = noEmbedding } = opened
  return classifierOf(name, {
    engine,
    wiring: wire(engine, { path: name, manifest, resize, output, code: undefined, task: task.facts }),
    facts: {
      sha256,
      manifest,
      code: null,
      task: task.facts,
      taskSentence: task.sentence,
      output,
      count: labels.length,
      labels: [...labels],
      reading,
      embedding,
      assumed: [],
      origins: { size: from, colour: from, scale: from, crop: from, labels: from, scores: from },
      precision: { isHalf: false, sentence: '' },
    },
    heat,
    keeping: undefined,
  })
}

const noHeat = { reason: 'heat maps were not asked for' }

/** A head that looks at single pictures. */
export const single = { facts: { task: 'classify' }, sentence: 'classify: it was taught' } as const
