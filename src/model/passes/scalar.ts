/** Sums and products of a value and a constant number: the parts of spelled-out activation functions. */
import type { Node } from '../graph.js'
import type { GraphIndex } from '../graph-index.js'

/** A value and the number that a node adds to it or multiplies it by. */
export interface Scaled {
  readonly value: string
  readonly scalar: number
}

/** The operands of a node of two operands as value and number, in either order where the operator commutes; else null. */
export function withScalar(index: GraphIndex, node: Node | undefined, op: string): Scaled | null {
  if (node?.op !== op || node.domain !== '' || node.inputs.length !== 2) return null
  const [a = '', b = ''] = node.inputs
  const right = index.scalar(b)
  const left = right !== undefined || op === 'Div' || op === 'Sub' || op === 'Pow' ? undefined : index.scalar(a)
  const found =
    right !== undefined ? { value: a, scalar: right } : left !== undefined ? { value: b, scalar: left } : null
  // A constant of more dimensions would change the shape.
  return found && index.shape(found.value).join() === index.shape(node.outputs[0]!).join() ? found : null
}

/** A node that computes value · scalar, written as a product or a quotient; else null. */
export function scaledBy(index: GraphIndex, node: Node | undefined): Scaled | null {
  const quotient = withScalar(index, node, 'Div')
  return quotient ? { value: quotient.value, scalar: 1 / quotient.scalar } : withScalar(index, node, 'Mul')
}

/** Whether two numbers agree to five digits, as constants in models do. */
export const isNear = (value: number, wanted: number): boolean =>
  Math.abs(value - wanted) <= 1e-5 * Math.max(1, Math.abs(wanted))

/** The factors of a tree of Muls up to `depth`: its values, and the product of its constant numbers. */
export function productFactors(
  index: GraphIndex,
  node: Node,
  depth: number,
): { readonly values: readonly string[]; readonly scalar: number } {
  const values: string[] = []
  let scalar = 1
  for (const input of node.inputs) {
    const constant = index.scalar(input)
    const maker = index.soleMaker(input, node)
    if (constant !== undefined) scalar *= constant
    else if (depth > 1 && (maker?.op === 'Mul' || withScalar(index, maker, 'Div'))) {
      const quotient = withScalar(index, maker, 'Div')
      const inner = quotient
        ? { values: [quotient.value], scalar: 1 / quotient.scalar }
        : productFactors(index, maker!, depth - 1)
      values.push(...inner.values)
      scalar *= inner.scalar
    } else values.push(input)
  }
  return { values, scalar }
}
