/**
 * Turns Reshape, Transpose, Reshape that swap channel groups into one ChannelShuffle, in NCHW or NHWC order. It absorbs
 * the Concat before it and the Split or Slices after it, so that one step moves every channel once.
 */
import { madeNode, type Graph, type Node, type Value } from '../graph.js'
import { concatenated, permutation, resolveSlice, splitParts } from '../shapes/movement.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges, changed } from './changes.js'

/** Replaces the three nodes of a shuffle by one ChannelShuffle. */
export function recognizeShuffles(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const values: Value[] = []
  for (const last of graph.nodes) {
    const found = last.op === 'Reshape' ? shuffleBefore(index, last) : null
    if (!found) continue
    const { source, groups, isNhwc } = found
    const [output = ''] = last.outputs
    const [from, to] = isNhwc ? [`${output}.from`, `${output}.to`] : [source, output]
    const shuffle: Node = {
      name: last.name,
      op: 'ChannelShuffle',
      domain: 'gapcam',
      attributes: { groups: { kind: 'int', value: groups } },
      inputs: [from],
      outputs: [to],
    }
    const [n = 1, h = 1, w = 1, c = 1] = index.shape(source)
    if (isNhwc) for (const name of [from, to]) values.push({ name, type: 'float32', shape: [n, c, h, w] })
    replaced.set(
      last,
      isNhwc ? [transpose(source, from, [0, 3, 1, 2]), shuffle, transpose(to, output, [0, 2, 3, 1])] : [shuffle],
    )
  }
  return applyChanges(graph, { replaced, values })
}

const transpose = (from: string, to: string, perm: readonly number[]): Node =>
  madeNode('Transpose', {
    name: `${from} to ${to}`,
    attributes: { perm: { kind: 'ints', value: perm } },
    inputs: [from],
    output: to,
  })

/** The value that a shuffle ending in `last` mixes, and the number of groups; null where it is not a shuffle. */
function shuffleBefore(index: GraphIndex, last: Node): { source: string; groups: number; isNhwc: boolean } | null {
  const transposed = index.soleMaker(last.inputs[0]!, last)
  if (transposed?.op !== 'Transpose') return null
  const first = index.soleMaker(transposed.inputs[0]!, transposed)
  if (first?.op !== 'Reshape') return null
  const source = first.inputs[0]!
  const [shape, split, order] = [
    index.shape(source),
    index.shape(transposed.inputs[0]!),
    permutation(index.view(transposed)).join(),
  ]
  if (shape.length !== 4 || split.length !== 5 || index.shape(last.outputs[0]!).join() !== shape.join()) return null
  // Whether the channels, which lie at `axis`, are split into [groups, channels of a group].
  const isSplitAt = (axis: number): boolean =>
    [...split.slice(0, axis), split[axis]! * split[axis + 1]!, ...split.slice(axis + 2)].join() === shape.join()
  if (order === '0,2,1,3,4' && isSplitAt(1)) return { source, groups: split[1]!, isNhwc: false }
  return order === '0,1,2,4,3' && isSplitAt(3) ? { source, groups: split[3]!, isNhwc: true } : null
}

/** Joins each ChannelShuffle with the Concat before it and the Split or Slices behind it. */
export function joinShuffles(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  for (const node of graph.nodes) {
    if (node.op !== 'ChannelShuffle') continue
    const concat = index.soleMaker(node.inputs[0]!, node)
    const isJoined =
      concat?.op === 'Concat' &&
      concatenated(index.view(concat)).axis === 1 &&
      concat.inputs.every((input) => !index.constant(input))
    const { names, readers } = partsOf(index, node.outputs[0]!)
    for (const reader of readers) replaced.set(reader, [])
    replaced.set(node, [changed(node, { inputs: isJoined ? concat.inputs : node.inputs, outputs: names })])
  }
  return applyChanges(graph, { replaced })
}

/** The parts into which a Split, or adjacent Slices, cut the channels of `value`; else the value itself. */
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
  const cuts = readers
    .map((reader) => ({ reader, start: channelStart(index, reader), size: index.shape(reader.outputs[0]!)[1]! }))
    .sort((a, b) => a.start - b.start)
  let end = 0
  for (const { start, size } of cuts) {
    if (start !== end) return whole
    end += size
  }
  return end === index.shape(value)[1] ? { names: cuts.map(({ reader }) => reader.outputs[0]!), readers } : whole
}

/** The first channel of a Slice of channels with step 1; -1 for any other Slice. */
function channelStart(index: GraphIndex, slice: Node): number {
  const { starts, steps } = resolveSlice(index.view(slice))
  const [from, to] = [index.shape(slice.inputs[0]!), index.shape(slice.outputs[0]!)]
  const isOfChannels = from.every((size, axis) => axis === 1 || size === to[axis]) && steps.every((step) => step === 1)
  return isOfChannels ? starts[1]! : -1
}
