/**
 * Recognizes the activation functions that exporters spell out: HardSwish and HardSigmoid as chains of Add, Clip, Mul and
 * Div, SiLU as x times its sigmoid, both by Exp, Gelu by Erf or Tanh. Chains of clips are one Clip by now.
 */
import { activationOf } from '../operators/elementwise.js'
import type { Attribute, Graph, Node } from '../graph.js'
import { unlessUnsupported } from './attempt.js'
import { geluOf } from './gelu.js'
import { applyChanges, GraphIndex } from './changes.js'
import { isNear, productFactors, scaledBy, withScalar } from './scalar.js'

export function recognizePatterns(graph: Graph): Graph {
  // Gelu's chain holds factors that the others would take for theirs; HardSwish needs HardSigmoid, and SiLU Sigmoid, first.
  return [sigmoidOf, hardSigmoidOf, productOf, gelu].reduce(
    (current, recognize) => rewriteEach(current, recognize),
    graph,
  )
}

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

function madeOf(node: Node, op: string, input: string, attributes: Readonly<Record<string, Attribute>> = {}): Node {
  return {
    name: node.name,
    op,
    domain: op === 'SiLU' ? 'gapcam' : '',
    attributes,
    inputs: [input],
    outputs: node.outputs,
  }
}

/** 1 / (1 + exp(-x)) is Sigmoid, x / (1 + exp(-x)) is SiLU. */
function sigmoidOf(index: GraphIndex, node: Node): Node | null {
  const isQuotient = node.op === 'Div'
  if (!isQuotient && node.op !== 'Reciprocal') return null
  const sum = withScalar(index, index.soleMaker(node.inputs[isQuotient ? 1 : 0]!, node), 'Add')
  const exp = sum?.scalar === 1 ? index.maker(sum.value) : undefined
  const x = exp?.op === 'Exp' ? negated(index, index.maker(exp.inputs[0]!)) : null
  if (x === null || index.shape(x).join() !== index.shape(node.outputs[0]!).join()) return null
  if (isQuotient && node.inputs[0] === x) return madeOf(node, 'SiLU', x)
  return !isQuotient || index.scalar(node.inputs[0]) === 1 ? madeOf(node, 'Sigmoid', x) : null
}

/** x of -x. */
function negated(index: GraphIndex, node: Node | undefined): string | null {
  if (node?.op === 'Neg') return node.inputs[0]!
  const scaled = scaledBy(index, node)
  return scaled?.scalar === -1 ? scaled.value : null
}

const sixth = { alpha: { kind: 'float', value: 1 / 6 }, beta: { kind: 'float', value: 0.5 } } as const

/** Clip(x + 3, 0, 6) / 6, or Clip(x / 6 + 1/2, 0, 1). */
function hardSigmoidOf(index: GraphIndex, node: Node): Node | null {
  const scaled = scaledBy(index, node)
  const source = scaled && isNear(scaled.scalar, 1 / 6) ? shiftedClip(index, index.soleMaker(scaled.value, node)) : null
  if (source !== null) return madeOf(node, 'HardSigmoid', source, sixth)
  const sum = isClip(index, node, 0, 1) ? withScalar(index, index.soleMaker(node.inputs[0]!, node), 'Add') : null
  const inner = sum && isNear(sum.scalar, 0.5) ? scaledBy(index, index.maker(sum.value)) : null
  return inner && isNear(inner.scalar, 1 / 6) ? madeOf(node, 'HardSigmoid', inner.value, sixth) : null
}

/** x of Clip(x + 3, 0, 6). */
function shiftedClip(index: GraphIndex, clip: Node | undefined): string | null {
  if (!clip || !isClip(index, clip, 0, 6)) return null
  const shifted = withScalar(index, index.soleMaker(clip.inputs[0]!, clip), 'Add')
  return shifted?.scalar === 3 ? shifted.value : null
}

function isClip(index: GraphIndex, node: Node, low: number, high: number): boolean {
  const bounds = node.op === 'Clip' ? unlessUnsupported(() => activationOf(index.view(node))) : null
  return bounds?.a === low && bounds.b === high
}

/** x · HardSigmoid(x) and x · Clip(x + 3, 0, 6) / 6 are HardSwish, x · Sigmoid(x) is SiLU. */
function productOf(index: GraphIndex, node: Node): Node | null {
  const { values, scalar } = node.op === 'Mul' || node.op === 'Div' ? factorsOf(index, node) : { values: [], scalar: 1 }
  if (values.length !== 2) return null
  for (const [x, value] of [
    [values[0]!, values[1]!],
    [values[1]!, values[0]!],
  ] as const) {
    const gate = index.readers(value).length === 1 && !index.isOutput(value) ? index.maker(value) : undefined
    if (!gate) continue
    if (isNear(scalar, 1 / 6) && shiftedClip(index, gate) === x) return madeOf(node, 'HardSwish', x)
    if (scalar !== 1 || gate.inputs[0] !== x) continue
    if (gate.op === 'Sigmoid') return madeOf(node, 'SiLU', x)
    if (isHardSigmoid(index, gate)) return madeOf(node, 'HardSwish', x)
  }
  return null
}

/** The factors of a product, or of a quotient by a number. */
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
  return found && madeOf(node, 'Gelu', found.x, { approximate: { kind: 'string', value: found.approximate } })
}
