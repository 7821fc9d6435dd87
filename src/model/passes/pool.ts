/**
 * Pools and their neighbours in the cheaper order: an average before the 1×1 convolution that feeds it, which then has
 * fewer pixels to compute, and bounds before a maximum, where the convolution takes them in.
 */
import type { Graph, Node, Value } from '../graph.js'
import { resolveWindow } from '../shapes/window.js'
import { isFoldable } from './batch-norm.js'
import { isPointwise } from './gap.js'
import { applyChanges, changed, GraphIndex } from './changes.js'

export function commutePools(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const values: Value[] = []
  for (const second of graph.nodes) {
    const first = second.domain === '' ? index.soleMaker(second.inputs[0] ?? '', second) : undefined
    if (
      !first ||
      replaced.has(first) ||
      second.outputs.length > 1 ||
      !(isAverage(index, second, first) || isBound(index, second, first))
    )
      continue
    // The order changes, and the value between them has the sizes of what the new first one makes.
    const between = `${second.outputs[0]!}.first`
    const [n = 1, c = 1] = index.shape(first.inputs[0]!)
    const [, , h = 1, w = 1] = index.shape(isClip(second) ? first.inputs[0]! : second.outputs[0]!)
    values.push({ name: between, type: 'float32', shape: [n, c, h, w] })
    replaced.set(first, [
      changed(second, { inputs: [first.inputs[0]!, ...second.inputs.slice(1)], outputs: [between] }),
    ])
    replaced.set(second, [changed(first, { inputs: [between, ...first.inputs.slice(1)], outputs: second.outputs })])
  }
  return applyChanges(graph, { replaced, values })
}

const isClip = ({ op }: Node): boolean => op === 'Relu' || op === 'Clip'

/** Bounds behind a maximum over a convolution's result: the largest is bounded, or the bounded are compared. */
function isBound(index: GraphIndex, clip: Node, pool: Node): boolean {
  if (!isClip(clip) || pool.op !== 'MaxPool' || pool.outputs.length > 1) return false
  return index.soleMaker(pool.inputs[0]!, pool)?.op === 'Conv'
}

/** An average without padding over fewer places, behind a 1×1 convolution. */
function isAverage(index: GraphIndex, pool: Node, conv: Node): boolean {
  if (pool.op !== 'AveragePool' || conv.op !== 'Conv' || !isFoldable(index, conv) || !isPointwise(index, conv))
    return false
  const view = index.view(pool)
  const [, , h = 0, w = 0] = view.shape(0)
  const { pads, output } = resolveWindow(view, [h, w])
  return pads.every((pad) => pad === 0) && view.int('ceil_mode', 0) === 0 && output[0] * output[1] < h * w
}
