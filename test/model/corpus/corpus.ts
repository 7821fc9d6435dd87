/**
 * Graphs as exporters write them, each with the steps that it must become. `test/model/corpus.test.ts` compiles each of
 * them, compares the steps, and compares the results with those of onnxruntime.
 */
import type { ModelSpec } from '../../onnx-builder.js'
import { activations } from './activations.js'
import { batchNorms } from './batch-norms.js'
import { blocks } from './blocks.js'
import { channelsLast } from './channels-last.js'
import { heads } from './heads.js'
import { pads } from './pads.js'
import { products } from './products.js'
import { ranks } from './ranks.js'
import { sums } from './sums.js'
import { GraphBuilder, type CorpusGraph } from './graph-builder.js'

export interface CorpusEntry extends Pick<CorpusGraph, 'from' | 'name' | 'steps'> {
  readonly model: ModelSpec
}

const graphs: readonly CorpusGraph[] = [
  ...batchNorms,
  ...activations,
  ...pads,
  ...heads,
  ...sums,
  ...channelsLast,
  ...blocks,
  ...ranks,
  ...products,
]

/** The place in the list seeds the weights. */
export const corpus: readonly CorpusEntry[] = graphs.map(({ from, name, steps, build, options }, i) => {
  const { isNhwc = false, opset = 17 } = options
  const input = isNhwc ? [1, 12, 10, 3] : [1, 6, 10, 10]
  const g = new GraphBuilder(i + 1, input, isNhwc ? 3 : 6)
  const output = build(g)
  return {
    from,
    name,
    steps,
    model: { nodes: g.nodes, weights: g.weights, inputs: { input }, outputs: { [output]: null }, opset },
  }
})
