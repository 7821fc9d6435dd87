/**
 * Swaps pools with the node before them where that is cheaper: an average moves in front of a 1×1 convolution, which
 * then computes fewer pixels; bounds move in front of a maximum, where the convolution absorbs them.
 */
import type { Graph, Node, Value } from '../graph.js'
import { resolveWindow } from '../shapes/window.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges, changed } from './changes.js'
import { isFoldable, isPointwise } from './weighted.js'

/** Swaps pools with their neighbours where that is cheaper. */
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
    // The value between them has the sizes of the result of the new first node.
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

/** Whether bounds stand behind a maximum of a convolution's result. The bounded maximum is the maximum of the bounded. */
function isBound(index: GraphIndex, clip: Node, pool: Node): boolean {
  if (!isClip(clip) || pool.op !== 'MaxPool' || pool.outputs.length > 1) return false
  return index.soleMaker(pool.inputs[0]!, pool)?.op === 'Conv'
}

/** Whether an average without padding gives fewer places and stands behind a 1×1 convolution. */
function isAverage(index: GraphIndex, pool: Node, conv: Node): boolean {
  if (pool.op !== 'AveragePool' || conv.op !== 'Conv' || !isFoldable(index, conv) || !isPointwise(index, conv))
    return false
  const view = index.view(pool)
  const [, , h = 0, w = 0] = view.shape(0)
  const { pads, output } = resolveWindow(view, [h, w])
  return pads.every((pad) => pad === 0) && view.int('ceil_mode', 0) === 0 && output[0] * output[1] < h * w
}
