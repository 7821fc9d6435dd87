/**
 * Recognises the task of a network: by its manifest, by what an exporter wrote, by the names and shapes of its outputs. A
 * task that gapcam runs is a row of `recognisers`.
 */
import type { Task } from '../../decision/task.js'
import type { Graph } from '../graph.js'
import { recogniseDetector } from './detect-layouts.js'
import { recogniseSegmenter } from './segment-layouts.js'
import type { RecognisedTask, Recogniser, TaskHints } from './task-facts.js'
import { takesClips } from './video.js'
import { recogniseVideo } from './video-layouts.js'

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
