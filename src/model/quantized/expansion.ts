/**
 * Operators on quantised integers (ONNX's QLinear operators, those of onnxruntime in com.microsoft) as DequantizeLinear,
 * the operator on real numbers, QuantizeLinear. One form is left for everything behind.
 */
import { made, scalar, type Expansion } from '../expansion.js'
import { floatAttribute, intAttribute, intsAttribute, type Attribute, type Node } from '../graph.js'

const int = (value: number): Attribute => ({ kind: 'int', value })

/** The real numbers of three inputs of `of`: integers, scale, zero point. */
function real(of: Node, at: number, output: string, axis?: number): Node {
  const [x = '', scale = '', zero = ''] = of.inputs.slice(at, at + 3)
  return made(
    of,
    'DequantizeLinear',
    zero === '' ? [x, scale] : [x, scale, zero],
    output,
    axis === undefined ? {} : { axis: int(axis) },
  )
}

/** The result of `of`: a value in the code of two of its inputs. */
function stored(of: Node, value: string, at: number): Node {
  const [scale = '', zero = ''] = of.inputs.slice(at, at + 2)
  return made(of, 'QuantizeLinear', zero === '' ? [value, scale] : [value, scale, zero], of.outputs[0]!)
}

/** The attributes without those of onnxruntime's own layout. */
function plainAttributes({ attributes }: Node): Node['attributes'] {
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => name !== 'channels_last' && name !== 'opset'))
}

const isChannelsLast = (node: Node): boolean => intAttribute(node, 'channels_last', 0) === 1

/** A function of one tensor: x, its scale and zero point, those of y. */
const unary =
  (op: string, attributesOf: (node: Node) => Node['attributes'] = plainAttributes): Expansion =>
  (node) => {
    const [y = ''] = node.outputs
    if (isChannelsLast(node)) return null
    return [
      real(node, 0, `${y}.x`),
      made(node, op, [`${y}.x`], `${y}.real`, attributesOf(node)),
      stored(node, `${y}.real`, 3),
    ]
  }

/** A function of two tensors, each with scale and zero point. */
const binary =
  (op: string): Expansion =>
  (node) => {
    const [y = ''] = node.outputs
    return [
      real(node, 0, `${y}.a`),
      real(node, 3, `${y}.b`),
      made(node, op, [`${y}.a`, `${y}.b`], `${y}.real`),
      stored(node, `${y}.real`, 6),
    ]
  }

/** Inputs: x, weights (each with scale and zero point), the result's scale and zero point, a bias of scale x · weights. */
const conv: Expansion = (node) => {
  const [y = ''] = node.outputs
  const [, xScale = '', , , wScale = '', , , , bias = ''] = node.inputs
  if (isChannelsLast(node)) return null
  const operands = [`${y}.x`, `${y}.weights`, ...(bias === '' ? [] : [`${y}.bias`])]
  return [
    real(node, 0, operands[0]!),
    real(node, 3, operands[1]!, 0),
    ...(bias === '' ? [] : biasNodes(node, bias, [xScale, wScale], 0)),
    made(node, 'Conv', operands, `${y}.real`, plainAttributes(node)),
    stored(node, `${y}.real`, 6),
  ]
}

/** The real numbers of an int32 bias, whose scale is a product: the value `y.bias`. */
function biasNodes(node: Node, bias: string, factors: readonly string[], axis: number): readonly Node[] {
  const [y = ''] = node.outputs
  const [first = '', ...rest] = factors
  const products = rest.map((factor, i) =>
    made(node, 'Mul', [i === 0 ? first : `${y}.scale${i - 1}`, factor], `${y}.scale${i}`),
  )
  const scale = `${y}.scale${rest.length - 1}`
  return [...products, made(node, 'DequantizeLinear', [bias, scale], `${y}.bias`, { axis: int(axis) })]
}

/** a and b, each with scale and zero point, one for each row of a or column of b. */
const matMul: Expansion = (node) => {
  const [y = ''] = node.outputs
  return [
    real(node, 0, `${y}.a`, -2),
    real(node, 3, `${y}.b`, -1),
    made(node, 'MatMul', [`${y}.a`, `${y}.b`], `${y}.real`),
    stored(node, `${y}.real`, 6),
  ]
}

/** a, b, an int32 bias of scale alpha · a · b, and the result's code, without which the result is real. */
const gemm: Expansion = (node, context) => {
  const [y = ''] = node.outputs
  const [, aScale = '', , , bScale = '', , c = '', yScale = ''] = node.inputs
  const isReal = yScale === ''
  const result = isReal ? y : `${y}.real`
  const alpha = floatAttribute(node, 'alpha', 1)
  const factors = [aScale, bScale, ...(alpha === 1 ? [] : [scalar(context, `${y}.alpha`, alpha)])]
  return [
    real(node, 0, `${y}.a`),
    real(node, 3, `${y}.b`, intAttribute(node, 'transB', 0) === 1 ? 0 : 1),
    ...(c === '' ? [] : biasNodes(node, c, factors, -1)),
    made(node, 'Gemm', [`${y}.a`, `${y}.b`, ...(c === '' ? [] : [`${y}.bias`])], result, plainAttributes(node)),
    ...(isReal ? [] : [stored(node, result, 7)]),
  ]
}

/** The result's scale and zero point, then each part with its own. */
const concat: Expansion = (node) => {
  const [y = ''] = node.outputs
  const count = Math.floor((node.inputs.length - 2) / 3)
  const parts = Array.from({ length: count }, (_, i) => `${y}.x${i}`)
  return [
    ...parts.map((part, i) => real(node, 2 + 3 * i, part)),
    made(node, 'Concat', parts, `${y}.real`, plainAttributes(node)),
    stored(node, `${y}.real`, 0),
  ]
}

/** `opset` says which Softmax it means: over one axis since 13, over all axes from it on before. */
const softmax: Expansion = (node, context) => {
  const isNew = intAttribute(node, 'opset', 0) >= 13
  const axis = intAttribute(node, 'axis', isNew ? -1 : 1)
  if (isNew !== context.opset >= 13 && axis !== -1) return null
  return unary('Softmax', () => ({ axis: int(axis) }))(node, context)
}

/** The axes are attributes also in graphs whose ReduceMean takes them as an input. */
const reduceMean: Expansion = (node, context) => {
  const axes = intsAttribute(node, 'axes')
  const keepdims = { keepdims: int(intAttribute(node, 'keepdims', 1)) }
  const attributes: Node['attributes'] = axes ? { axes: { kind: 'ints', value: axes }, ...keepdims } : keepdims
  return unary('ReduceMean', () => attributes)(node, context)
}

/** A float matrix and one of integers with their scale, zero point and a bias. */
const dynamicMatMul: Expansion = (node) => {
  const [x = '', , , , bias = ''] = node.inputs
  const [y = ''] = node.outputs
  const product = bias === '' ? y : `${y}.product`
  return [
    real(node, 1, `${y}.b`, -1),
    made(node, 'MatMul', [x, `${y}.b`], product),
    ...(bias === '' ? [] : [made(node, 'Add', [product, bias], y)]),
  ]
}

/** The same operator without onnxruntime's domain. */
const renamed: Expansion = (node) => [{ ...node, domain: '' }]

/** Operators of ONNX itself among the expansions. */
export const standardQuantized: ReadonlySet<string> = new Set(['QLinearConv', 'QLinearMatMul'])

/** The expansions by operator. */
export const quantizedExpansions: Readonly<Record<string, Expansion>> = {
  QLinearConv: conv,
  QLinearMatMul: matMul,
  QLinearAdd: binary('Add'),
  QLinearMul: binary('Mul'),
  QLinearConcat: concat,
  QLinearAveragePool: unary('AveragePool'),
  QLinearGlobalAveragePool: unary('GlobalAveragePool'),
  QLinearReduceMean: reduceMean,
  QLinearSigmoid: unary('Sigmoid'),
  QLinearLeakyRelu: unary('LeakyRelu'),
  QLinearSoftmax: softmax,
  QGemm: gemm,
  DynamicQuantizeMatMul: dynamicMatMul,
  QuantizeLinear: renamed,
  DequantizeLinear: renamed,
}
