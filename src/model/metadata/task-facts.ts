/** What is known of the task of a network, and what recognises it. `task.ts` asks the recognisers. */
import { z } from 'zod'
import type { ClipOptions } from '../../decision/task.js'
import type { Graph } from '../graph.js'
import { detectSchema } from './detect.js'
import type { Manifest } from './schema.js'
import { segmentSchema } from './segment.js'
import { videoSchema } from './video.js'

/** What an engine's outputs mean, as plain data that is kept with a compiled model. `classify` is settled by `outputs.ts`. */
export const taskFacts = z.discriminatedUnion('task', [
  z.strictObject({ task: z.literal('classify') }),
  z.strictObject({ task: z.literal('detect'), layout: detectSchema }),
  z.strictObject({ task: z.literal('segment'), layout: segmentSchema }),
  z.strictObject({ task: z.literal('video'), layout: videoSchema }),
])
export type TaskFacts = z.output<typeof taskFacts>

/** What is known of a model when its task is asked for. */
export interface TaskHints {
  readonly manifest: Manifest
  /** The file's metadata properties. */
  readonly metadata: ReadonlyMap<string, string>
  /** The number of labels that are named for it; undefined for none. */
  readonly labels: number | undefined
  /** How clips are asked for. */
  readonly clip?: ClipOptions | undefined
}

/** A task that was recognised. */
export interface RecognisedTask {
  readonly facts: TaskFacts
  /** How it is known, as part of a sentence. */
  readonly sentence: string
  /** Pixels as networks of this kind take them, where nothing else says it. */
  readonly recipe: Pick<Manifest, 'mean' | 'std' | 'colorOrder' | 'resize' | 'fill'>
}

/** The task; null where the network has another one; a reason where it has this one, but is not understood. */
export type Recogniser = (graph: Graph, hints: TaskHints) => RecognisedTask | { readonly reason: string } | null
