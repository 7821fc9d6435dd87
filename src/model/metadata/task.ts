/**
 * Recognises the task of a network: by its manifest, by what an exporter wrote, by the names and shapes of its outputs. A
 * task that gapcam runs is a row of `recognisers`.
 */
import { z } from 'zod'
import type { ClipOptions, Task } from '../../decision/task.js'
import type { Graph } from '../graph.js'
import { detectSchema } from './detect.js'
import { recogniseDetector } from './detect-layouts.js'
import type { Manifest } from './schema.js'
import { recogniseSegmenter, segmentSchema } from './segment.js'
import { recogniseVideo, takesClips, videoSchema } from './video.js'

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
  readonly recipe: Pick<Manifest, 'mean' | 'std' | 'resize' | 'fill'>
}

/** The task; null where the network has another one; a reason where it has this one, but is not understood. */
export type Recogniser = (graph: Graph, hints: TaskHints) => RecognisedTask | { readonly reason: string } | null

const recognisers: Readonly<Record<Exclude<Task, 'classify'>, Recogniser>> = {
  detect: recogniseDetector,
  segment: recogniseSegmenter,
  video: recogniseVideo,
}

/** Tasks that outputs show; a network over pictures looks at clips only where that is asked for. */
const shown = ['detect', 'segment'] as const

/**
 * The task of a prepared graph. `asked` is the caller's choice, over that of the manifest. A reason is one sentence about what
 * the manifest must say.
 */
export function recogniseTask(
  graph: Graph,
  hints: TaskHints,
  asked: Task | undefined,
): RecognisedTask | { readonly reason: string } {
  const wanted = asked ?? hints.manifest.task
  const why = asked ? 'asked for' : 'by the manifest'
  const asksForClips = wanted === 'video' || (wanted === undefined && takesClips(graph))
  if (asksForClips) return recogniseVideo(graph, hints)
  if (takesClips(graph)) return { reason: clipSentence(graph, wanted!, why) }
  if (wanted === 'classify') return { ...classifier, sentence: `classify, ${why}` }
  const names = wanted ? [wanted] : shown
  for (const name of names) {
    const found = recognisers[name](graph, hints)
    if (found) return found
  }
  if (!wanted) return { ...classifier, sentence: 'classify: nothing in it shows another task' }
  return {
    reason: `it cannot be told how to ${wanted} with it (${why}): ${outputsSentence(graph)}; write ${wanted}: in its manifest`,
  }
}

const classifier = { facts: { task: 'classify' }, recipe: {} } as const

function clipSentence({ inputs }: Graph, wanted: Task, why: string): string {
  const [clip] = inputs
  return `it cannot ${wanted} pictures (${why}): its input ${clip!.name} [${clip!.shape!.join(', ')}] takes clips; write task: video, or leave task out`
}

/** The outputs with their shapes, as a part of a sentence. */
export function outputsSentence(graph: Graph): string {
  const ports = graph.outputs.map(({ name, shape: declared }) => {
    const shape = graph.values.get(name)?.shape ?? declared
    return shape ? `${name} [${shape.map((size) => size ?? '?').join(', ')}]` : name
  })
  return `its outputs are ${ports.join('; ')}`
}
