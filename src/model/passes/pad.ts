/** A Pad with zeros in front of a convolution, or of an average that counts padding, becomes that node's own pads. */
import type { Graph, Node } from '../graph.js'
import { resolvePad } from '../shapes/movement.js'
import { resolveWindow } from '../shapes/window.js'
import { applyChanges, changed, GraphIndex } from './rewrite.js'

export function fusePads(graph: Graph): Graph {
  const index = new GraphIndex(graph)
  const replaced = new Map<Node, readonly Node[]>()
  for (const node of graph.nodes) {
    const pad = node.op === 'Conv' || node.op === 'AveragePool' ? index.maker(node.inputs[0]!) : undefined
    const amounts = pad?.op === 'Pad' ? spatialPads(index, pad) : null
    if (!pad || !amounts || replaced.has(pad)) continue
    const own = ownPads(index, node)
    // An average over padding of its own that does not count cannot take in zeros that do.
    if (node.op === 'AveragePool' && (own.some((p) => p > 0) || index.view(node).int('ceil_mode', 0) === 1)) continue
    const pads = own.map((p, i) => p + amounts[i]!)
    replaced.set(node, [changed(node, {
      inputs: [pad.inputs[0]!, ...node.inputs.slice(1)],
      attributes: {
        pads: { kind: 'ints', value: pads }, auto_pad: { kind: 'string', value: 'NOTSET' },
        ...(node.op === 'AveragePool' ? { count_include_pad: { kind: 'int', value: 1 } } : {}),
      },
    })])
  }
  return applyChanges(graph, { replaced })
}

/** [top, left, bottom, right] of a Pad that adds zeros to H and W only; null for any other. */
function spatialPads(index: GraphIndex, pad: Node): readonly number[] | null {
  const view = index.view(pad)
  if (view.text('mode', 'constant') !== 'constant' || view.shape(0).length !== 4) return null
  const value = view.optional(2) ? index.scalar(pad.inputs[2]) : view.float('value', 0)
  const areConstant = !view.optional(1) || view.input(1).constant !== null
  if (value !== 0 || !areConstant || (view.optional(3) && !view.input(3).constant)) return null
  const { before, after } = resolvePad(view)
  const isSpatial = [before[0], before[1], after[0], after[1]].every((p) => p === 0) && [...before, ...after].every((p) => p >= 0)
  return isSpatial ? [before[2]!, before[3]!, after[2]!, after[3]!] : null
}

function ownPads(index: GraphIndex, node: Node): readonly number[] {
  const view = index.view(node)
  const [, , h = 0, w = 0] = view.shape(0)
  const [, , kh = 0, kw = 0] = node.op === 'Conv' ? view.shape(1) : [0, 0, ...(view.ints('kernel_shape') ?? [])]
  return resolveWindow(view, [h, w], [kh, kw]).pads
}
