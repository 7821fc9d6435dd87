/**
 * Which tensors and layers become 8 bits. A layer is a convolution, a dense layer or a matrix product with constant weights,
 * an addition, a pool or a concatenation; a Relu or Clip behind it is part of it, because the 8-bit range ends where the
 * activation does. Branches on a 1×1 map (squeeze-excite) stay float: they cost nothing and lose most.
 */
import { boundsOfClip, type Bounds } from './bounds.js'
import type { Graph, Node } from '../model/graph.js'
import { GraphIndex } from '../model/graph-index.js'

export interface Layer {
  readonly node: Node
  /** The activation that ends it, or null. */
  readonly activation: Node | null
  /** What the activation bounds the output to. */
  readonly bounds: Bounds | null
  /** Names of the tensors that enter it in 8 bits. */
  readonly inputs: readonly string[]
  readonly output: string
  /** The weights' name, for layers that have some. */
  readonly weights: string | null
  readonly bias: string | null
}

const weighted = new Set(['Conv', 'Gemm', 'MatMul'])
const plain = new Set(['Add', 'GlobalAveragePool', 'AveragePool', 'MaxPool', 'Concat', 'ReduceMean'])
/** Operators that move 8-bit numbers unchanged: their output has the scale of their input. */
const movements = new Set(['Flatten', 'Reshape', 'Squeeze', 'Transpose', 'Unsqueeze', 'Identity', 'MaxPool'])

/** The layers of a graph in order. */
export function layersOf(graph: Graph): readonly Layer[] {
  const index = GraphIndex.of(graph)
  return graph.nodes.flatMap((node) => {
    const isWeighted = weighted.has(node.op) && isConstant(graph, node.inputs[1])
    if (!isWeighted && !(plain.has(node.op) && node.inputs.every((name) => !graph.constants.has(name)))) return []
    if (isWeighted && isOnOnePlace(index, node)) return []
    const next = index.onlyReader(node.outputs[0]!)
    const bounds = next ? boundsOfClip(index, next) : null
    const activation = bounds ? next! : null
    return [
      {
        node,
        activation,
        bounds,
        inputs: isWeighted ? [node.inputs[0]!] : [...node.inputs],
        output: (activation ?? node).outputs[0]!,
        weights: isWeighted ? node.inputs[1]! : null,
        bias: isWeighted && isConstant(graph, node.inputs[2]) ? node.inputs[2]! : null,
      },
    ]
  })
}

function isConstant(graph: Graph, name: string | undefined): boolean {
  return name !== undefined && graph.constants.get(name)?.type === 'float32'
}

/** A convolution of a 1×1 map that is not the end of the network: a squeeze-excite branch. */
function isOnOnePlace(index: GraphIndex, node: Node): boolean {
  const [, , height = 0, width = 0] = index.shape(node.inputs[0]!)
  if (node.op !== 'Conv' || height * width !== 1) return false
  return reaches(index, node.outputs[0]!, 'Mul')
}

/** Whether a product lies behind a value within a few nodes. */
function reaches(index: GraphIndex, value: string, op: string, steps = 8): boolean {
  if (steps === 0) return false
  return index.readers(value).some((node) => node.op === op || reaches(index, node.outputs[0]!, op, steps - 1))
}

/** The tensor whose 8-bit numbers a value holds: the value itself, or what movements made it from. */
export function sourceOf(index: GraphIndex, value: string): string {
  for (let name = value; ; ) {
    const maker = index.maker(name)
    if (!maker || !movements.has(maker.op)) return name
    name = maker.inputs[0]!
  }
}
