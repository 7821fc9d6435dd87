/**
 * Recognizes activation functions that exporters spell out: HardSwish and HardSigmoid as chains of Add, Clip, Mul and
 * Div; SiLU as x times its sigmoid; both with Exp; Gelu with Erf or Tanh. The clip pass must run before.
 */
import { activationOf } from '../activation.js'
import { madeNode, type Graph, type Node } from '../graph.js'
import { unlessUnsupported } from './attempt.js'
import { geluOf } from './gelu.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges } from './changes.js'
import { isNear, productFactors, scaledBy, withScalar } from './scalar.js'

/** Replaces chains by the activation that they compute. */
export function recognizePatterns(graph: Graph): Graph {
  // HardSwish is recognized from HardSigmoid, and SiLU from Sigmoid, so those come first.
  return [sigmoidOf, hardSigmoidOf, productOf, gelu].reduce(
    (current, recognize) => rewriteEach(current, recognize),
    graph,
  )
}

/** The node that replaces a recognized chain, or null. */
type Recognizer = (index: GraphIndex, node: Node) => Node | null

function rewriteEach(graph: Graph, recognize: Recognizer): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  for (const node of graph.nodes) {
    const found = node.domain === '' ? recognize(index, node) : null
    if (found) replaced.set(node, [found])
  }
  return applyChanges(graph, { replaced })
}

/** A function of `input` in the place of `node`. */
function functionNode({ name, outputs }: Node, op: string, input: string, attributes: Node['attributes'] = {}): Node {
  const node = madeNode(op, { name, inputs: [input], output: outputs[0]!, attributes })
  return op === 'SiLU' ? { ...node, domain: 'gapcam' } : node
}

/** Sigmoid is 1 / (1 + exp(-x)), SiLU is x / (1 + exp(-x)). */
function sigmoidOf(index: GraphIndex, node: Node): Node | null {
  const isQuotient = node.op === 'Div'
  if (!isQuotient && node.op !== 'Reciprocal') return null
  const sum = withScalar(index, index.soleMaker(node.inputs[isQuotient ? 1 : 0]!, node), 'Add')
  const exp = sum?.scalar === 1 ? index.maker(sum.value) : undefined
  const x = exp?.op === 'Exp' ? negated(index, index.maker(exp.inputs[0]!)) : null
  if (x === null || index.shape(x).join() !== index.shape(node.outputs[0]!).join()) return null
  if (isQuotient && node.inputs[0] === x) return functionNode(node, 'SiLU', x)
  return !isQuotient || index.scalar(node.inputs[0]) === 1 ? functionNode(node, 'Sigmoid', x) : null
}

/** x where the node computes -x, else null. */
function negated(index: GraphIndex, node: Node | undefined): string | null {
  if (node?.op === 'Neg') return node.inputs[0]!
  const scaled = scaledBy(index, node)
  return scaled?.scalar === -1 ? scaled.value : null
}

const sixth = { alpha: { kind: 'float', value: 1 / 6 }, beta: { kind: 'float', value: 0.5 } } as const

/** HardSigmoid is Clip(x + 3, 0, 6) / 6, or Clip(x / 6 + 1/2, 0, 1). */
function hardSigmoidOf(index: GraphIndex, node: Node): Node | null {
  const scaled = scaledBy(index, node)
  const source = scaled && isNear(scaled.scalar, 1 / 6) ? shiftedClip(index, index.soleMaker(scaled.value, node)) : null
  if (source !== null) return functionNode(node, 'HardSigmoid', source, sixth)
  const sum = isClip(index, node, 0, 1) ? withScalar(index, index.soleMaker(node.inputs[0]!, node), 'Add') : null
  const inner = sum && isNear(sum.scalar, 0.5) ? scaledBy(index, index.maker(sum.value)) : null
  return inner && isNear(inner.scalar, 1 / 6) ? functionNode(node, 'HardSigmoid', inner.value, sixth) : null
}

/** x where the node computes Clip(x + 3, 0, 6), else null. */
function shiftedClip(index: GraphIndex, clip: Node | undefined): string | null {
  if (!clip || !isClip(index, clip, 0, 6)) return null
  const shifted = withScalar(index, index.soleMaker(clip.inputs[0]!, clip), 'Add')
  return shifted?.scalar === 3 ? shifted.value : null
}

function isClip(index: GraphIndex, node: Node, low: number, high: number): boolean {
  const bounds = node.op === 'Clip' ? unlessUnsupported(() => activationOf(index.view(node))) : null
  return bounds?.a === low && bounds.b === high
}

/** HardSwish is x · HardSigmoid(x) or x · Clip(x + 3, 0, 6) / 6, SiLU is x · Sigmoid(x). */
function productOf(index: GraphIndex, node: Node): Node | null {
  const { values, scalar } = node.op === 'Mul' || node.op === 'Div' ? factorsOf(index, node) : { values: [], scalar: 1 }
  if (values.length !== 2) return null
  for (const [x, value] of [
    [values[0]!, values[1]!],
    [values[1]!, values[0]!],
  ] as const) {
    const gate = index.readers(value).length === 1 && !index.isOutput(value) ? index.maker(value) : undefined
    if (!gate) continue
    if (isNear(scalar, 1 / 6) && shiftedClip(index, gate) === x) return functionNode(node, 'HardSwish', x)
    if (scalar !== 1 || gate.inputs[0] !== x) continue
    if (gate.op === 'Sigmoid') return functionNode(node, 'SiLU', x)
    if (isHardSigmoid(index, gate)) return functionNode(node, 'HardSwish', x)
  }
  return null
}

/** The factors of a product, or of a product divided by a number. */
function factorsOf(index: GraphIndex, node: Node): ReturnType<typeof productFactors> {
  if (node.op === 'Mul') return productFactors(index, node, 2)
  const quotient = withScalar(index, node, 'Div')
  const product = quotient ? index.soleMaker(quotient.value, node) : undefined
  if (!quotient || product?.op !== 'Mul') return { values: [], scalar: 1 }
  const { values, scalar } = productFactors(index, product, 2)
  return { values, scalar: scalar / quotient.scalar }
}

function isHardSigmoid(index: GraphIndex, node: Node): boolean {
  if (node.op !== 'HardSigmoid') return false
  const view = index.view(node)
  return isNear(view.float('alpha', 0.2), 1 / 6) && view.float('beta', 0.5) === 0.5
}

function gelu(index: GraphIndex, node: Node): Node | null {
  const found = geluOf(index, node)
  return found && functionNode(node, 'Gelu', found.x, { approximate: { kind: 'string', value: found.approximate } })
}
