/**
 * Reshape, Transpose, Reshape that swap channel groups become one ChannelShuffle, with the Concat before it and the
 * Split or Slices after it: one step that moves every channel once.
 */
import type { Graph, Node } from '../graph.js'
import { concatenated, permutation, resolveSlice, splitParts } from '../shapes/movement.js'
import { applyChanges, GraphIndex } from './rewrite.js'

export function recognizeShuffles(graph: Graph): Graph {
  const index = new GraphIndex(graph)
  const replaced = new Map<Node, readonly Node[]>()
  for (const last of graph.nodes) {
    const groups = last.op === 'Reshape' ? shuffledGroups(index, last) : null
    if (groups === null) continue
    const parts = partsOf(index, last.outputs[0]!)
    for (const reader of parts.readers) replaced.set(reader, [])
    replaced.set(last, [{
      name: last.name, op: 'ChannelShuffle', domain: 'gapcam', attributes: { groups: { kind: 'int', value: groups.count } },
      inputs: groups.sources, outputs: parts.names,
    }])
  }
  return applyChanges(graph, { replaced })
}

/** What a shuffle that ends in `last` mixes: the inputs of a Concat, or one value; null where it is none. */
function shuffledGroups(index: GraphIndex, last: Node): { sources: readonly string[]; count: number } | null {
  const transpose = index.soleMaker(last.inputs[0]!, last)
  if (transpose?.op !== 'Transpose') return null
  const first = index.soleMaker(transpose.inputs[0]!, transpose)
  if (first?.op !== 'Reshape') return null
  const source = first.inputs[0]!
  const [n, c, h, w] = index.shape(source)
  const split = index.shape(transpose.inputs[0]!)
  const isShuffle = index.shape(source).length === 4 && split.length === 5 && split[0] === n && split[1]! * split[2]! === c && split[3] === h && split[4] === w
  if (!isShuffle || permutation(index.view(transpose)).join() !== '0,2,1,3,4') return null
  if (index.shape(last.outputs[0]!).join() !== index.shape(source).join()) return null
  const concat = index.soleMaker(source, first)
  const isConcat = concat?.op === 'Concat' && concatenated(index.view(concat)).axis === 1 && concat.inputs.every((input) => !index.constant(input))
  return { sources: isConcat ? concat.inputs : [source], count: split[1]! }
}

/** The values that one Split, or Slices side by side, cut the channels of `value` into; else the value itself. */
function partsOf(index: GraphIndex, value: string): { names: readonly string[]; readers: readonly Node[] } {
  const whole = { names: [value], readers: [] }
  const readers = index.readers(value)
  if (readers.length === 0 || index.isOutput(value)) return whole
  const [split] = readers
  if (split!.op === 'Split') {
    const isWhole = readers.length === 1 && splitParts(index.view(split!)).axis === 1 && !split!.outputs.includes('')
    return isWhole ? { names: split!.outputs, readers } : whole
  }
  if (!readers.every(({ op }) => op === 'Slice')) return whole
  const cuts = readers.map((reader) => ({ reader, start: channelStart(index, reader), size: index.shape(reader.outputs[0]!)[1]! })).sort((a, b) => a.start - b.start)
  let end = 0
  for (const { start, size } of cuts) {
    if (start !== end) return whole
    end += size
  }
  return end === index.shape(value)[1] ? { names: cuts.map(({ reader }) => reader.outputs[0]!), readers } : whole
}

/** Where a Slice of channels begins; -1 where it cuts anything else, or not one by one. */
function channelStart(index: GraphIndex, slice: Node): number {
  const { starts, steps } = resolveSlice(index.view(slice))
  const [from, to] = [index.shape(slice.inputs[0]!), index.shape(slice.outputs[0]!)]
  const isOfChannels = from.every((size, axis) => axis === 1 || size === to[axis]) && steps.every((step) => step === 1)
  return isOfChannels ? starts[1]! : -1
}
