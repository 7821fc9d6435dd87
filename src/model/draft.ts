/**
 * A plan before its tensors have a place: tensors and steps, as lowering adds them. Tensors here have any rank; a plan
 * has at most five sizes.
 */
import { elementCount, type Layout } from '../tensor.js'
import { Unsupported } from './graph.js'
import type { PlanStep } from './plan.js'
import { tensorBytes, type PlanType } from './steps.js'

/** The number of a tensor of the draft. */
export type TensorId = number

/** A tensor without a place. */
export interface DraftTensor {
  readonly name: string
  readonly type: PlanType
  readonly shape: readonly number[]
  /** The data of a constant; null for a tensor of the arena. */
  readonly bytes: Uint8Array | null
  /** The tensor's own number, or that of the tensor whose memory it shares. */
  readonly root: TensorId
  /** Of bytes: real = scale · (byte − zeroPoint). Other types have 1 and 0. */
  readonly scale: number
  readonly zeroPoint: number
}

/** The data of a constant. */
export type ConstantData = Float32Array | Int32Array | Int8Array | Uint8Array

/** An input or output. */
export interface DraftPort {
  readonly name: string
  readonly tensor: TensorId
  readonly layout: Layout
}

/** Steps and tensors without memory. */
export interface Draft {
  readonly tensors: readonly DraftTensor[]
  readonly steps: readonly PlanStep[]
  readonly inputs: readonly DraftPort[]
  readonly outputs: readonly DraftPort[]
}

/** Most dimensions of a plan's tensor. */
export const maxRank = 5

/** Most bytes of a plan's tensor. */
const mostBytes = 2 ** 31

/** Collects tensors and steps in order. */
export class DraftBuilder {
  readonly tensors: DraftTensor[] = []
  readonly steps: PlanStep[] = []

  /** Adds a tensor and returns its number. Throws `Unsupported` where it is empty or too large. */
  tensor(name: string, shape: readonly number[], extra: Partial<DraftTensor> = {}): TensorId {
    if (shape.some((size) => size < 1)) throw new Unsupported(`${name} has the empty shape [${shape.join(', ')}]`)
    const id = this.tensors.length
    const tensor: DraftTensor = {
      name,
      type: 'float32',
      shape,
      bytes: null,
      root: id,
      scale: 1,
      zeroPoint: 0,
      ...extra,
    }
    if (tensorBytes(tensor) >= mostBytes) throw new Unsupported(`${name} is larger than a plan may be`)
    this.tensors.push(tensor)
    return id
  }

  constant(name: string, shape: readonly number[], data: ConstantData, zeroPoint = 0): TensorId {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    return this.tensor(name, shape, { bytes, type: typeOf(data), zeroPoint })
  }

  /** Another name and shape for the memory of a tensor. */
  alias(name: string, shape: readonly number[], tensor: TensorId): TensorId {
    const { type, root, bytes, scale, zeroPoint } = this.tensors[tensor]!
    return this.tensor(name, shape, { type, root, bytes, scale, zeroPoint })
  }

  shape(tensor: TensorId): readonly number[] {
    return this.tensors[tensor]!.shape
  }

  step(step: PlanStep): void {
    if (step.kind === 'binary')
      checkBroadcast(
        step.inputs.map((id) => this.shape(id!)),
        this.shape(step.outputs[0]!),
      )
    this.steps.push(step)
  }
}

function typeOf(data: ConstantData): PlanType {
  if (data instanceof Int32Array) return 'int32'
  if (data instanceof Int8Array) return 'int8'
  return data instanceof Uint8Array ? 'uint8' : 'float32'
}

/** The draft without tensors that neither a step nor a port uses. */
export function withoutDeadTensors(draft: Draft): Draft {
  const { tensors, steps, inputs, outputs } = draft
  const used = new Set<TensorId>()
  const use = (id: TensorId | null): void => {
    if (id !== null) used.add(id).add(tensors[id]!.root)
  }
  for (const step of steps) [...step.inputs, ...step.outputs].forEach(use)
  for (const { tensor } of [...inputs, ...outputs]) use(tensor)
  if (used.size === tensors.length) return draft
  const kept = [...used].toSorted((a, b) => a - b)
  const places = new Map(kept.map((id, place) => [id, place]))
  const moved = (id: TensorId | null): TensorId | null => (id === null ? null : places.get(id)!)
  const port = (each: DraftPort): DraftPort => ({ ...each, tensor: places.get(each.tensor)! })
  return {
    tensors: kept.map((id) => ({ ...tensors[id]!, root: places.get(tensors[id]!.root)! })),
    steps: steps.map((step) => ({ ...step, inputs: step.inputs.map(moved), outputs: step.outputs.map(moved) })),
    inputs: inputs.map(port),
    outputs: outputs.map(port),
  }
}

/** Leading dimensions that `planShape` joins must broadcast as one: an operand has all of them or none. */
function checkBroadcast(operands: readonly (readonly number[])[], result: readonly number[]): void {
  const kept = maxRank - 1
  const leading = (shape: readonly number[]): number => elementCount(shape.slice(0, Math.max(0, shape.length - kept)))
  const splits =
    result.length > maxRank && operands.some((shape) => leading(shape) !== 1 && leading(shape) !== leading(result))
  if (splits) throw new Unsupported(`it broadcasts among ${result.length} dimensions, a plan has at most ${maxRank}`)
}

/** A shape as a plan holds it: of more than five sizes, the first ones are joined. */
export function planShape(shape: readonly number[]): readonly number[] {
  const joined = shape.length - maxRank + 1
  return joined < 2 ? shape : [elementCount(shape.slice(0, joined)), ...shape.slice(joined)]
}
