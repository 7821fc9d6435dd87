/**
 * Relu, Clip, and Min and Max with a constant all limit x to bounds. Exporters write Relu6 and saturating additions as
 * chains of them. A chain becomes one Clip, or a Relu where it has no upper bound.
 */
import { activationOf } from '../activation.js'
import { floatConstant, type Constant, type Graph, type Node } from '../graph.js'
import { unlessUnsupported } from './attempt.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges } from './changes.js'

interface Bounds {
  readonly low: number
  readonly high: number
}

/** Joins each chain of bounds. */
export function mergeClips(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const constants = new Map<string, Constant>()
  for (const node of graph.nodes) {
    const found = boundsOf(index, node)
    if (!found || (isPlain(node) && !inner(index, node, found.source))) continue
    let { source, bounds } = found
    for (let next = inner(index, node, source); next; next = inner(index, next.node, source)) {
      source = next.source
      // clip(clip(x, a, b), c, d) has the inner bounds, limited to the outer ones.
      bounds = { low: within(next.bounds.low, bounds), high: within(next.bounds.high, bounds) }
    }
    replaced.set(node, [clipNode(node, source, bounds, constants)])
  }
  return applyChanges(graph, { replaced, constants })
}

const within = (value: number, { low, high }: Bounds): number => Math.min(Math.max(value, low), high)
const isPlain = ({ op }: Node): boolean => op === 'Relu' || op === 'Clip'

/** The clip that makes a value for `reader` alone. */
function inner(index: GraphIndex, reader: Node, value: string): { node: Node; source: string; bounds: Bounds } | null {
  const node = index.soleMaker(value, reader)
  const found = node ? boundsOf(index, node) : null
  return node && found ? { node, ...found } : null
}

/** The value that a node limits, and the bounds; null where it does something else. */
function boundsOf(index: GraphIndex, node: Node): { source: string; bounds: Bounds } | null {
  if (node.domain !== '') return null
  if (node.op === 'Relu') return { source: node.inputs[0]!, bounds: { low: 0, high: Infinity } }
  if (node.op === 'Clip') {
    const clip = unlessUnsupported(() => activationOf(index.view(node)))
    // Where low > high, ONNX gives the upper bound. Such a Clip is left as it is.
    return clip && clip.a <= clip.b ? { source: node.inputs[0]!, bounds: { low: clip.a, high: clip.b } } : null
  }
  if ((node.op !== 'Min' && node.op !== 'Max') || node.inputs.length !== 2) return null
  const at = node.inputs.findIndex((input) => index.scalar(input) !== undefined)
  const source = node.inputs[1 - at]
  if (at < 0 || source === undefined || index.shape(source).join() !== index.shape(node.outputs[0]!).join()) return null
  const bound = index.scalar(node.inputs[at])!
  return { source, bounds: node.op === 'Min' ? { low: -Infinity, high: bound } : { low: bound, high: Infinity } }
}

function clipNode(
  { name, outputs }: Node,
  source: string,
  { low, high }: Bounds,
  constants: Map<string, Constant>,
): Node {
  const base = { name, domain: '', attributes: {}, outputs }
  if (low === 0 && high === Infinity) return { ...base, op: 'Relu', inputs: [source] }
  const bound = (what: string, value: number): string => {
    constants.set(`${name}.${what}`, floatConstant([], Float32Array.of(value)))
    return `${name}.${what}`
  }
  return { ...base, op: 'Clip', inputs: [source, bound('low', low), bound('high', high)] }
}
