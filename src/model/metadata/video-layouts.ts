/**
 * Recognises networks over clips: an input of rank 5 is a clip. A network over pictures becomes one over clips by the mean
 * over time of its vector, where that is asked for.
 */
import type { z } from 'zod'
import { clipDefaults, type ClipOptions } from '../../decision/task.js'
import type { Graph, Node } from '../graph.js'
import { scoresValue } from './outputs.js'
import type { RecognisedTask, TaskHints } from './task-facts.js'
import { axesOf, clipAxes, takesClips, videoSchema, type videoOverrides } from './video.js'

/** The layout of a prepared graph that is to look at clips; a reason where it cannot. */
export function recogniseVideo(graph: Graph, hints: TaskHints): RecognisedTask | { readonly reason: string } {
  const { video = {} } = hints.manifest
  const wanted = { ...video, ...given(hints.clip ?? {}) }
  const time = { everyMs: wanted.everyMs ?? clipDefaults.everyMs }
  return takesClips(graph) ? clips(graph, { ...wanted, ...time }) : pooled(graph, hints, { ...wanted, ...time })
}

const given = (options: ClipOptions): ClipOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

type Wanted = z.output<typeof videoOverrides> & ClipOptions & { readonly everyMs: number }

function clips(graph: Graph, wanted: Wanted): RecognisedTask | { readonly reason: string } {
  const { name, shape: declared, type } = graph.inputs[0]!
  const shape = declared as readonly number[]
  const axes = wanted.axes ?? axesOf(shape)
  const at = clipAxes[axes]
  const what = `${name} [${shape.join(', ')}]`
  const [count, channels] = [shape[at.frames]!, shape[at.channels]!]
  if (shape[0] !== 1) return { reason: `its input ${what} takes ${shape[0]} clips at once; gapcam gives it one` }
  if (type !== 'float32') return { reason: `its input ${what} takes clips of ${type}; gapcam gives it float32` }
  if (channels !== 1 && channels !== 3)
    return {
      reason: `its input ${what} has ${channels} channels if its axes are ${axes}; write video: { axes: ntchw } or another order in its manifest`,
    }
  if (wanted.pool !== undefined)
    return { reason: `its input ${what} takes whole clips, and pool is for networks over pictures; leave pool out` }
  if (wanted.frames !== undefined && wanted.frames !== count)
    return { reason: `its input ${what} takes clips of ${count} frames, and ${wanted.frames} are asked for` }
  const layout = { form: 'clips' as const, frames: count, everyMs: wanted.everyMs, axes, input: name }
  const checked = videoSchema.safeParse(layout)
  if (!checked.success) return { reason: `its input ${what} has ${count} frames; gapcam takes 2 to 256` }
  return {
    facts: { task: 'video', layout: checked.data },
    sentence: `video: its input ${what} is a clip of ${count} frames, one every ${wanted.everyMs} ms`,
    recipe: {},
  }
}

function pooled(
  graph: Graph,
  { manifest, labels }: TaskHints,
  wanted: Wanted,
): RecognisedTask | { readonly reason: string } {
  if (wanted.axes !== undefined)
    return { reason: `its input has ${graph.inputs[0]?.shape?.length ?? 0} axes, and video: { axes } is for clips` }
  const scores = scoresValue(graph, { output: manifest.output, labels })
  if ('reason' in scores) return scores
  const vectors = vectorsOf(graph, scores.name)
  if ('reason' in vectors) return vectors
  const count = wanted.frames ?? clipDefaults.frames
  return {
    facts: {
      task: 'video',
      layout: { form: 'pooled', frames: count, everyMs: wanted.everyMs, vectors: [...vectors.names] },
    },
    sentence: `video: the mean of its vector over ${count} pictures, one every ${wanted.everyMs} ms`,
    recipe: {},
  }
}

/**
 * The values behind which a network has vectors only, [1, n] or [1, n, 1, 1]: the results of its last pooling. What follows
 * them is the head. A reason where one of them is not of real numbers.
 */
export function vectorsOf(
  graph: Graph,
  output: string,
): { readonly names: readonly string[] } | { readonly reason: string } {
  const makers = new Map<string, Node>(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  const isVector = (name: string): boolean => {
    const shape = graph.values.get(name)?.shape
    return shape?.[0] === 1 && shape.filter((size) => size !== 1).length <= 1
  }
  const isReal = (name: string): boolean => graph.values.get(name)?.type === 'float32'
  const found = new Map<string, readonly string[] | null>()
  const behind = (name: string): readonly string[] | null => {
    const known = found.get(name)
    if (known !== undefined) return known
    const own = isReal(name) ? [name] : null
    const node = makers.get(name)
    const inputs = node?.inputs.filter((input) => input !== '' && !graph.constants.has(input)) ?? []
    // The picture itself is no vector of the network.
    const parts =
      inputs.length > 0 && inputs.every((each) => isVector(each) && makers.has(each)) ? inputs.map(behind) : [null]
    const cut = parts.includes(null) ? own : [...new Set(parts.flatMap((part) => part!))]
    found.set(name, node ? cut : null)
    return found.get(name)!
  }
  const names = isVector(output) ? behind(output) : null
  return names ? { names } : { reason: `no vector of real numbers lies in front of its output ${output}` }
}
