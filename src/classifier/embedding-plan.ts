/** Finds what of a network is the embedding of a picture. */
import { planHeat } from '../heat/plan.js'
import { expandContrib } from '../model/contrib.js'
import type { Graph, Node } from '../model/graph.js'
import { GraphIndex } from '../model/graph-index.js'
import { shapeIn } from '../model/head.js'
import type { Manifest } from '../model/metadata/schema.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import { prepareGraph } from '../model/prepare.js'
import type { InputSize } from '../tensor.js'
import type { EmbeddingFacts } from './embedding.js'

/** What is known of the model. */
export interface EmbeddingHints {
  readonly manifest: Manifest
  readonly inputSize: InputSize | undefined
  /** The value with one number for each class; null where the task is another one. */
  readonly scores: string | null
}

/**
 * The embedding, the first of these that there is: the value that the manifest names; the mean of the feature map that the
 * classifier averages; the vector that the last matrix takes; the mean of the widest feature map.
 */
export function planEmbedding(model: LoadedModel, { manifest, inputSize, scores }: EmbeddingHints): EmbeddingFacts {
  const { graph } = prepareGraph(expandContrib(model.graph), inputSize ? { inputSize } : {})
  const named = manifest.embedding?.output
  if (named !== undefined)
    return valueIn(graph, named) ?? { reason: `its manifest names ${named}, which is no value of a known size` }
  return (scores === null ? null : averaged(model, inputSize, scores, graph)) ?? widest(graph) ?? nothing
}

const nothing: EmbeddingFacts = {
  reason:
    'it has neither feature maps nor a last matrix; write embedding: { output: NAME, distance: 0.4 } in its manifest',
}

function valueIn(graph: Graph, name: string): EmbeddingFacts | null {
  const length = shapeIn(graph, name)?.reduce((product, size) => product * size, 1)
  return length ? { value: name, layout: null, length } : null
}

/** What a classifier's scores are made of. */
function averaged(
  model: LoadedModel,
  inputSize: InputSize | undefined,
  scores: string,
  graph: Graph,
): EmbeddingFacts | null {
  const plan = planHeat(model, inputSize, scores)
  if (!('reason' in plan)) {
    const { map, layout } = plan.head
    const shape = shapeIn(graph, map)
    if (shape?.length === 4) return { value: map, layout, length: shape[layout === 'nchw' ? 1 : 3]! }
  }
  const index = GraphIndex.of(graph)
  for (let node = index.maker(scores); node; node = index.maker(node.inputs[0]!)) {
    const isMatrix = node.op === 'Gemm' || node.op === 'MatMul'
    if (!isMatrix || !graph.constants.has(node.inputs[1] ?? '')) continue
    const vector = node.inputs[0]!
    const isInner = graph.values.get(vector)?.type === 'float32' && !graph.inputs.some(({ name }) => name === vector)
    const found = isInner ? valueIn(graph, vector) : null
    return found && 'value' in found && found.length === shapeIn(graph, vector)?.at(-1) ? found : null
  }
  return null
}

/** The mean of the feature map with the most channels; of several the last, behind its activation. */
function widest(graph: Graph): EmbeddingFacts | null {
  const index = GraphIndex.of(graph)
  const outputs = new Set(graph.outputs.map(({ name }) => name))
  let found: { value: string; layout: 'nchw'; length: number } | null = null
  for (const node of graph.nodes) {
    if (node.op !== 'Conv') continue
    const value = activated(index, node)
    const [batch, length, ...sides] = shapeIn(graph, value) ?? []
    const isMap = batch === 1 && sides.length === 2 && graph.values.get(value)?.type === 'float32'
    if (!isMap || !length || outputs.has(value)) continue
    if (length >= (found?.length ?? 0)) found = { value, layout: 'nchw', length }
  }
  return found
}

const activations = new Set(['Relu', 'Clip', 'HardSwish', 'LeakyRelu', 'PRelu'])

function activated(index: GraphIndex, { outputs: [output = ''] }: Node): string {
  const readers = index.readers(output)
  const [next] = readers
  return readers.length === 1 && next && activations.has(next.op) ? next.outputs[0]! : output
}
