/**
 * Expands onnxruntime's own operators (domain com.microsoft), which its optimizer leaves in the models that it saves,
 * into ONNX's operators. A use that is not covered stays as it is, and the native engine cannot serve the model.
 */
import { floatConstant, intAttribute, madeNode, type Constant, type Graph, type Node } from './graph.js'

/** The nodes that replace a node; it adds the constants that they need. Null where the use is not covered. */
type Expansion = (node: Node, constants: Map<string, Constant>) => readonly Node[] | null

/** The graph with ONNX's operators where an expansion is known. */
export function expandContrib(graph: Graph): Graph {
  if (!graph.nodes.some(({ domain }) => domain === 'com.microsoft')) return graph
  const constants = new Map(graph.constants)
  const nodes = graph.nodes.flatMap(
    (node) => (node.domain === 'com.microsoft' ? expansions[node.op]?.(node, constants) : null) ?? [node],
  )
  return { ...graph, nodes, constants }
}

/** A node of the expansion of `of`. The last one keeps the name of `of`. */
const made = (
  of: Node,
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: Node['attributes'] = {},
): Node => madeNode(op, { name: output === of.outputs[0] ? of.name : `${of.name} ${op}`, inputs, output, attributes })

/** Adds a constant number and returns its name. */
function scalar(constants: Map<string, Constant>, name: string, value: number): string {
  constants.set(name, floatConstant([], Float32Array.of(value)))
  return name
}

/** activation(conv(x) + z). */
const fusedConv: Expansion = (node, constants) => {
  const [x = '', weights = '', bias = '', z = ''] = node.inputs
  const { activation, activation_params: params, ...window } = node.attributes
  const [y = ''] = node.outputs
  if (activation?.kind !== 'string') return null
  const last = activationNode(node, activation.value, params?.kind === 'floats' ? params.value : [], constants)
  if (!last) return null
  const [product, sum] = [`${y}.product`, `${y}.sum`]
  const inputs = bias === '' ? [x, weights] : [x, weights, bias]
  return [
    made(node, 'Conv', inputs, product, window),
    ...(z === '' ? [] : [made(node, 'Add', [product, z], sum)]),
    last(z === '' ? product : sum),
  ]
}

/** Makes the activation of a FusedConv. `params` are in the order of the activation's attributes. */
function activationNode(
  node: Node,
  op: string,
  params: readonly number[],
  constants: Map<string, Constant>,
): ((x: string) => Node) | null {
  const [y = ''] = node.outputs
  const floats = (...names: readonly string[]): Node['attributes'] =>
    Object.fromEntries(names.map((name, i) => [name, { kind: 'float', value: params[i] ?? 0 }]))
  switch (op) {
    case 'Relu':
    case 'Tanh':
    case 'Sigmoid':
      return (x) => made(node, op, [x], y)
    case 'LeakyRelu':
      return (x) => made(node, op, [x], y, floats('alpha'))
    case 'HardSigmoid':
      return (x) => made(node, op, [x], y, floats('alpha', 'beta'))
    case 'Clip':
      return (x) =>
        made(
          node,
          op,
          [
            x,
            scalar(constants, `${y}.least`, params[0] ?? -Infinity),
            scalar(constants, `${y}.most`, params[1] ?? Infinity),
          ],
          y,
        )
    default:
      return null
  }
}

/** Gelu of x, or of x + bias. */
const gelu =
  (approximate: 'none' | 'tanh'): Expansion =>
  (node) => {
    const [x = '', bias = ''] = node.inputs
    const [y = ''] = node.outputs
    const sum = `${y}.sum`
    const last = made(node, 'Gelu', [bias === '' ? x : sum], y, { approximate: { kind: 'string', value: approximate } })
    return bias === '' ? [last] : [made(node, 'Add', [x, bias], sum), last]
  }

/** x · sigmoid(alpha x). */
const quickGelu: Expansion = (node, constants) => {
  const { alpha } = node.attributes
  const [x = ''] = node.inputs
  const [y = ''] = node.outputs
  const factor = scalar(constants, `${y}.alpha`, alpha?.kind === 'float' ? alpha.value : 1.702)
  const [scaled, gate] = [`${y}.scaled`, `${y}.gate`]
  return [
    made(node, 'Mul', [x, factor], scaled),
    made(node, 'Sigmoid', [scaled], gate),
    made(node, 'Mul', [x, gate], y),
  ]
}

/** Layer norm of x + skip + bias. The sum may be an output too. */
const skipLayerNormalization: Expansion = (node) => {
  const [x = '', skip = '', gamma = '', beta = '', bias = ''] = node.inputs
  const [y = '', mean = '', deviation = '', total = ''] = node.outputs
  if (mean !== '' || deviation !== '') return null
  const sum = total === '' ? `${y}.sum` : total
  const inner = `${y}.inner`
  const epsilon = node.attributes['epsilon'] ?? ({ kind: 'float', value: 1e-12 } as const)
  return [
    made(node, 'Add', [x, skip], bias === '' ? sum : inner),
    ...(bias === '' ? [] : [made(node, 'Add', [inner, bias], sum)]),
    made(node, 'LayerNormalization', beta === '' ? [sum, gamma] : [sum, gamma, beta], y, {
      epsilon,
      axis: { kind: 'int', value: -1 },
    }),
  ]
}

/** alpha · a · b. Transposed operands are not covered. */
const fusedMatMul: Expansion = (node, constants) => {
  if (['transA', 'transB', 'transBatchA', 'transBatchB'].some((name) => intAttribute(node, name, 0) !== 0)) return null
  const { alpha } = node.attributes
  const [y = ''] = node.outputs
  const product = `${y}.product`
  return [
    made(node, 'MatMul', node.inputs, product),
    made(node, 'Mul', [product, scalar(constants, `${y}.alpha`, alpha?.kind === 'float' ? alpha.value : 1)], y),
  ]
}

const expansions: Readonly<Record<string, Expansion>> = {
  FusedConv: fusedConv,
  Gelu: gelu('none'),
  BiasGelu: gelu('none'),
  FastGelu: gelu('tanh'),
  QuickGelu: quickGelu,
  SkipLayerNormalization: skipLayerNormalization,
  FusedMatMul: fusedMatMul,
}
