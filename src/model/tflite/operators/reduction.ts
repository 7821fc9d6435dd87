/** Reductions over axes, norms and indices of the largest. */
import { indexOf, input, inputShape, type Converter, type Operands } from './converter.js'
import { dataTypes } from '../../onnx/tensor.js'

/** The axes of the second operand, counted from the front. */
function axesOf(operands: Operands): number[] {
  const rank = inputShape(operands, 0).length
  const axes = operands.builder.constantNumbers(indexOf(operands, 1), `${operands.operator.op}'s axis`)
  return axes.map((axis) => (axis < 0 ? axis + rank : axis))
}

/** ReduceSum takes its axes as an input in opset 17, the others as an attribute. */
function reduce(op: string): Converter {
  return (operands) => {
    const keepdims = operands.operator.options?.bool(0) ? 1 : 0
    const axes = axesOf(operands)
    const { builder } = operands
    return op === 'ReduceSum'
      ? [builder.node(op, [input(operands, 0), builder.ints(axes)], { keepdims })]
      : [builder.node(op, [input(operands, 0)], { axes, keepdims })]
  }
}

function argument(op: 'ArgMax' | 'ArgMin'): Converter {
  return (operands) => {
    const [axis = 0] = axesOf(operands)
    const index = operands.builder.node(op, [input(operands, 0)], { axis, keepdims: 0 })
    const { type } = operands.builder.tensor(operands.operator.outputs[0] ?? -1)
    return [type === 'int64' ? index : operands.builder.node('Cast', [index], { to: dataTypes.indexOf(type) })]
  }
}

/** Over the last axis, with TFLite's lower bound of 1e-6 on the sum of squares. */
const l2Normalization: Converter = (operands) => {
  const { builder } = operands
  const x = input(operands, 0)
  const squares = builder.node('ReduceSumSquare', [x], { axes: [inputShape(operands, 0).length - 1], keepdims: 1 })
  const norm = builder.node('Sqrt', [builder.node('Max', [squares, builder.scalar(1e-6)])])
  return [builder.node('Div', [x, norm])]
}

/** Values and indices of the k largest of the last axis. */
const topK: Converter = (operands) => {
  const { builder } = operands
  const k = builder.constantNumbers(indexOf(operands, 1), "TOPK_V2's k")
  const [values, indices] = builder.nodes(
    'TopK',
    [input(operands, 0), builder.ints(k)],
    { axis: -1 },
    ['', ''].map((_, i) => `topk_${operands.operator.outputs[i]}`),
  )
  return [values!, builder.node('Cast', [indices!], { to: dataTypes.indexOf('int32') })]
}

export const reductions: Readonly<Record<string, Converter>> = {
  MEAN: reduce('ReduceMean'),
  SUM: reduce('ReduceSum'),
  REDUCE_MAX: reduce('ReduceMax'),
  REDUCE_MIN: reduce('ReduceMin'),
  REDUCE_PROD: reduce('ReduceProd'),
  ARG_MAX: argument('ArgMax'),
  ARG_MIN: argument('ArgMin'),
  L2_NORMALIZATION: l2Normalization,
  TOPK_V2: topK,
}
