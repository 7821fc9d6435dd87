/**
 * What a row of the step table is made of: element types, tensors, parameters, and the groups that several rows share.
 * The rows are in steps.ts and quantized-steps.ts.
 */
import { elementBytes, elementCount, type TensorType } from '../tensor.js'

/** Element types of a plan's tensors. */
export const planTypes = ['float32', 'float16', 'int8', 'uint8', 'int32'] as const satisfies readonly TensorType[]
export type PlanType = (typeof planTypes)[number]

/** Bytes of a dense tensor. */
export function tensorBytes({ type, shape }: { readonly type: PlanType; readonly shape: readonly number[] }): number {
  return elementCount(shape) * elementBytes[type]
}

/**
 * How a parameter is stored: 'i' is a signed and 'u' an unsigned 32-bit word, 'f' a float32, 'i5' and 'u5' five words,
 * 'e:…' the index in that list of operations.
 */
export type ParameterType =
  | 'i'
  | 'u'
  | 'f'
  | 'i5'
  | 'u5'
  | 'e:elementwise'
  | 'e:binary'
  | 'e:pool'
  | 'e:window'
  | 'e:reduce'

/**
 * How a step uses a tensor. A `value` is read or written at run time. A `constant` is read at run time and must be a
 * constant of the plan. A `packed` tensor is a constant that the executor rearranges for its target when it opens the
 * plan; the plan's own copy is not needed after that.
 */
export type TensorUse = 'value' | 'constant' | 'packed'

/** One tensor of a row. */
export interface StepTensor {
  readonly name: string
  /** `repeated`: the row stands for 1 to 255 tensors. */
  readonly presence: 'required' | 'optional' | 'repeated'
  readonly use: TensorUse
  /** Element types that the step accepts. */
  readonly types: readonly PlanType[]
}

/** One kind of step. */
export interface StepRow {
  readonly inputs: readonly StepTensor[]
  readonly outputs: readonly StepTensor[]
  readonly parameters: Readonly<Record<string, ParameterType>>
  /** The output may be the memory of an input of the same size. */
  readonly inPlace?: true
}

/** A tensor from its name: `name?` is optional, `name...` is repeated. */
export function tensor(name: string, use: TensorUse, ...types: readonly PlanType[]): StepTensor {
  const presence = name.endsWith('?') ? 'optional' : name.endsWith('...') ? 'repeated' : 'required'
  return { name: name.replace(/(\?|\.\.\.)$/, ''), presence, use, types }
}

/** A float32 tensor that exists at run time. */
export const value = (name: string): StepTensor => tensor(name, 'value', 'float32')
/** A tensor in single or half precision. */
export const floating = (name: string): StepTensor => tensor(name, 'value', 'float32', 'float16')
/** A tensor of a step that takes the maximum of anything, or the average of floats. */
export const pooled = (name: string): StepTensor => tensor(name, 'value', 'float32', 'float16', 'int8', 'uint8')
/** Of a step that only moves or compares elements. */
export const movable = (name: string): StepTensor => tensor(name, 'value', 'float32', 'int8', 'uint8')
/** A constant that is read at run time. */
export const constant = (name: string, type: PlanType): StepTensor => tensor(name, 'constant', type)
/** A constant that the executor rearranges; float32 unless types are given. */
export const packed = (name: string, ...types: readonly PlanType[]): StepTensor =>
  tensor(name, 'packed', ...(types.length > 0 ? types : (['float32'] as const)))

/** The parameters of an activation. */
export const activation = { activation: 'e:elementwise', a: 'f', b: 'f' } as const
/** The parameters of a two-dimensional window. */
export const window = {
  kernelH: 'u',
  kernelW: 'u',
  strideH: 'u',
  strideW: 'u',
  padTop: 'u',
  padLeft: 'u',
  padBottom: 'u',
  padRight: 'u',
  dilationH: 'u',
  dilationW: 'u',
} as const
/** The window of a chain's first convolution. */
export const expandWindow = {
  expandKernelH: 'u',
  expandKernelW: 'u',
  expandStrideH: 'u',
  expandStrideW: 'u',
  expandPadTop: 'u',
  expandPadLeft: 'u',
  expandPadBottom: 'u',
  expandPadRight: 'u',
  expandDilationH: 'u',
  expandDilationW: 'u',
} as const
