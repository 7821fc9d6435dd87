/**
 * Recognizes what exporters spell out: HardSwish and HardSigmoid as chains of Add, Clip, Mul and Div, SiLU as x times
 * its sigmoid, Gelu by Erf, and global average pooling as ReduceMean over H and W.
 */
import type { Attribute, Graph, Node } from '../graph.js'
import { activationOf } from '../operators/elementwise.js'
import { resolveReduce } from '../shapes/reduce.js'
import { Unsupported } from '../view.js'
import { applyChanges, GraphIndex } from './rewrite.js'

export function recognizePatterns(graph: Graph): Graph {
  // Gelu's chain holds factors that the others would take for theirs; HardSwish needs HardSigmoid first.
  return [gapOf, hardSigmoidOf, productOf, geluOf].reduce((current, recognize) => rewriteEach(current, recognize), graph)
}

type Recognizer = (index: GraphIndex, node: Node) => Node | null

function rewriteEach(graph: Graph, recognize: Recognizer): Graph {
  const index = new GraphIndex(graph)
  const replaced = new Map<Node, readonly Node[]>()
  for (const node of graph.nodes) {
    const found = node.domain === '' ? recognize(index, node) : null
    if (found) replaced.set(node, [found])
  }
  return applyChanges(graph, { replaced })
}

function madeOf(node: Node, op: string, input: string, attributes: Readonly<Record<string, Attribute>> = {}): Node {
  return { name: node.name, op, domain: op === 'SiLU' ? 'gapcam' : '', attributes, inputs: [input], outputs: node.outputs }
}

/** ReduceMean over H and W that keeps them. */
function gapOf(index: GraphIndex, node: Node): Node | null {
  if (node.op !== 'ReduceMean' || index.shape(node.inputs[0]!).length !== 4) return null
  try {
    const { axes, keepsDims } = resolveReduce(index.view(node))
    return keepsDims && axes.join() === '2,3' ? madeOf(node, 'GlobalAveragePool', node.inputs[0]!) : null
  } catch (error) {
    if (error instanceof Unsupported) return null
    throw error
  }
}

/** The operands of a two-operand node as value and constant scalar. */
function withScalar(index: GraphIndex, node: Node | undefined, op: string): { value: string; scalar: number } | null {
  if (node?.op !== op || node.inputs.length !== 2) return null
  const [a = '', b = ''] = node.inputs
  const right = index.scalar(b)
  if (right !== undefined) return { value: a, scalar: right }
  const left = op === 'Div' || op === 'Sub' ? undefined : index.scalar(a)
  return left === undefined ? null : { value: b, scalar: left }
}

/** Clip(x + 3, 0, 6) divided by 6. */
function hardSigmoidOf(index: GraphIndex, node: Node): Node | null {
  const scaled = withScalar(index, node, 'Div') ?? withScalar(index, node, 'Mul')
  const factor = scaled && (node.op === 'Div' ? 1 / scaled.scalar : scaled.scalar)
  if (!scaled || Math.abs(factor! - 1 / 6) > 1e-6) return null
  const source = shiftedClip(index, index.soleMaker(scaled.value, node))
  if (source === null) return null
  return madeOf(node, 'HardSigmoid', source, { alpha: { kind: 'float', value: 1 / 6 }, beta: { kind: 'float', value: 0.5 } })
}

/** x of Clip(x + 3, 0, 6). */
function shiftedClip(index: GraphIndex, clip: Node | undefined): string | null {
  if (!clip || (clip.op !== 'Clip' && clip.op !== 'Relu6')) return null
  const bounds = activationOf(index.view(clip))
  if (bounds?.activation !== 'clip' || bounds.a !== 0 || bounds.b !== 6) return null
  const shifted = withScalar(index, index.soleMaker(clip.inputs[0]!, clip), 'Add')
  return shifted?.scalar === 3 ? shifted.value : null
}

/** x · HardSigmoid(x) is HardSwish, x · Sigmoid(x) is SiLU; also (x · Clip(x + 3, 0, 6)) / 6. */
function productOf(index: GraphIndex, node: Node): Node | null {
  const scaled = withScalar(index, node, 'Div') ?? withScalar(index, node, 'Mul')
  if (scaled) {
    const isSixth = Math.abs((node.op === 'Div' ? 1 / scaled.scalar : scaled.scalar) - 1 / 6) < 1e-6
    const product = isSixth ? index.soleMaker(scaled.value, node) : undefined
    const source = product?.op === 'Mul' ? gatedBy(index, product, (gate) => shiftedClip(index, gate)) : null
    return source === null ? null : madeOf(node, 'HardSwish', source)
  }
  if (node.op !== 'Mul') return null
  const hard = gatedBy(index, node, (gate) => (isHardSigmoid(index, gate) ? gate.inputs[0]! : null))
  if (hard !== null) return madeOf(node, 'HardSwish', hard)
  const soft = gatedBy(index, node, (gate) => (gate.op === 'Sigmoid' ? gate.inputs[0]! : null))
  return soft === null ? null : madeOf(node, 'SiLU', soft)
}

/** x of x · gate(x), in either order. */
function gatedBy(index: GraphIndex, product: Node, sourceOf: (gate: Node) => string | null): string | null {
  for (const [x, gate] of [[0, 1], [1, 0]] as const) {
    const maker = index.soleMaker(product.inputs[gate]!, product)
    if (maker && sourceOf(maker) === product.inputs[x]) return product.inputs[x]!
  }
  return null
}

function isHardSigmoid(index: GraphIndex, node: Node): boolean {
  if (node.op !== 'HardSigmoid') return false
  const view = index.view(node)
  return Math.abs(view.float('alpha', 0.2) - 1 / 6) < 1e-6 && view.float('beta', 0.5) === 0.5
}

/** x · (1 + Erf(x / √2)) · 1/2 with the factors in any order that exporters use. */
function geluOf(index: GraphIndex, node: Node): Node | null {
  if (node.op !== 'Mul') return null
  const factors = productFactors(index, node, 3)
  const half = factors.scalars.reduce((product, scalar) => product * scalar, 1)
  if (factors.values.length !== 2 || Math.abs(half - 0.5) > 1e-6) return null
  for (const [x, gate] of [[0, 1], [1, 0]] as const) {
    if (erfSource(index, factors.values[gate]!) === factors.values[x]) return madeOf(node, 'Gelu', factors.values[x]!)
  }
  return null
}

/** A tree of Muls with single readers, as its values and constant scalars. */
function productFactors(index: GraphIndex, node: Node, depth: number): { values: string[]; scalars: number[] } {
  const values: string[] = []
  const scalars: number[] = []
  for (const input of node.inputs) {
    const scalar = index.scalar(input)
    const maker = index.soleMaker(input, node)
    if (scalar !== undefined) scalars.push(scalar)
    else if (depth > 1 && maker?.op === 'Mul') {
      const inner = productFactors(index, maker, depth - 1)
      values.push(...inner.values)
      scalars.push(...inner.scalars)
    } else values.push(input)
  }
  return { values, scalars }
}

/** x of 1 + Erf(x / √2). */
function erfSource(index: GraphIndex, value: string): string | null {
  const shifted = withScalar(index, index.maker(value), 'Add')
  const erf = shifted?.scalar === 1 ? index.maker(shifted.value) : undefined
  if (erf?.op !== 'Erf') return null
  const scaled = index.maker(erf.inputs[0]!)
  const quotient = withScalar(index, scaled, 'Div')
  if (quotient && Math.abs(quotient.scalar - Math.SQRT2) < 1e-4) return quotient.value
  const product = withScalar(index, scaled, 'Mul')
  return product && Math.abs(product.scalar - Math.SQRT1_2) < 1e-4 ? product.value : null
}
