/** Recognizes Gelu as exporters spell it out: with Erf, or as the approximation with Tanh. */
import type { Node } from '../graph.js'
import type { GraphIndex } from '../graph-index.js'
import { isNear, productFactors, scaledBy, withScalar } from './scalar.js'

/** x and the variant of x · (1 + f(x)) · 1/2, with the factors in any order that exporters use; else null. */
export function geluOf(
  index: GraphIndex,
  node: Node,
): { readonly x: string; readonly approximate: 'none' | 'tanh' } | null {
  if (node.op !== 'Mul') return null
  const { values, scalar } = productFactors(index, node, 3)
  if (values.length !== 2 || !isNear(scalar, 0.5)) return null
  for (const [x, gate] of [
    [values[0]!, values[1]!],
    [values[1]!, values[0]!],
  ] as const) {
    const shifted = withScalar(index, index.maker(gate), 'Add')
    const inner = shifted?.scalar === 1 ? index.maker(shifted.value) : undefined
    if (inner?.op === 'Erf' && isRootHalf(index, inner.inputs[0]!, x)) return { x, approximate: 'none' }
    if (inner?.op === 'Tanh' && isTanhArgument(index, inner.inputs[0]!, x)) return { x, approximate: 'tanh' }
  }
  return null
}

/** Whether a value is x / √2. */
function isRootHalf(index: GraphIndex, value: string, x: string): boolean {
  const scaled = scaledBy(index, index.maker(value))
  return scaled?.value === x && isNear(scaled.scalar, Math.SQRT1_2)
}

/** Whether a value is √(2/π) (x + 0.044715 x³). */
function isTanhArgument(index: GraphIndex, value: string, x: string): boolean {
  const scaled = scaledBy(index, index.maker(value))
  const sum = scaled && isNear(scaled.scalar, Math.sqrt(2 / Math.PI)) ? index.maker(scaled.value) : undefined
  if (sum?.op !== 'Add') return false
  const cubed = sum.inputs[0] === x ? sum.inputs[1] : sum.inputs[1] === x ? sum.inputs[0] : undefined
  const cube = cubed === undefined ? null : scaledBy(index, index.maker(cubed))
  return cube !== null && isNear(cube.scalar, 0.044715) && isCube(index, cube.value, x)
}

/** Whether a value is x³, written as a power or as x · x · x. */
function isCube(index: GraphIndex, value: string, x: string): boolean {
  const maker = index.maker(value)
  const power = withScalar(index, maker, 'Pow')
  if (power) return power.value === x && power.scalar === 3
  if (maker?.op !== 'Mul') return false
  return [
    [0, 1],
    [1, 0],
  ].some(([a, b]) => maker.inputs[a!] === x && isSquare(index, maker.inputs[b!]!, x))
}

function isSquare(index: GraphIndex, value: string, x: string): boolean {
  const maker = index.maker(value)
  const power = withScalar(index, maker, 'Pow')
  return power
    ? power.value === x && power.scalar === 2
    : maker?.op === 'Mul' && maker.inputs.every((input) => input === x)
}
