/**
 * The feature maps of a network that a head is taught on: the map in front of the mean (what is there), and the last map of
 * about twice that resolution (finer detail). Both are found by the graph's structure. Of a network over clips it is the vector
 * that its last layer takes.
 */
import { planEmbedding } from '../classifier/embedding-plan.js'
import { GapcamError } from '../errors.js'
import { planHeat } from '../heat/plan.js'
import type { Graph } from '../model/graph.js'
import { shapeIn } from '../model/head.js'
import type { Manifest } from '../model/metadata/schema.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import { prepareGraph } from '../model/prepare.js'
import type { InputSize } from '../tensor.js'

/**
 * A feature map: a value of the file's graph with one picture, [1, channels, height, width] or channels last. A vector [1, n] is
 * one with its channels last and a single place.
 */
export interface FeatureMap {
  readonly name: string
  readonly layout: 'nchw' | 'nhwc'
  readonly channels: number
  readonly height: number
  readonly width: number
}

/** Where the features of a network come from. */
export interface Backbone {
  /** Prepared: shapes known, constants folded. */
  readonly graph: Graph
  readonly head: FeatureMap
  /** Null where no map has about twice the head's resolution. */
  readonly middle: FeatureMap | null
}

/**
 * Finds the maps. Throws MODEL_UNSUPPORTED for a network without a mean over a feature map.
 *
 *     const { head, middle } = findBackbone(await loadModel('efficientnet-lite0.onnx'), { height: 224, width: 224 })
 */
export function findBackbone(model: LoadedModel, inputSize: InputSize): Backbone {
  const plan = planHeat(model, inputSize)
  if ('reason' in plan)
    throw new GapcamError('MODEL_UNSUPPORTED', `model ${model.path} cannot be taught: ${plan.reason}`, {
      hint: 'Teaching needs a network that averages a feature map, such as EfficientNet, MobileNet or ResNet.',
    })
  const { graph } = prepareGraph(model.graph, { inputSize })
  const { map, layout } = plan.head
  const head = mapOf(graph, map, layout)
  if (!head) throw new GapcamError('MODEL_UNSUPPORTED', `model ${model.path}: the size of its feature map is unknown`)
  return { graph, head, middle: middleOf(graph, head) }
}

/** Finds the vector of a network over clips. Throws MODEL_UNSUPPORTED where it has none of real numbers. */
export function findClipBackbone(model: LoadedModel, manifest: Manifest): Backbone {
  const scores = manifest.output ?? model.graph.outputs[0]!.name
  const found = planEmbedding(model, { manifest, inputSize: undefined, scores })
  if ('reason' in found || found.layout !== null)
    throw new GapcamError(
      'MODEL_UNSUPPORTED',
      `model ${model.path} cannot be taught: no vector of real numbers lies in front of its last layer`,
      { hint: 'embedding: { output: NAME, distance: 0.4 } in its manifest names a value of the file to teach on.' },
    )
  const { graph } = prepareGraph(model.graph)
  const head: FeatureMap = { name: found.value, layout: 'nhwc', channels: found.length, height: 1, width: 1 }
  return { graph, head, middle: null }
}

function mapOf(graph: Graph, name: string, layout: 'nchw' | 'nhwc'): FeatureMap | null {
  const shape = shapeIn(graph, name)
  if (shape?.length !== 4 || shape[0] !== 1 || graph.values.get(name)?.type !== 'float32') return null
  const [, a = 0, b = 0, c = 0] = shape
  return layout === 'nchw'
    ? { name, layout, channels: a, height: b, width: c }
    : { name, layout, channels: c, height: a, width: b }
}

/** The last value in front of the head's map with about twice its height and width. */
function middleOf(graph: Graph, head: FeatureMap): FeatureMap | null {
  const isTwice = (size: number, of: number): boolean => size > 1.5 * of && size < 3 * of
  const end = graph.nodes.findIndex(({ outputs }) => outputs.includes(head.name))
  for (const node of graph.nodes.slice(0, end).toReversed()) {
    if (node.op === 'Pad') continue
    const map = mapOf(graph, node.outputs[0]!, head.layout)
    if (map && isTwice(map.height, head.height) && isTwice(map.width, head.width)) return map
  }
  return null
}
