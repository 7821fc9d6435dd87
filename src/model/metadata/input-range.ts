/**
 * The range of pixels that the first layer shows where no arithmetic stands in front of it: that of the first QuantizeLinear,
 * and weights that are so small because a scaling by 1/255 was folded into them. Both have the lowest precedence.
 */
import { elementCount } from '../../tensor.js'
import { floatsOf, numbersOf, type Constant, type Graph, type Node } from '../graph.js'
import { bytes, shares } from './exporters.js'
import { movers } from './recipe.js'
import type { Recipe } from './schema.js'

/** What the first layer shows. */
export interface InputRange {
  readonly recipe: Recipe
  /** Where it comes from, as a noun. */
  readonly origin: string
  /** A sentence where it is a guess. */
  readonly notice: string | null
}

const signed = { mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5] } satisfies Recipe

/** The range of the pixels; null where the first layer does not show it. */
export function inputRange(graph: Graph): InputRange | null {
  const [input] = graph.inputs
  if (graph.inputs.length !== 1 || !input || /^u?int/.test(input.type ?? '')) return null
  const node = firstLayer(graph, input.name)
  if (node?.op === 'QuantizeLinear') {
    const recipe = quantizedRange(graph, node)
    return recipe && { recipe, origin: 'the range of the first QuantizeLinear', notice: null }
  }
  if (node?.op !== 'Conv' || !areSmall(graph, node)) return null
  return {
    recipe: bytes,
    origin: 'assumed: the weights of the first layer are small',
    notice: 'pixels from 0 to 255 (the weights of the first layer are as small as those that scale bytes)',
  }
}

/** The first node that changes the values of the picture; null where the picture goes several ways. */
function firstLayer(graph: Graph, input: string): Node | null {
  for (let value = input; ; ) {
    const [node, ...others] = readersOf(graph, value)
    if (!node || others.length > 0 || node.domain !== '') return null
    if (!movers.has(node.op)) return node
    value = node.outputs[0]!
  }
}

const readersOf = (graph: Graph, value: string): Node[] =>
  graph.nodes.filter(({ op, inputs }) => op !== 'Shape' && inputs.includes(value))

/** Calibration leaves about the range of the pixels: those of torchvision are neither of these. */
function quantizedRange({ constants }: Graph, { inputs }: Node): Recipe | null {
  const [scale, zero] = [constants.get(inputs[1] ?? ''), constants.get(inputs[2] ?? '')]
  if (!scale || elementCount(scale.shape) !== 1) return null
  const [step = 0] = numbersOf(scale)
  const [zeroPoint = 0] = zero ? numbersOf(zero) : []
  const limits = limitsOf[zero?.type ?? 'uint8']
  if (!limits) return null
  const [least, most] = limits.map((limit) => (limit - zeroPoint) * step) as [number, number]
  const isNear = (value: number, wanted: number, slack: number): boolean => Math.abs(value - wanted) <= slack
  if (isNear(least, 0, 0.05) && isNear(most, 1, 0.2)) return shares
  if (isNear(least, -1, 0.2) && isNear(most, 1, 0.2)) return signed
  return isNear(least, 0, 5) && isNear(most, 255, 50) ? bytes : null
}

const limitsOf: Readonly<Record<string, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65_535],
  int16: [-32_768, 32_767],
}

/** Longest row of weights of a first layer that scales bytes. Networks on pixels up to 1 or 2 have rows of 0.3 to 10. */
const smallRow = 0.05

/** Whether every row of the weights is small, and nothing behind the layer scales its output. */
function areSmall(graph: Graph, { inputs, outputs }: Node): boolean {
  const weights = graph.constants.get(inputs[1] ?? '')
  if (weights?.type !== 'float32') return false
  let [behind] = readersOf(graph, outputs[0]!)
  while (behind && movers.has(behind.op) && behind.op !== 'Clip') [behind] = readersOf(graph, behind.outputs[0]!)
  if (behind && /^(BatchNormalization|InstanceNormalization|Mul|Div)$/.test(behind.op)) return false
  const longest = longestRow(weights)
  return longest > 0 && longest < smallRow
}

/** The length of the longest row of [rows, ...]. */
function longestRow(weights: Constant): number {
  const values = floatsOf(weights)
  const rows = weights.shape[0] ?? 0
  const length = values.length / rows
  let longest = 0
  for (let row = 0; row < rows; row++) {
    let squares = 0
    for (let i = row * length; i < (row + 1) * length; i++) squares += values[i]! ** 2
    longest = Math.max(longest, Math.sqrt(squares))
  }
  return longest
}
