/** What every operator's converter gets and shares: its operands as values, its options, the fused activation. */
import { GapcamError } from '../../../errors.js'
import type { GraphBuilder } from '../builder.js'
import type { Table } from '../flatbuffer.js'
import type { TfliteOperator } from '../model.js'
import { fusedActivations, paddings, type Padding } from '../schema.js'

export interface Operands {
  readonly builder: GraphBuilder
  readonly operator: TfliteOperator
}

/** Adds an operator's nodes and returns the values of its outputs, in order. Throws MODEL_UNSUPPORTED with the reason. */
export type Converter = (operands: Operands) => readonly string[]

/** The tensor index of an operand. Throws MODEL_INVALID where it is missing. */
export function indexOf({ operator }: Operands, at: number): number {
  const index = operator.inputs[at]
  if (index === undefined || index < 0) throw new GapcamError('MODEL_INVALID', `${operator.op} lacks input ${at}`)
  return index
}

/** The value of an operand. */
export function input(operands: Operands, at: number): string {
  return operands.builder.value(indexOf(operands, at))
}

/** An operand that may be absent. */
export function optionalInput({ builder, operator }: Operands, at: number): readonly string[] {
  const index = operator.inputs[at]
  return index === undefined || index < 0 ? [] : [builder.value(index)]
}

/** The shape of an operator's output, as the file gives it. */
export function outputShape({ builder, operator }: Operands, at = 0): readonly number[] {
  return builder.tensor(operator.outputs[at] ?? -1).shape
}

/** The shape of an operand, as the file gives it. Throws MODEL_INVALID where it is missing. */
export function inputShape(operands: Operands, at: number): readonly number[] {
  return operands.builder.tensor(indexOf(operands, at)).shape
}

/** The operator's options table. Throws MODEL_INVALID where the file has none. */
export function optionsOf({ operator }: Operands): Table {
  if (!operator.options) throw new GapcamError('MODEL_INVALID', `${operator.op} has no options`)
  return operator.options
}

/** The padding that an options table names in a field. */
export function paddingOf(options: Table, field: number): Padding {
  return paddings[options.byte(field)] ?? 'VALID'
}

/** ONNX's word for TFLite's padding. SAME puts the odd pixel behind, as SAME_UPPER does. */
export function autoPad(padding: Padding): string {
  return padding === 'SAME' ? 'SAME_UPPER' : 'VALID'
}

/** Applies the activation that an options table names. */
export function activated({ builder, operator }: Operands, value: string, code: number): string {
  const name = fusedActivations[code]
  switch (name) {
    case 'none':
      return value
    case 'relu':
      return builder.node('Relu', [value])
    case 'relu6':
      return clipped(builder, value, 0, 6)
    case 'reluN1To1':
      return clipped(builder, value, -1, 1)
    case 'tanh':
      return builder.node('Tanh', [value])
    default:
      throw new GapcamError('MODEL_UNSUPPORTED', `${operator.op} has the fused activation ${name ?? code}`)
  }
}

/** The value limited to a range. */
export function clipped(builder: GraphBuilder, value: string, low: number, high: number): string {
  return builder.node('Clip', [value, builder.scalar(low), builder.scalar(high)])
}

/** Runs `body` on a picture in ONNX's order (channels first) and puts the result back into TFLite's order. */
export function channelsFirst({ builder }: Operands, value: string, body: (picture: string) => string): string {
  const result = body(builder.node('Transpose', [value], { perm: [0, 3, 1, 2] }))
  return builder.node('Transpose', [result], { perm: [0, 2, 3, 1] })
}

/** The error for a form of an operator that has no rule. */
export function unsupported(operands: Operands, why: string): GapcamError {
  return new GapcamError('MODEL_UNSUPPORTED', `${operands.operator.op}: ${why}`)
}
