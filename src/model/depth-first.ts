/**
 * Groups a depthwise convolution with the 1×1 convolutions around it into one `separable` step, where what lies between
 * them is too wide for the cache: the executor then computes it strip by strip, and the wide tensor never exists.
 */
import type { Draft } from './lower.js'
import type { TensorId } from './operators/context.js'
import type { PlanStep } from './plan.js'
import type { StepParameters } from './steps.js'

/** Between the names of the nodes that a grouped step computes. */
export const groupedNames = ' + '

/** Half of a second-level cache of 512 KiB, the least of the boards: what is smaller stays there anyway. */
const wideBytes = 256 * 1024

type Conv = Extract<PlanStep, { readonly kind: 'conv2d' }>

export function groupSeparable(draft: Draft): Draft {
  const uses = usesOf(draft)
  const depthwise = draft.steps.filter((step): step is Conv => isDepthwise(draft, step))
  const taken = new Map<PlanStep, PlanStep | null>()
  // The group that saves the most first: a 1×1 convolution between two depthwise ones can only belong to one of them.
  for (;;) {
    const groups = depthwise.filter((step) => !taken.has(step)).flatMap((step) => groupAround(draft, uses, taken, step) ?? [])
    const [best] = groups.sort((one, other) => other.savedBytes - one.savedBytes)
    if (!best) break
    for (const part of best.parts) taken.set(part, null)
    // In the place of the last part, when all that they read is there.
    taken.set(best.parts.at(-1)!, best.step)
  }
  if (taken.size === 0) return draft
  const steps = draft.steps.flatMap((step) => (taken.has(step) ? (taken.get(step) ?? []) : [step]))
  return withoutUnused({ ...draft, steps })
}

/** Makers and readers of each tensor; what the caller reads has the reader null. */
interface Uses {
  readonly maker: ReadonlyMap<TensorId, PlanStep>
  readonly readers: ReadonlyMap<TensorId, readonly (PlanStep | null)[]>
}

function usesOf({ tensors, steps, outputs }: Draft): Uses {
  const maker = new Map<TensorId, PlanStep>()
  const readers = new Map<TensorId, (PlanStep | null)[]>()
  const read = (id: TensorId, reader: PlanStep | null): void => void readers.set(tensors[id]!.root, [...(readers.get(tensors[id]!.root) ?? []), reader])
  for (const step of steps) {
    for (const id of step.outputs) if (id !== null) maker.set(id, step)
    for (const id of step.inputs) if (id !== null) read(id, step)
  }
  for (const { tensor } of outputs) read(tensor, null)
  return { maker, readers }
}

const isConv = (step: PlanStep | null | undefined): step is Conv => step?.kind === 'conv2d'

function isDepthwise({ tensors }: Draft, step: PlanStep): step is Conv {
  if (!isConv(step)) return false
  const channels = tensors[step.inputs[0]!]!.shape[3]
  const isPlain = step.outputs[0] !== null && step.outputs[1] === null && step.inputs[3] === null
  return isPlain && step.parameters.groups === channels && tensors[step.inputs[1]!]!.shape[0] === channels
}

/** A 1×1 convolution with stride 1 and no padding, without a mean. */
function isPointwise(step: PlanStep | null | undefined): step is Conv {
  if (!isConv(step) || step.outputs[0] === null || step.outputs[1] !== null) return false
  const { kernelH, kernelW, strideH, strideW, padTop, padLeft, padBottom, padRight, groups } = step.parameters
  return kernelH === 1 && kernelW === 1 && strideH === 1 && strideW === 1 && padTop + padLeft + padBottom + padRight === 0 && groups === 1
}

interface Group {
  readonly step: PlanStep
  /** In the order of the plan. */
  readonly parts: readonly PlanStep[]
  /** Of tensors that no longer exist. */
  readonly savedBytes: number
}

/** The step that takes the place of a depthwise convolution and its neighbours, or null where nothing between them is wide. */
function groupAround(draft: Draft, { maker, readers }: Uses, taken: ReadonlyMap<PlanStep, unknown>, depthwise: Conv): Group | null {
  const onlyReader = (id: TensorId): PlanStep | null | undefined => (readers.get(draft.tensors[id]!.root)?.length === 1 ? readers.get(draft.tensors[id]!.root)![0] : undefined)
  const bytesOf = (id: TensorId): number => draft.tensors[id]!.shape.reduce((bytes, size) => bytes * size, 4)
  const [x, y] = [depthwise.inputs[0]!, depthwise.outputs[0]!]
  const [before, after] = [maker.get(x), onlyReader(y)]
  const canExpand = isPointwise(before) && !taken.has(before) && before.inputs[3] === null && onlyReader(x) === depthwise
  const canProject = isPointwise(after) && !taken.has(after) && after.inputs[0] === y
  const expand = canExpand && bytesOf(x) > wideBytes ? before : null
  const project = canProject && (expand !== null || bytesOf(y) > wideBytes) ? after : null
  if (!expand && !project) return null
  const savedBytes = (expand ? bytesOf(x) : 0) + (project ? bytesOf(y) : 0)
  const last = project ?? depthwise
  const { activation, a, b, groups: _, ...window } = depthwise.parameters
  const parameters: StepParameters<'separable'> = {
    ...window, activation, a, b,
    ...{ expandActivation: expand?.parameters.activation ?? 'none', expandA: expand?.parameters.a ?? 0, expandB: expand?.parameters.b ?? 0 },
    ...{ projectActivation: project?.parameters.activation ?? 'none', projectA: project?.parameters.a ?? 0, projectB: project?.parameters.b ?? 0 },
  }
  const part = (step: Conv | null, i: number): TensorId | null => step?.inputs[i] ?? null
  const inputs = [expand ? expand.inputs[0]! : x, depthwise.inputs[1]!, depthwise.inputs[2]!, part(expand, 1), part(expand, 2), part(project, 1), part(project, 2), part(project, 3)]
  const parts = [...(expand ? [expand] : []), depthwise, ...(project ? [project] : [])]
  const step = { kind: 'separable' as const, name: parts.map(({ name }) => name).join(groupedNames), inputs, outputs: [last.outputs[0]!], parameters }
  return { step, parts, savedBytes }
}

/** The draft without the tensors that no step and no port names any more. */
function withoutUnused({ tensors, steps, inputs, outputs }: Draft): Draft {
  const used = new Set<TensorId>([...inputs, ...outputs].map(({ tensor }) => tensor))
  for (const step of steps) for (const id of [...step.inputs, ...step.outputs]) if (id !== null) used.add(id)
  for (const id of [...used]) used.add(tensors[id]!.root)
  const kept = [...used].sort((a, b) => a - b)
  const number = new Map(kept.map((id, i) => [id, i]))
  const renumbered = (id: TensorId | null): TensorId | null => (id === null ? null : number.get(id)!)
  const port = <P extends { readonly tensor: TensorId }>(given: P): P => ({ ...given, tensor: number.get(given.tensor)! })
  return {
    tensors: kept.map((id) => ({ ...tensors[id]!, root: number.get(tensors[id]!.root)! })),
    steps: steps.map((step) => ({ ...step, inputs: step.inputs.map(renumbered), outputs: step.outputs.map(renumbered) })),
    inputs: inputs.map(port), outputs: outputs.map(port),
  }
}
