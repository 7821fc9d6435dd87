/**
 * Expands onnxruntime's own operators (domain com.microsoft), which its optimizer leaves in the models that it saves, and
 * operators on quantised integers into ONNX's operators on real numbers. A use that is not covered stays as it is, and the
 * native engine cannot serve the model.
 */
import { made, scalar, type Expansion, type ExpansionContext } from './expansion.js'
import { intAttribute, type Graph, type Node } from './graph.js'
import { expandDynamic } from './quantized/dynamic.js'
import { quantizedExpansions, standardQuantized } from './quantized/expansion.js'

/** The graph with ONNX's operators on real numbers where an expansion is known. */
export function expandContrib(given: Graph): Graph {
  const graph = expandDynamic(given)
  const constants = new Map(graph.constants)
  const context = { constants, opset: graph.opset }
  const expanded = graph.nodes.map((node) => expansionOf(node)?.(node, context) ?? node)
  if (expanded.every((node, i) => node === graph.nodes[i])) return graph
  return { ...graph, nodes: expanded.flat(), constants }
}

function expansionOf({ domain, op }: Node): Expansion | undefined {
  if (domain === 'com.microsoft') return expansions[op] ?? quantizedExpansions[op]
  return domain === '' && standardQuantized.has(op) ? quantizedExpansions[op] : undefined
}

/** activation(conv(x) + z). */
const fusedConv: Expansion = (node, context) => {
  const [x = '', weights = '', bias = '', z = ''] = node.inputs
  const { activation, activation_params: params, ...window } = node.attributes
  const [y = ''] = node.outputs
  if (activation?.kind !== 'string') return null
  const last = activationNode(node, activation.value, params?.kind === 'floats' ? params.value : [], context)
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
  context: ExpansionContext,
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
            scalar(context, `${y}.least`, params[0] ?? -Infinity),
            scalar(context, `${y}.most`, params[1] ?? Infinity),
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
const quickGelu: Expansion = (node, context) => {
  const { alpha } = node.attributes
  const [x = ''] = node.inputs
  const [y = ''] = node.outputs
  const factor = scalar(context, `${y}.alpha`, alpha?.kind === 'float' ? alpha.value : 1.702)
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
const fusedMatMul: Expansion = (node, context) => {
  if (['transA', 'transB', 'transBatchA', 'transBatchB'].some((name) => intAttribute(node, name, 0) !== 0)) return null
  const { alpha } = node.attributes
  const [y = ''] = node.outputs
  const product = `${y}.product`
  return [
    made(node, 'MatMul', node.inputs, product),
    made(node, 'Mul', [product, scalar(context, `${y}.alpha`, alpha?.kind === 'float' ? alpha.value : 1)], y),
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
