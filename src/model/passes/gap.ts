/**
 * Global average pooling and the convolution before it. Fused, the mean is computed while the map is written, and the map
 * is stored only where another node reads it. Commuted, a 1×1 convolution runs on the mean instead of on every pixel:
 * both are linear, so the order does not matter unless an activation stands between them.
 */
import type { Graph, Node, Value } from '../graph.js'
import { concatenated } from '../shapes/movement.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges, changed } from './changes.js'
import { isPointwise } from './weighted.js'

/** Turns Conv (1×1, stride 1, no padding) → GAP into GAP → Conv. */
export function commuteGap(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const values: Value[] = []
  for (const gap of graph.nodes) {
    if (gap.op !== 'GlobalAveragePool') continue
    const conv = index.soleMaker(gap.inputs[0]!, gap)
    if (conv?.op !== 'Conv' || !isPointwise(index, conv)) continue
    const pooled = `${gap.outputs[0]!}.mean`
    const [n = 1, c = 1] = index.shape(conv.inputs[0]!)
    values.push({ name: pooled, type: 'float32', shape: [n, c, 1, 1] })
    replaced.set(conv, [changed(gap, { inputs: [conv.inputs[0]!], outputs: [pooled] })])
    replaced.set(gap, [changed(conv, { inputs: [pooled, ...conv.inputs.slice(1)], outputs: gap.outputs })])
  }
  return applyChanges(graph, { replaced, values })
}

/** Turns Conv → GAP into a Conv with the mean as its second output. Behind a Concat, each convolution gives a part. */
export function fuseGap(graph: Graph): Graph {
  return fuseEach(splitGaps(graph))
}

function fuseEach(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  for (const gap of graph.nodes) {
    if (gap.op !== 'GlobalAveragePool') continue
    const map = gap.inputs[0]!
    const conv = index.maker(map)
    if (conv?.op !== 'Conv' || conv.outputs.length > 1 || replaced.has(conv)) continue
    const isOnlyPooled = index.readers(map).length === 1 && !index.isOutput(map)
    replaced.set(gap, [])
    replaced.set(conv, [changed(conv, { outputs: [isOnlyPooled ? '' : map, gap.outputs[0]!] })])
  }
  return applyChanges(graph, { replaced })
}

/** Turns a GAP of a Concat of convolutions into a Concat of the means. */
function splitGaps(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const values: Value[] = []
  for (const gap of graph.nodes) {
    const concat = gap.op === 'GlobalAveragePool' ? index.maker(gap.inputs[0]!) : undefined
    if (concat?.op !== 'Concat' || concatenated(index.view(concat)).axis !== 1) continue
    if (!concat.inputs.every((input) => index.maker(input)?.op === 'Conv' && index.maker(input)!.outputs.length === 1))
      continue
    const means = concat.inputs.map((input, i): Value & { shape: readonly number[] } => ({
      name: `${gap.outputs[0]!}.${i}`,
      type: 'float32',
      shape: [...index.shape(input).slice(0, 2), 1, 1],
    }))
    values.push(...means)
    replaced.set(gap, [
      ...means.map(({ name }, i) =>
        changed({ ...gap, name: `${gap.name}.${i}` }, { inputs: [concat.inputs[i]!], outputs: [name] }),
      ),
      { ...concat, name: gap.name, inputs: means.map(({ name }) => name), outputs: gap.outputs },
    ])
  }
  return applyChanges(graph, { replaced, values })
}
