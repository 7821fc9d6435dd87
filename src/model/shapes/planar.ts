/** A convolution or pool of one dimension, as one of two dimensions with a single row. */
import type { Attribute, Node } from '../graph.js'
import { NodeView } from '../view.js'

/** Operators with a window over the axes behind N and C. */
export const windowOps: readonly string[] = ['Conv', 'MaxPool', 'AveragePool', 'GlobalAveragePool', 'GlobalMaxPool']

/** [N,C,L] as [N,C,1,L]. */
export function planarShape(shape: readonly number[]): readonly number[] {
  return [...shape.slice(0, 2), 1, ...shape.slice(2)]
}

/** The attributes of a node of one dimension, for the same node over images. */
export function planarAttributes({ attributes }: Node): Readonly<Record<string, Attribute>> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, attribute]) => {
      if (attribute.kind !== 'ints') return [name, attribute]
      const [first = 1, last = first] = attribute.value
      const values =
        name === 'pads'
          ? [0, first, 0, last]
          : ['kernel_shape', 'strides', 'dilations'].includes(name)
            ? [1, ...attribute.value]
            : attribute.value
      return [name, { kind: 'ints', value: values }]
    }),
  )
}

/** The node over images: its input and a convolution's weights get a row. */
export function planarView(view: NodeView): NodeView {
  const { node } = view
  const operands = node.inputs.map((_, i) => {
    const operand = view.optional(i)
    return operand && operand.shape.length === 3 ? { ...operand, shape: planarShape(operand.shape) } : operand
  })
  return new NodeView({ ...node, attributes: planarAttributes(node) }, view.opset, operands)
}
