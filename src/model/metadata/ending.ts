/** Reads from the end of a graph which output holds the scores, whether they are probabilities, and how to dequantise them. */
import { numbersOf, type Graph, type Node, type Value } from '../graph.js'
import type { TensorType } from '../../tensor.js'
import type { Quantization, ScoreActivation } from '../../decision/prediction.js'

/** Types in which a network gives scores; labels and counts come in others. */
const scoreTypes: readonly (TensorType | undefined)[] = ['float32', 'float16', 'float64', 'uint8', 'int8']

/** The output that holds one number a class: the first that may, a vector before a map; else the first of all. */
export function scoresOutput({ outputs }: Graph): Value | undefined {
  const scores = outputs.filter(
    ({ type, shape }) => scoreTypes.includes(type) && !shape?.slice(1).every((size) => size === 1),
  )
  return scores.find(({ shape }) => shape?.length === 2) ?? scores[0] ?? outputs[0]
}

export interface Ending {
  /** 'none' where the graph ends in Softmax or Sigmoid itself. */
  readonly scoreActivation: ScoreActivation
  readonly quantization: Quantization | null
}

/** Walks back from an output through what keeps the order of scores. */
export function endingOf(graph: Graph, output: string): Ending {
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  let node = makers.get(output)
  const quantization = node?.op === 'QuantizeLinear' ? quantizationOf(graph, node) : null
  while (
    node &&
    ['QuantizeLinear', 'DequantizeLinear', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Identity', 'Cast'].includes(
      node.op,
    )
  ) {
    node = makers.get(node.inputs[0]!)
  }
  return { scoreActivation: node?.op === 'Softmax' || node?.op === 'Sigmoid' ? 'none' : 'softmax', quantization }
}

function quantizationOf(graph: Graph, node: Node): Quantization | null {
  const scale = graph.constants.get(node.inputs[1] ?? '')
  const zeroPoint = graph.constants.get(node.inputs[2] ?? '')
  if (!scale) return null
  return { scale: numbersOf(scale)[0] ?? 1, zeroPoint: zeroPoint ? (numbersOf(zeroPoint)[0] ?? 0) : 0 }
}
