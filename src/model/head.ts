/**
 * The head of a classifier, for `gapcam model info`: global average pooling or a flattened map, and the number of
 * parameters that each of them needs. (metadata/heat-head.ts finds the head for heat maps and is stricter.)
 */
import { elementCount } from '../tensor.js'
import type { Graph, Node } from './graph.js'

/** What `headOf` finds. */
export interface Head {
  /** 'gap': a mean over the map feeds the classifier. 'flatten': every place of the map has weights. */
  readonly kind: 'gap' | 'flatten' | 'other'
  /** Weights and biases of the classifier. */
  readonly parameters: number | null
  /** The parameters that the other kind of head would need for the same map. */
  readonly otherKindParameters: number | null
}

/** The shape of a value or constant, or null where it is not known completely. */
export function shapeIn(graph: Graph, name: string | undefined): readonly number[] | null {
  const shape = name === undefined ? undefined : (graph.constants.get(name)?.shape ?? graph.values.get(name)?.shape)
  return shape?.every((size): size is number => typeof size === 'number') ? shape : null
}

/** Finds the last node with weights and the map before it. The graph must be prepared. */
export function headOf(graph: Graph): Head {
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  const classifier = graph.nodes.findLast(({ op }) => op === 'Gemm' || op === 'MatMul' || op === 'Conv')
  if (!classifier) return { kind: 'other', parameters: null, otherKindParameters: null }
  const parameters = classifier.inputs
    .slice(1)
    .reduce((sum, name) => sum + elementCount(shapeIn(graph, name) ?? [0]), 0)
  const classes = shapeIn(graph, classifier.outputs[0])?.[1] ?? 0
  const source = mapBefore(graph, makers, classifier)
  if (!source) return { kind: 'other', parameters, otherKindParameters: null }
  const [, channels = 0, height = 0, width = 0] = source.shape
  const other = source.kind === 'gap' ? channels * height * width * classes + classes : channels * classes + classes
  return { kind: source.kind, parameters, otherKindParameters: other }
}

/** The feature map that is pooled or flattened for the classifier. */
function mapBefore(
  graph: Graph,
  makers: ReadonlyMap<string, Node>,
  classifier: Node,
): { kind: 'gap' | 'flatten'; shape: readonly number[] } | null {
  // As in SqueezeNet, a convolution makes the classes, and GAP follows it.
  const after = graph.nodes.find((node) => isGap(node) && reaches(makers, node.inputs[0]!, classifier))
  if (after) return { kind: 'gap', shape: shapeIn(graph, classifier.inputs[0]) ?? [] }
  let name = classifier.inputs[0]!
  for (let node = makers.get(name); node; node = makers.get(name)) {
    const shape = shapeIn(graph, node.inputs[0])
    if (isGap(node)) return { kind: 'gap', shape: shape ?? [] }
    const flattens = ['Flatten', 'Reshape'].includes(node.op) && shape?.length === 4
    if (flattens && shape[2]! * shape[3]! > 1) return { kind: 'flatten', shape }
    if (!headOps.has(node.op)) return null
    name = node.inputs[0]!
  }
  return null
}

/** Operators between the classifier and the pooled or flattened map. */
const headOps = new Set([
  'Flatten',
  'Reshape',
  'Squeeze',
  'Dropout',
  'Identity',
  'Relu',
  'HardSwish',
  'Clip',
  'Gemm',
  'Conv',
  'QuantizeLinear',
  'DequantizeLinear',
])

const isGap = ({ op }: Node): boolean => op === 'GlobalAveragePool' || op === 'ReduceMean'

/** Whether a value is the result of `target`, with nothing but activations between them. */
function reaches(makers: ReadonlyMap<string, Node>, value: string, target: Node): boolean {
  for (let node = makers.get(value); node; node = makers.get(node.inputs[0]!)) {
    if (node === target) return true
    if (!['Relu', 'Clip', 'Identity', 'Dropout', 'QuantizeLinear', 'DequantizeLinear'].includes(node.op)) return false
  }
  return false
}
