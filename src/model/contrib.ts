/**
 * Operators of onnxruntime's own (domain com.microsoft), which its optimizer leaves in the models that it saves, spelled
 * out in ONNX's. Where a use of one is not covered here, the node stays, and is a reason against the native engine.
 */
import { floatConstant, intAttribute, type Attribute, type Constant, type Graph, type Node } from './graph.js'

/** What a node becomes, and the constants that it needs; null where that is not known. */
type Expansion = (node: Node, constants: Map<string, Constant>) => readonly Node[] | null

export function expandContrib(graph: Graph): Graph {
  if (!graph.nodes.some(({ domain }) => domain === 'com.microsoft')) return graph
  const constants = new Map(graph.constants)
  const nodes = graph.nodes.flatMap(
    (node) => (node.domain === 'com.microsoft' ? expansions[node.op]?.(node, constants) : null) ?? [node],
  )
  return { ...graph, nodes, constants }
}

const made = (
  of: Node,
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, Attribute>> = {},
): Node => ({
  name: output === of.outputs[0] ? of.name : `${of.name} ${op}`,
  op,
  domain: '',
  attributes,
  inputs,
  outputs: [output],
})

function scalar(constants: Map<string, Constant>, name: string, value: number): string {
  constants.set(name, floatConstant([], Float32Array.of(value)))
  return name
}

/** act(conv(x) + z), with the activation's parameters in its own order. */
const fusedConv: Expansion = (node, constants) => {
  const [x = '', weights = '', bias = '', z = ''] = node.inputs
  const { activation, activation_params: params, ...window } = node.attributes
  const [y = ''] = node.outputs
  const act =
    activation?.kind === 'string'
      ? activationOf(node, activation.value, params?.kind === 'floats' ? params.value : [], constants)
      : null
  if (!act) return null
  const [product, sum] = [`${y}.product`, `${y}.sum`]
  const inputs = bias === '' ? [x, weights] : [x, weights, bias]
  return [
    made(node, 'Conv', inputs, product, window),
    ...(z === '' ? [] : [made(node, 'Add', [product, z], sum)]),
    act(z === '' ? product : sum),
  ]
}

function activationOf(
  node: Node,
  op: string,
  params: readonly number[],
  constants: Map<string, Constant>,
): ((x: string) => Node) | null {
  const [y = ''] = node.outputs
  const floats = (...names: readonly string[]): Readonly<Record<string, Attribute>> =>
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

/** Gelu of a sum with a bias, where there is one. */
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

/** Layer norm of x + skip + bias; the sum is an output too. */
const skipLayerNormalization: Expansion = (node) => {
  const [x = '', skip = '', gamma = '', beta = '', bias = ''] = node.inputs
  const [y = '', mean = '', deviation = '', total = ''] = node.outputs
  if (mean !== '' || deviation !== '') return null
  const sum = total === '' ? `${y}.sum` : total
  const inner = `${y}.inner`
  const epsilon: Attribute = node.attributes['epsilon'] ?? { kind: 'float', value: 1e-12 }
  return [
    made(node, 'Add', [x, skip], bias === '' ? sum : inner),
    ...(bias === '' ? [] : [made(node, 'Add', [inner, bias], sum)]),
    made(node, 'LayerNormalization', beta === '' ? [sum, gamma] : [sum, gamma, beta], y, {
      epsilon,
      axis: { kind: 'int', value: -1 },
    }),
  ]
}

/** alpha · a · b; matrices that it turns around are not covered. */
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
