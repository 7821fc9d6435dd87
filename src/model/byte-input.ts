/**
 * An input of bytes: where nothing but one `quantize` step reads an input of real numbers, its bytes become the input, and
 * the pixel path writes them. The other inputs stay as they are.
 */
import type { Draft, DraftPort } from './draft.js'
import type { PlanStep } from './plan.js'

/** The draft with inputs of bytes where that is possible. */
export function withByteInputs(draft: Draft): Draft {
  const found = draft.inputs.map((input) => quantizeOf(draft, input))
  const removed = new Set(found)
  return {
    ...draft,
    inputs: draft.inputs.map((input, i) => ({ ...input, tensor: found[i]?.outputs[0] ?? input.tensor })),
    steps: draft.steps.filter((step) => !removed.has(step)),
  }
}

/** The step that makes the bytes of an input; undefined where another step or an output needs the real numbers. */
function quantizeOf({ tensors, steps, outputs }: Draft, { tensor }: DraftPort): PlanStep | undefined {
  const isInput = (id: number | null): boolean => id !== null && tensors[id]!.root === tensor
  const readers = steps.filter(({ inputs }) => inputs.some(isInput))
  const [reader] = readers
  if (readers.length !== 1 || reader?.kind !== 'quantize' || outputs.some((output) => isInput(output.tensor)))
    return undefined
  return tensors[reader.outputs[0]!]!.root === reader.outputs[0] ? reader : undefined
}
