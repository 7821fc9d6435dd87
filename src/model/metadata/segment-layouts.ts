/**
 * Recognises networks that say of each place of the picture what is there: one output [1,C,H,W] or [1,H,W,C] with the
 * scores of C classes, or [1,H,W] with the numbers of the classes.
 */
import type { Graph } from '../graph.js'
import { GraphIndex } from '../graph-index.js'
import { segmentSchema, type SegmentLayout } from './segment.js'
import type { Recogniser } from './task-facts.js'

/** A map of fewer places on a side is one of features. */
const leastSide = 8
/** Passed by on the way from an output to the operator that made its numbers. */
const movers = new Set(['Transpose', 'Reshape', 'Resize', 'Squeeze', 'Unsqueeze', 'Identity', 'Cast'])

/** See `Recogniser`. */
export const recogniseSegmenter: Recogniser = (graph, { manifest, labels }) => {
  const { segment } = manifest
  const output = mapOf(graph, segment?.output)
  if (!output && !segment) return null
  const given = { activation: 'sigmoid', minScore: 0.5, ...output, ...segment } as const
  const layout = { ...given, classCount: given.classCount ?? labels }
  if (layout.output === undefined || layout.format === undefined)
    return {
      reason:
        'it cannot be told which output holds the classes of all places; write segment: { output: NAME, format: nchw } in its manifest',
    }
  const made = (name: string): boolean =>
    graph.outputs.some((each) => each.name === name) || graph.nodes.some(({ outputs }) => outputs.includes(name))
  if (!made(layout.output)) return { reason: `it has no output ${layout.output}, which its manifest names` }
  if (layout.classCount === undefined)
    return {
      reason:
        'it says a class for each place, but not of how many; name its labels, or write segment: { classCount: 21 } in its manifest',
    }
  const single =
    layout.classCount === 1 ? `, ${layout.activation === 'none' ? 'scores' : 'a sigmoid'} of one class` : ''
  return {
    facts: { task: 'segment', layout: segmentSchema.parse(layout) },
    sentence: `segment: a class for each place, ${segment ? 'by the manifest' : 'by the outputs'}${single}`,
    recipe: { resize: 'stretch' },
  }
}

/** The output that is a map of classes. Null where there is none, several that may be it, or a row of scores beside it. */
function mapOf(graph: Graph, wanted: string | undefined): Partial<SegmentLayout> | null {
  const input = (graph.inputs[0]?.shape ?? []) as readonly number[]
  const maps = graph.outputs.map(({ name }) => {
    const { shape = [], type } = graph.values.get(name) ?? {}
    const form = formOf(shape as readonly number[], type, input)
    return form && { output: name, ...form, ...(endsInScores(graph, name) && { activation: 'none' as const }) }
  })
  if (wanted !== undefined) return maps.find((map) => map?.output === wanted) ?? null
  if (maps.includes(null)) return null
  // torchvision also gives the output of a head that only training uses.
  return maps.length === 1 ? maps[0]! : (maps.find((map) => map?.output === 'out') ?? null)
}

type Form = Pick<SegmentLayout, 'format'> & Partial<Pick<SegmentLayout, 'classCount'>>

/** How a map lies in an output of this shape, by the sides of the picture [1,C,H,W] or [1,H,W,C]. */
function formOf(shape: readonly number[], type: string | undefined, input: readonly number[]): Form | null {
  const sides = input[1]! <= 4 ? [input[2]!, input[3]!] : [input[1]!, input[2]!]
  const isMap = (height: number, width: number): boolean =>
    height >= leastSide && width >= leastSide && height <= sides[0]! && height * sides[1]! === width * sides[0]!
  const [batch, a = 0, b = 0, c = 0] = shape
  if (batch !== 1) return null
  if (shape.length === 3) return (type === 'int64' || type === 'int32') && isMap(a, b) ? { format: 'numbers' } : null
  if (shape.length !== 4) return null
  if (isMap(b, c) && a < b) return { format: 'nchw', classCount: a }
  return isMap(a, b) && c < a ? { format: 'nhwc', classCount: c } : null
}

/** Whether the numbers of an output are scores already. */
function endsInScores(graph: Graph, output: string): boolean {
  const index = GraphIndex.of(graph)
  let maker = index.maker(output)
  while (maker && movers.has(maker.op)) maker = index.maker(maker.inputs[0]!)
  return maker?.op === 'Sigmoid' || maker?.op === 'Softmax'
}
