/** Operators that move elements: reshapes, slices, pads, concatenations, resizes. */
import { dataTypes } from '../../onnx/tensor.js'
import {
  activated,
  channelsFirst,
  indexOf,
  input,
  inputShape,
  optionsOf,
  outputShape,
  unsupported,
  type Converter,
  type Operands,
} from './converter.js'

/** Shapes are those that the file computed for one picture; a size that it leaves open is taken from the operand. */
const reshape: Converter = (operands) => {
  const { builder, operator } = operands
  const at = operator.inputs[1]
  const given = at === undefined || at < 0 ? operator.options?.ints(0) : builder.numbers(at)
  if (!given && at !== undefined && at >= 0) {
    const shape = builder.node('Cast', [builder.value(at)], { to: dataTypes.indexOf('int64') })
    return [builder.node('Reshape', [input(operands, 0), shape])]
  }
  const shape = given && given.length > 0 ? given : outputShape(operands)
  return [builder.node('Reshape', [input(operands, 0), builder.ints(shape)])]
}

const squeeze: Converter = (operands) => {
  const rank = inputShape(operands, 0).length
  const asked = operands.operator.options?.ints(0) ?? []
  const axes = asked.map((axis) => (axis < 0 ? axis + rank : axis))
  const ones = inputShape(operands, 0).flatMap((size, axis) => (size === 1 ? [axis] : []))
  return [operands.builder.node('Squeeze', [input(operands, 0), operands.builder.ints(axes.length > 0 ? axes : ones)])]
}

const expandDims: Converter = (operands) => {
  const axes = operands.builder.constantNumbers(indexOf(operands, 1), "EXPAND_DIMS' axis")
  return [operands.builder.node('Unsqueeze', [input(operands, 0), operands.builder.ints(axes)])]
}

const transpose: Converter = (operands) => {
  const perm = operands.builder.constantNumbers(indexOf(operands, 1), "TRANSPOSE's permutation")
  return [operands.builder.node('Transpose', [input(operands, 0)], { perm })]
}

const concatenation: Converter = (operands) => {
  const options = optionsOf(operands)
  const rank = outputShape(operands).length
  const axis = options.int(0) < 0 ? options.int(0) + rank : options.int(0)
  const parts = operands.operator.inputs.map((_, at) => input(operands, at))
  return [activated(operands, operands.builder.node('Concat', parts, { axis }), options.byte(1))]
}

/** [rank, 2] numbers become ONNX's list: all beginnings, then all ends. */
function padsOf(operands: Operands): number[] {
  const pairs = operands.builder.constantNumbers(indexOf(operands, 1), `${operands.operator.op}'s sizes`)
  return [0, 1].flatMap((side) => pairs.filter((_, i) => i % 2 === side))
}

const pad: Converter = (operands) => {
  const { builder, operator } = operands
  const value = operator.inputs[2] !== undefined && operator.inputs[2] >= 0 ? [input(operands, 2)] : []
  return [builder.node('Pad', [input(operands, 0), builder.ints(padsOf(operands)), ...value])]
}

const mirrorPad: Converter = (operands) => {
  if (optionsOf(operands).byte(0) !== 0)
    throw unsupported(operands, 'it mirrors the border itself, for which ONNX has no operator')
  return [
    operands.builder.node('Pad', [input(operands, 0), operands.builder.ints(padsOf(operands))], { mode: 'reflect' }),
  ]
}

const slice: Converter = (operands) => {
  const { builder } = operands
  const shape = inputShape(operands, 0)
  const begins = builder.constantNumbers(indexOf(operands, 1), "SLICE's begin")
  const sizes = builder.constantNumbers(indexOf(operands, 2), "SLICE's size")
  const ends = begins.map((begin, axis) => (sizes[axis]! < 0 ? shape[axis]! : begin + sizes[axis]!))
  return [
    builder.node('Slice', [
      input(operands, 0),
      builder.ints(begins),
      builder.ints(ends),
      builder.ints(begins.map((_, axis) => axis)),
    ]),
  ]
}

const farEnd = 2 ** 31 - 1

/** Masks: bit i of begin and end means "from the edge"; bit i of shrink takes one index and drops the axis. */
const stridedSlice: Converter = (operands) => {
  const { builder } = operands
  const options = optionsOf(operands)
  const [beginMask, endMask, shrinkMask] = [options.int(0), options.int(1), options.int(4)]
  if (options.int(2) !== 0 || options.int(3) !== 0) throw unsupported(operands, 'it uses an ellipsis or a new axis')
  const [begin, end, strides] = [1, 2, 3].map((at) =>
    builder.constantNumbers(indexOf(operands, at), "STRIDED_SLICE's range"),
  ) as [number[], number[], number[]]
  const has = (mask: number, axis: number): boolean => ((mask >> axis) & 1) === 1
  const axes = begin.map((_, axis) => axis)
  const from = axes.map((axis) => (has(beginMask, axis) ? (strides[axis]! < 0 ? farEnd : 0) : begin[axis]!))
  const to = axes.map((axis) => {
    if (has(shrinkMask, axis)) return begin[axis] === -1 ? farEnd : begin[axis]! + 1
    return has(endMask, axis) ? (strides[axis]! < 0 ? -farEnd : farEnd) : end[axis]!
  })
  const steps = axes.map((axis) => (has(shrinkMask, axis) ? 1 : strides[axis]!))
  const sliced = builder.node('Slice', [
    input(operands, 0),
    ...[from, to, axes, steps].map((list) => builder.ints(list)),
  ])
  const dropped = axes.filter((axis) => has(shrinkMask, axis))
  return [dropped.length === 0 ? sliced : builder.node('Squeeze', [sliced, builder.ints(dropped)])]
}

function splitInto(
  operands: Operands,
  data: number,
  axisAt: number,
  sizes: readonly number[] | null,
): readonly string[] {
  const { builder, operator } = operands
  const rank = inputShape(operands, data).length
  const [given = 0] = builder.constantNumbers(indexOf(operands, axisAt), `${operator.op}'s axis`)
  const axis = given < 0 ? given + rank : given
  const parts = sizes ?? operator.outputs.map((_, at) => outputShape(operands, at)[axis]!)
  const names = operator.outputs.map((index) => `split_${index}`)
  return builder.nodes('Split', [input(operands, data), builder.ints(parts)], { axis }, names)
}

const split: Converter = (operands) => splitInto(operands, 1, 0, null)
const splitV: Converter = (operands) => splitInto(operands, 0, 2, null)

const pack: Converter = (operands) => {
  const { builder, operator } = operands
  const rank = outputShape(operands).length
  const given = optionsOf(operands).int(1)
  const axis = given < 0 ? given + rank : given
  const parts = operator.inputs.map((_, at) => builder.node('Unsqueeze', [input(operands, at), builder.ints([axis])]))
  return [builder.node('Concat', parts, { axis })]
}

const unpack: Converter = (operands) => {
  const { builder, operator } = operands
  const rank = inputShape(operands, 0).length
  const given = optionsOf(operands).int(1)
  const axis = given < 0 ? given + rank : given
  const names = operator.outputs.map((index) => `unpack_${index}`)
  const ones = builder.ints(names.map(() => 1))
  const parts = builder.nodes('Split', [input(operands, 0), ones], { axis }, names)
  return parts.map((part) => builder.node('Squeeze', [part, builder.ints([axis])]))
}

const gather: Converter = (operands) => {
  const options = optionsOf(operands)
  if (options.int(1) !== 0) throw unsupported(operands, 'it gathers for each batch')
  return [operands.builder.node('Gather', [input(operands, 0), input(operands, 1)], { axis: options.int(0) })]
}

const tile: Converter = (operands) => {
  const repeats = operands.builder.constantNumbers(indexOf(operands, 1), "TILE's repeats")
  return [operands.builder.node('Tile', [input(operands, 0), operands.builder.ints(repeats)])]
}

const shape: Converter = (operands) => {
  const { builder } = operands
  const { type } = builder.tensor(operands.operator.outputs[0] ?? -1)
  return [builder.node('Cast', [builder.node('Shape', [input(operands, 0)])], { to: dataTypes.indexOf(type) })]
}

const broadcastTo: Converter = (operands) => {
  const { builder } = operands
  return [builder.node('Expand', [input(operands, 0), builder.ints(outputShape(operands))])]
}

/** Sizes in the second operand. `fields` are the indices of align_corners and half_pixel_centers in the options. */
function resize(mode: 'linear' | 'nearest', fields: readonly [number, number]): Converter {
  return (operands) => {
    const { builder } = operands
    const options = optionsOf(operands)
    const [isAligned, isHalfPixel] = fields.map((field) => options.bool(field))
    const [height = 0, width = 0] = builder.constantNumbers(indexOf(operands, 1), `${operands.operator.op}'s size`)
    const [batch = 1, , , channels = 1] = inputShape(operands, 0)
    const place = isAligned ? 'align_corners' : isHalfPixel ? 'half_pixel' : 'asymmetric'
    // Half-pixel places lie half a pixel lower in ONNX, so that rounding up takes the pixel that TFLite takes.
    const nearest = mode === 'nearest' ? { nearest_mode: isAligned || isHalfPixel ? 'round_prefer_ceil' : 'floor' } : {}
    return [
      channelsFirst(operands, input(operands, 0), (picture) =>
        builder.node('Resize', [picture, '', '', builder.ints([batch, channels, height, width])], {
          mode,
          coordinate_transformation_mode: place,
          ...nearest,
        }),
      ),
    ]
  }
}

/** Weights are dense from the start: src/model/tflite/sparse.ts. */
const densify: Converter = (operands) => [input(operands, 0)]

export const movements: Readonly<Record<string, Converter>> = {
  RESHAPE: reshape,
  SQUEEZE: squeeze,
  EXPAND_DIMS: expandDims,
  TRANSPOSE: transpose,
  CONCATENATION: concatenation,
  PAD: pad,
  PADV2: pad,
  MIRROR_PAD: mirrorPad,
  SLICE: slice,
  STRIDED_SLICE: stridedSlice,
  DENSIFY: densify,
  SPLIT: split,
  SPLIT_V: splitV,
  PACK: pack,
  UNPACK: unpack,
  GATHER: gather,
  TILE: tile,
  SHAPE: shape,
  BROADCAST_TO: broadcastTo,
  RESIZE_BILINEAR: resize('linear', [2, 3]),
  RESIZE_NEAREST_NEIGHBOR: resize('nearest', [0, 1]),
}
