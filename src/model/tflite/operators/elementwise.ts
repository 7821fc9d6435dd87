/** Functions of each element, and of two or three broadcast tensors. */
import { dataTypes } from '../../onnx/tensor.js'
import { activated, clipped, indexOf, input, optionsOf, unsupported, type Converter } from './converter.js'

function unary(op: string): Converter {
  return (operands) => [operands.builder.node(op, [input(operands, 0)])]
}

/** Two operands; `field` is the index of the fused activation in the options. */
function binary(op: string, field?: number): Converter {
  return (operands) => {
    const y = operands.builder.node(op, [input(operands, 0), input(operands, 1)])
    return [field === undefined ? y : activated(operands, y, operands.operator.options?.byte(field) ?? 0)]
  }
}

function clip(low: number, high: number): Converter {
  return (operands) => [clipped(operands.builder, input(operands, 0), low, high)]
}

const square: Converter = (operands) => {
  const x = input(operands, 0)
  return [operands.builder.node('Mul', [x, x])]
}

const squaredDifference: Converter = ({ builder, operator }) => {
  const difference = builder.node('Sub', [input({ builder, operator }, 0), input({ builder, operator }, 1)])
  return [builder.node('Mul', [difference, difference])]
}

const rsqrt: Converter = (operands) => [
  operands.builder.node('Reciprocal', [operands.builder.node('Sqrt', [input(operands, 0)])]),
]

const leakyRelu: Converter = (operands) => [
  operands.builder.node('LeakyRelu', [input(operands, 0)], { alpha: optionsOf(operands).float(0) }),
]

/** x · Φ(x), written out as exporters to ONNX do: with erf, or with tanh where the options ask for the approximation. */
const gelu: Converter = (operands) => {
  const { builder } = operands
  const x = input(operands, 0)
  const half = builder.node('Mul', [x, builder.scalar(0.5)])
  if (!operands.operator.options?.bool(0)) {
    const erf = builder.node('Erf', [builder.node('Div', [x, builder.scalar(Math.SQRT2)])])
    return [builder.node('Mul', [half, builder.node('Add', [erf, builder.scalar(1)])])]
  }
  const cube = builder.node('Mul', [builder.node('Mul', [x, x]), x])
  const inner = builder.node('Add', [x, builder.node('Mul', [cube, builder.scalar(0.044715)])])
  const tanh = builder.node('Tanh', [builder.node('Mul', [inner, builder.scalar(Math.sqrt(2 / Math.PI))])])
  return [builder.node('Mul', [half, builder.node('Add', [tanh, builder.scalar(1)])])]
}

/** The last axis; β scales the logits. */
const softmax: Converter = (operands) => {
  const beta = operands.operator.options?.float(0, 1) ?? 1
  const x = input(operands, 0)
  const scaled = beta === 1 ? x : operands.builder.node('Mul', [x, operands.builder.scalar(beta)])
  return [operands.builder.node('Softmax', [scaled], { axis: -1 })]
}

const logSoftmax: Converter = (operands) => [operands.builder.node('LogSoftmax', [input(operands, 0)], { axis: -1 })]

const cast: Converter = (operands) => {
  const { type } = operands.builder.tensor(operands.operator.outputs[0] ?? -1)
  const to = dataTypes.indexOf(type)
  if (to < 0) throw unsupported(operands, `it casts to ${type}`)
  return [operands.builder.node('Cast', [input(operands, 0)], { to })]
}

/** The builder writes the quantized form of every tensor; between two of them nothing is left to compute. */
const requantize: Converter = (operands) => [operands.builder.value(indexOf(operands, 0))]

const addN: Converter = (operands) => [
  operands.builder.node(
    'Sum',
    operands.operator.inputs.map((_, at) => input(operands, at)),
  ),
]

const select: Converter = (operands) => [
  operands.builder.node('Where', [input(operands, 0), input(operands, 1), input(operands, 2)]),
]

const notEqual: Converter = (operands) => [
  operands.builder.node('Not', [operands.builder.node('Equal', [input(operands, 0), input(operands, 1)])]),
]

export const elementwise: Readonly<Record<string, Converter>> = {
  ADD: binary('Add', 0),
  SUB: binary('Sub', 0),
  MUL: binary('Mul', 0),
  DIV: binary('Div', 0),
  ADD_N: addN,
  MAXIMUM: binary('Max'),
  MINIMUM: binary('Min'),
  POW: binary('Pow'),
  SQUARED_DIFFERENCE: squaredDifference,
  PRELU: binary('PRelu'),
  LESS: binary('Less'),
  LESS_EQUAL: binary('LessOrEqual'),
  GREATER: binary('Greater'),
  GREATER_EQUAL: binary('GreaterOrEqual'),
  EQUAL: binary('Equal'),
  NOT_EQUAL: notEqual,
  LOGICAL_AND: binary('And'),
  LOGICAL_OR: binary('Or'),
  LOGICAL_NOT: unary('Not'),
  SELECT: select,
  SELECT_V2: select,
  ABS: unary('Abs'),
  CEIL: unary('Ceil'),
  COS: unary('Cos'),
  ELU: unary('Elu'),
  EXP: unary('Exp'),
  FLOOR: unary('Floor'),
  HARD_SWISH: unary('HardSwish'),
  LOG: unary('Log'),
  LOGISTIC: unary('Sigmoid'),
  NEG: unary('Neg'),
  RELU: unary('Relu'),
  RELU6: clip(0, 6),
  RELU_0_TO_1: clip(0, 1),
  RELU_N1_TO_1: clip(-1, 1),
  ROUND: unary('Round'),
  RSQRT: rsqrt,
  SIN: unary('Sin'),
  SQRT: unary('Sqrt'),
  SQUARE: square,
  TANH: unary('Tanh'),
  GELU: gelu,
  LEAKY_RELU: leakyRelu,
  SOFTMAX: softmax,
  LOG_SOFTMAX: logSoftmax,
  CAST: cast,
  QUANTIZE: requantize,
  DEQUANTIZE: requantize,
}
