/**
 * What the lowering of one operator may use. A value can exist in two forms: 'plain' is row-major in ONNX's own order,
 * 'nhwc' the channels-last permutation of a rank-4 value. Asking for a form that does not exist yet makes a `copy`
 * step, or costs nothing where the bytes are the same (one channel, or one pixel).
 */
import type { ElementwiseOp, StepKind, StepParameters } from '../steps.js'
import type { NodeView } from '../view.js'

export type Form = 'plain' | 'nhwc'

/** A tensor of the plan to be, by number; see `Lowering`. */
export type TensorId = number

export interface Activation {
  readonly activation: ElementwiseOp
  readonly a: number
  readonly b: number
}

export const noActivation: Activation = { activation: 'none', a: 0, b: 0 }

export interface LowerContext {
  readonly view: NodeView
  /** The activation that a pass fused behind this node; every operator that `acceptsActivation` must apply it. */
  readonly activation: Activation
  /** The form in which input `i` already is; 'plain' if in both. */
  formOf(i: number): Form
  /** Input `i` in a form; constants are permuted now, not at run time. */
  input(i: number, form: Form): TensorId
  /** Input `i` as the right-aligned broadcast operand of an output of `rank` dimensions. */
  operand(i: number, form: Form, rank: number): TensorId
  /** A constant of the plan's own. */
  constant(shape: readonly number[], data: Float32Array | Int32Array): TensorId
  /** Makes output `i` of the node in a form; its sizes are those of shape inference. */
  output(i: number, form: Form): TensorId
  /** A tensor between two steps of one node; sizes as they lie in memory. */
  temporary(shape: readonly number[]): TensorId
  /** Declares that output `i` in a form is the same bytes as another tensor. */
  alias(i: number, form: Form, tensor: TensorId): void
  step<K extends StepKind>(
    kind: K,
    inputs: readonly (TensorId | null)[],
    outputs: readonly (TensorId | null)[],
    parameters: StepParameters<K>,
  ): void
  /** Sizes of a tensor as they lie in memory. */
  sizes(tensor: TensorId): readonly number[]
}

/** Where a logical axis of a rank-4 value lies in NHWC. */
export function nhwcAxis(axis: number): number {
  return [0, 3, 1, 2][axis]!
}

/** Sizes of a rank-4 shape in NHWC. */
export function nhwcShape(shape: readonly number[]): readonly number[] {
  return [shape[0]!, shape[2]!, shape[3]!, shape[1]!]
}

/** An entry of the operator table. */
export interface Operator {
  readonly op: string
  /** What the native engine does not do with it, or '' where it covers the standard (float32). */
  readonly limits: string
  /** Whether an activation can be fused behind it. */
  readonly acceptsActivation: boolean
  /** Emits steps, or throws `Unsupported` with the reason. */
  readonly lower: (context: LowerContext) => void
}
