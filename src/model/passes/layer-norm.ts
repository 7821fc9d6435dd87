/**
 * Layer normalization over the last axis, or over the channels of an image. Exporters of older opsets write it as means,
 * differences and a root. Scale and bias become a separate product and sum, which the weights behind them can absorb.
 */
import { madeNode, type Attribute, type Graph, type Node, type Value } from '../graph.js'
import { resolveReduce } from '../shapes/reduce.js'
import { normalAxis } from '../view.js'
import { unlessUnsupported } from './attempt.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges, changed } from './changes.js'
import { withScalar } from './scalar.js'

/** Recognizes layer norms, then takes their scale and bias out. */
export function recognizeLayerNorms(graph: Graph): Graph {
  return withoutAffine(spelledOut(graph))
}

/** Replaces (x - mean x) / √(mean (x - mean x)² + ε), in each form of the square and the quotient. */
function spelledOut(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  for (const node of graph.nodes) {
    const found = node.op === 'Div' ? unlessUnsupported(() => normOf(index, node)) : null
    if (!found) continue
    const { x, axis, epsilon } = found
    const isImage = axis === 1 && index.shape(x).length === 4
    if (!isImage && axis !== index.shape(x).length - 1) continue
    const float: Attribute = { kind: 'float', value: epsilon }
    const attributes: Node['attributes'] = isImage
      ? { epsilon: float }
      : { epsilon: float, axis: { kind: 'int', value: -1 } }
    replaced.set(node, [
      {
        name: node.name,
        op: isImage ? 'ChannelNormalization' : 'LayerNormalization',
        domain: isImage ? 'gapcam' : '',
        attributes,
        inputs: [x],
        outputs: node.outputs,
      },
    ])
  }
  return applyChanges(graph, { replaced })
}

function normOf(index: GraphIndex, div: Node): { x: string; axis: number; epsilon: number } | null {
  const [difference = '', root = ''] = div.inputs
  const sqrt = index.maker(root)
  const sum =
    sqrt?.op === 'Sqrt' || withScalar(index, sqrt, 'Pow')?.scalar === 0.5
      ? withScalar(index, index.maker(sqrt!.inputs[0]!), 'Add')
      : null
  const mean = sum ? meanOf(index, sum.value) : null
  if (!sum || !mean || squareRoot(index, mean.x) === null) return null
  const centred = centre(index, difference)
  const squared = centre(index, squareRoot(index, mean.x)!)
  const isSame =
    centred && squared && centred.x === squared.x && centred.axis === squared.axis && centred.axis === mean.axis
  return isSame ? { ...centred, epsilon: sum.scalar } : null
}

/** x and the axis of a mean over one axis with keepdims. */
function meanOf(index: GraphIndex, value: string): { x: string; axis: number } | null {
  const node = index.maker(value)
  if (node?.op !== 'ReduceMean') return null
  const { axes, keepsDims } = resolveReduce(index.view(node))
  return keepsDims && axes.length === 1 ? { x: node.inputs[0]!, axis: axes[0]! } : null
}

/** The value of which `value` is the square. */
function squareRoot(index: GraphIndex, value: string): string | null {
  const node = index.maker(value)
  const power = withScalar(index, node, 'Pow')
  if (power) return power.scalar === 2 ? power.value : null
  return node?.op === 'Mul' && node.inputs[0] === node.inputs[1] ? node.inputs[0]! : null
}

/** x of x - mean x. */
function centre(index: GraphIndex, value: string): { x: string; axis: number } | null {
  const node = index.maker(value)
  const mean = node?.op === 'Sub' ? meanOf(index, node.inputs[1]!) : null
  return mean && mean.x === node!.inputs[0] ? mean : null
}

/** Takes scale and bias out of the norm, along the channels of an image or along the last axis. */
function withoutAffine(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const constants = new Map(graph.constants)
  const values: Value[] = []
  for (const node of graph.nodes) {
    const isImage = node.op === 'ChannelNormalization'
    if ((!isImage && node.op !== 'LayerNormalization') || node.inputs.length < 2 || node.outputs.length > 1) continue
    const shape = index.shape(node.inputs[0]!)
    const axis = isImage ? 1 : normalAxis(index.view(node).int('axis', -1), shape.length)
    const factors = node.inputs.slice(1).map((input) => index.constant(input))
    if (
      (!isImage && axis !== shape.length - 1) ||
      !factors.every((factor) => factor?.type === 'float32' && factor.shape.length === 1)
    )
      continue
    let current = `${node.outputs[0]!}.plain`
    const nodes: Node[] = [changed(node, { inputs: node.inputs.slice(0, 1), outputs: [current] })]
    values.push({ name: current, type: 'float32', shape })
    factors.forEach((factor, i) => {
      const [op, isLast] = [['Mul', 'Add'][i]!, i === factors.length - 1]
      const [constant, result] = [`${node.name}.${op}`, isLast ? node.outputs[0]! : `${node.outputs[0]!}.scaled`]
      constants.set(constant, isImage ? { ...factor!, shape: [...factor!.shape, 1, 1] } : factor!)
      if (!isLast) values.push({ name: result, type: 'float32', shape })
      nodes.push(madeNode(op, { name: `${node.name} ${op}`, inputs: [current, constant], output: result }))
      current = result
    })
    replaced.set(node, nodes)
  }
  return applyChanges(graph, { replaced, constants, values })
}
