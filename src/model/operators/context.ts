/**
 * What the lowering of one operator may use. A value exists in two forms: 'plain' is row-major in ONNX's own order,
 * 'nhwc' is a rank-4 value with the channels last. Asking for a form that does not exist yet emits a `copy` step, or
 * costs nothing where the bytes are the same (one channel, or one pixel).
 */
import type { Activation } from '../activation.js'
import type { ConstantData, TensorId } from '../draft.js'
import type { StepKind, StepParameters } from '../steps.js'
import type { NodeView } from '../view.js'

/** The layout in which a tensor holds a value. */
export type Form = 'plain' | 'nhwc'

/** The interface between an operator and the lowering. */
export interface LowerContext {
  readonly view: NodeView
  /** The activation that a pass fused into this node. An operator that `acceptsActivation` must apply it. */
  readonly activation: Activation
  /** The form in which input `i` already exists; 'plain' if in both. */
  formOf(i: number): Form
  /** Input `i` in a form. Constants are permuted now, not at run time. */
  input(i: number, form: Form): TensorId
  /** Input `i` as the right-aligned broadcast operand of an output of `rank` dimensions. */
  operand(i: number, form: Form, rank: number): TensorId
  /** A new constant. Bytes may have a zero point. */
  constant(shape: readonly number[], data: ConstantData, zeroPoint?: number): TensorId
  /** Output `i` of the node in a form, with the shape from shape inference. */
  output(i: number, form: Form): TensorId
  /** A tensor between two steps of one node, with its sizes in memory order and the element type of the first output. */
  temporary(shape: readonly number[]): TensorId
  /** Declares that output `i` in a form is the same memory as a tensor. */
  alias(i: number, form: Form, tensor: TensorId): void
  /** Adds a step. The inputs, outputs and parameters are those of its row in the step table. */
  step<K extends StepKind>(
    kind: K,
    inputs: readonly (TensorId | null)[],
    outputs: readonly (TensorId | null)[],
    parameters: StepParameters<K>,
  ): void
  /** Sizes of a tensor in memory order. */
  sizes(tensor: TensorId): readonly number[]
}

/** Where an axis of a rank-4 value lies in NHWC. */
export function nhwcAxis(axis: number): number {
  return [0, 3, 1, 2][axis]!
}

/** A rank-4 shape in NHWC order. */
export function nhwcShape(shape: readonly number[]): readonly number[] {
  return [shape[0]!, shape[2]!, shape[3]!, shape[1]!]
}

/** An entry of the operator table. */
export interface Operator {
  readonly op: string
  /** What the native engine does not cover, for docs/operators.md; '' where it covers the standard in float32. */
  readonly limits: string
  /** Whether a pass may fuse an activation into it. */
  readonly acceptsActivation: boolean
  /** Whether its inputs and outputs may be bytes. */
  readonly takesBytes?: true
  /** Emits steps, or throws `Unsupported` with the reason. */
  readonly lower: (context: LowerContext) => void
}
