/**
 * Half precision: rewrites a draft so that the steps that profit compute on float16 tensors, with casts where a value
 * crosses between them and the others. Constants and means stay float32; the target rounds weights when it packs them.
 */
import type { Draft, DraftTensor, TensorId } from './draft.js'
import type { PlanStep } from './plan.js'
import { stepTable, type ElementwiseOp } from './steps.js'

/** How a plan computes: 'fp16' is half precision, which only the target neonhalf has. */
export type Precision = 'fp32' | 'fp16'

/** Activations that need no exponential function. */
const plainActivations: readonly ElementwiseOp[] = ['none', 'relu', 'clip', 'hardSwish']

/** Whether a step computes in half precision. */
function isHalf(step: PlanStep, tensors: readonly DraftTensor[]): boolean {
  if (step.inputs.some((id) => id !== null && tensors[id]!.type !== 'float32')) return false
  switch (step.kind) {
    case 'pool2d':
      return true
    case 'conv2d':
      return plainActivations.includes(step.parameters.activation)
    case 'chain': {
      const { activation, expandActivation, projectActivation } = step.parameters
      return [activation, expandActivation, projectActivation].every((name) => plainActivations.includes(name))
    }
    default:
      return false
  }
}

/** The draft for half precision. A draft without a step that profits is returned as it is. */
export function inHalfPrecision(draft: Draft): Draft {
  return draft.steps.some((step) => step.kind !== 'pool2d' && isHalf(step, draft.tensors))
    ? new Rewriting(draft).finish()
    : draft
}

class Rewriting {
  readonly #draft: Draft
  readonly #tensors: DraftTensor[]
  readonly #steps: PlanStep[] = []
  /** The same value in half precision, by the tensor in single precision. */
  readonly #halves = new Map<TensorId, TensorId>()
  /** Tensors in single precision whose value exists. */
  readonly #singles = new Set<TensorId>()

  constructor(draft: Draft) {
    this.#draft = draft
    this.#tensors = [...draft.tensors]
    for (const { tensor } of draft.inputs) this.#singles.add(tensor)
  }

  finish(): Draft {
    for (const step of this.#draft.steps) {
      if (isHalf(step, this.#draft.tensors)) this.#halfStep(step)
      else this.#singleStep(step)
    }
    for (const { tensor } of this.#draft.outputs) this.#single(tensor)
    return { ...this.#draft, tensors: this.#tensors, steps: this.#steps }
  }

  #halfStep(step: PlanStep): void {
    const inputs = step.inputs.map((id, i) => (id !== null && this.#isValue(step, i) ? this.#half(id) : id))
    // The second output of a convolution or chain is a mean, which stays in single precision.
    const outputs = step.outputs.map((id, i) => (id !== null && i === 0 ? this.#newHalf(id) : id))
    const mean = step.outputs[1]
    if (mean !== null && mean !== undefined) this.#singles.add(this.#root(mean))
    this.#steps.push({ ...step, inputs, outputs })
  }

  #singleStep(step: PlanStep): void {
    for (const id of step.inputs) if (id !== null) this.#single(id)
    for (const id of step.outputs) if (id !== null) this.#singles.add(this.#root(id))
    this.#steps.push(step)
  }

  #isValue(step: PlanStep, i: number): boolean {
    const rows = stepTable[step.kind].inputs
    return rows[Math.min(i, rows.length - 1)]!.use === 'value'
  }

  #root(id: TensorId): TensorId {
    return this.#tensors[id]!.root
  }

  /** A new tensor in half precision for a result. Aliases of the result are aliases of it too. */
  #newHalf(id: TensorId): TensorId {
    const half = this.#add(id)
    this.#halves.set(this.#root(id), half)
    return half
  }

  #add(id: TensorId): TensorId {
    const { name, shape } = this.#tensors[id]!
    const half = this.#tensors.length
    this.#tensors.push({ ...this.#tensors[id]!, name, shape, type: 'float16', bytes: null, root: half })
    return half
  }

  /** The tensor of a value in half precision, with a cast if there is none yet. */
  #half(id: TensorId): TensorId {
    const root = this.#root(id)
    const known = this.#halves.get(root)
    if (known === undefined) {
      const half = this.#newHalf(id)
      this.#cast(id, half)
      return half
    }
    const { shape } = this.#tensors[id]!
    if (shape.join() === this.#tensors[known]!.shape.join()) return known
    // The same memory under another shape.
    const alias = this.#tensors.length
    this.#tensors.push({ ...this.#tensors[known]!, shape, root: this.#tensors[known]!.root })
    return alias
  }

  /** Makes sure that a value exists in single precision. */
  #single(id: TensorId): void {
    const root = this.#root(id)
    const half = this.#halves.get(root)
    if (half === undefined || this.#singles.has(root) || this.#tensors[id]!.bytes !== null) return
    this.#singles.add(root)
    this.#cast(half, root)
  }

  #cast(from: TensorId, to: TensorId): void {
    this.#steps.push({
      kind: 'cast',
      name: `${this.#tensors[from]!.name} cast`,
      inputs: [from],
      outputs: [to],
      parameters: {},
    })
  }
}
