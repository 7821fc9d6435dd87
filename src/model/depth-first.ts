/**
 * Groups a window (depthwise convolution or maximum) with the convolutions around it into one `chain` step, where the
 * tensors between them are too large for the cache. The executor then computes strip by strip, and these tensors never
 * exist as a whole.
 */
import type { Draft, TensorId } from './draft.js'
import type { PlanStep } from './plan.js'
import { byteChain, expandWindow, type ByteConv } from './quantized/chain.js'
import { tensorBytes, type StepParameters } from './steps.js'

/** Joins the names of the nodes that a grouped step computes. */
export const nameSeparator = ' + '

/** A first-level cache. Smaller tensors stay in it without grouping. */
const wideBytes = 32 * 1024

type FloatConv = Extract<PlanStep, { readonly kind: 'conv2d' }>
type Conv = FloatConv | ByteConv
type MaxPool = Extract<PlanStep, { readonly kind: 'pool2d' }>

/** The draft with chains; `separate` has names of groups that stay separate steps, because a measurement found them faster. */
export function groupChains(draft: Draft, separate: ReadonlySet<string> = new Set()): Draft {
  const uses = usesOf(draft)
  const isWindow = (step: PlanStep): step is Conv | MaxPool => isDepthwise(draft, step) || isMaxPool(step)
  const windows = draft.steps.filter(isWindow)
  const taken = new Map<PlanStep, PlanStep | null>()
  // The group that saves the most bytes first: a 1×1 convolution between two windows can belong to only one of them.
  for (;;) {
    const groups = windows
      .filter((step) => !taken.has(step))
      .flatMap((step) => groupAround(draft, uses, taken, step) ?? [])
      .filter(({ step }) => !separate.has(step.name))
    const [best] = groups.sort((one, other) => other.savedBytes - one.savedBytes)
    if (!best) break
    for (const part of best.parts) taken.set(part, null)
    // In the place of the last part, where all inputs of the group exist.
    taken.set(best.parts.at(-1)!, best.step)
  }
  if (taken.size === 0) return draft
  const steps = draft.steps.flatMap((step) => (taken.has(step) ? (taken.get(step) ?? []) : [step]))
  return withoutUnused({ ...draft, steps })
}

/** The maker and the readers of each tensor. The reader null is the caller of the plan. */
interface Uses {
  readonly maker: ReadonlyMap<TensorId, PlanStep>
  readonly readers: ReadonlyMap<TensorId, readonly (PlanStep | null)[]>
}

function usesOf({ tensors, steps, outputs }: Draft): Uses {
  const maker = new Map<TensorId, PlanStep>()
  const readers = new Map<TensorId, (PlanStep | null)[]>()
  const read = (id: TensorId, reader: PlanStep | null): void =>
    void readers.set(tensors[id]!.root, [...(readers.get(tensors[id]!.root) ?? []), reader])
  for (const step of steps) {
    for (const id of step.outputs) if (id !== null) maker.set(id, step)
    for (const id of step.inputs) if (id !== null) read(id, step)
  }
  for (const { tensor } of outputs) read(tensor, null)
  return { maker, readers }
}

const isConv = (step: PlanStep | null | undefined): step is Conv => step?.kind === 'conv2d' || step?.kind === 'qconv2d'

/** What a convolution adds to its sums. */
const residualOf = (step: Conv): TensorId | null => step.inputs[step.kind === 'conv2d' ? 3 : 4]!

function isDepthwise({ tensors }: Draft, step: PlanStep): step is Conv {
  if (!isConv(step)) return false
  const channels = tensors[step.inputs[0]!]!.shape[3]
  const isPlain = step.outputs[0] !== null && residualOf(step) === null
  return isPlain && step.parameters.groups === channels && tensors[step.inputs[1]!]!.shape[0] === channels
}

function isMaxPool(step: PlanStep): step is MaxPool {
  return step.kind === 'pool2d' && step.parameters.op === 'max'
}

/** A 1×1 convolution with stride 1 and no padding. */
function isPointwise({ parameters }: Conv): boolean {
  const { kernelH, kernelW, strideH, strideW, padTop, padLeft, padBottom, padRight, groups } = parameters
  return (
    kernelH === 1 &&
    kernelW === 1 &&
    strideH === 1 &&
    strideW === 1 &&
    padTop + padLeft + padBottom + padRight === 0 &&
    groups === 1
  )
}

/** Whether a step may stand before the window. Strips are computed directly, which suits 1×1 and strided kernels. */
function mayExpand(step: PlanStep | null | undefined): step is Conv {
  if (!isConv(step) || step.outputs[0] === null || step.outputs[1] !== null || residualOf(step) !== null) return false
  return (
    isPointwise(step) || (step.parameters.groups === 1 && step.parameters.strideH > 1 && step.parameters.strideW > 1)
  )
}

function mayProject(step: PlanStep | null | undefined): step is Conv {
  return isConv(step) && step.outputs[0] !== null && step.outputs[1] === null && isPointwise(step)
}

interface Group {
  readonly step: PlanStep
  /** In the order of the plan. */
  readonly parts: readonly PlanStep[]
  /** Bytes of the tensors that no longer exist. */
  readonly savedBytes: number
}

/** The chain of a window and its neighbours, or null where no tensor between them is wide. */
function groupAround(
  draft: Draft,
  { maker, readers }: Uses,
  taken: ReadonlyMap<PlanStep, unknown>,
  window: Conv | MaxPool,
): Group | null {
  const onlyReader = (id: TensorId): PlanStep | null | undefined =>
    readers.get(draft.tensors[id]!.root)?.length === 1 ? readers.get(draft.tensors[id]!.root)![0] : undefined
  const bytesOf = (id: TensorId): number => tensorBytes(draft.tensors[id]!)
  const [x, y] = [window.inputs[0]!, window.outputs[0]!]
  const pooled = isConv(window) ? window.outputs[1]! : null
  const [before, after] = [maker.get(x), onlyReader(y)]
  const isAlike = (step: PlanStep): boolean => isConv(step) && (step.kind === window.kind || !isConv(window))
  const expand =
    mayExpand(before) && isAlike(before) && !taken.has(before) && onlyReader(x) === window && bytesOf(x) > wideBytes
      ? before
      : null
  const canProject =
    mayProject(after) && isAlike(after) && !taken.has(after) && after.inputs[0] === y && pooled === null
  const project = canProject && (expand !== null || (isConv(window) && bytesOf(y) > wideBytes)) ? after : null
  if (!expand && !project) return null
  const savedBytes = (expand ? bytesOf(x) : 0) + (project ? bytesOf(y) : 0)
  const parts = [...(expand ? [expand] : []), window, ...(project ? [project] : [])]
  const common = {
    name: parts.map(({ name }) => name).join(nameSeparator),
    outputs: [(project ?? window).outputs[0]!, pooled],
  }
  const step = stepOf(draft, common, window, expand, project)
  return step && { step, parts, savedBytes }
}

/** The group's step; null where bytes and floats meet in it, or a maximum of bytes. */
function stepOf(
  draft: Draft,
  common: Pick<PlanStep, 'name' | 'outputs'>,
  window: Conv | MaxPool,
  expand: Conv | null,
  project: Conv | null,
): PlanStep | null {
  const isByte = (step: Conv | MaxPool | null): step is ByteConv | null => step === null || step.kind === 'qconv2d'
  const isFloat = (step: Conv | null): step is FloatConv | null => step === null || step.kind === 'conv2d'
  if (window.kind === 'qconv2d')
    return isByte(expand) && isByte(project)
      ? { kind: 'qchain', ...common, ...byteChain(draft, window, expand, project) }
      : null
  if (!isFloat(expand) || !isFloat(project)) return null
  const parameters = parametersOf(window, expand, project)
  return { kind: 'chain', ...common, inputs: inputsOf(window, expand, project), parameters }
}

/** The inputs of the chain, in the order of its row in the step table. */
function inputsOf(
  window: FloatConv | MaxPool,
  expand: FloatConv | null,
  project: FloatConv | null,
): readonly (TensorId | null)[] {
  const input = (step: FloatConv | null, i: number): TensorId | null => step?.inputs[i] ?? null
  const depthwise = isConv(window) ? window : null
  return [
    (expand ?? window).inputs[0]!,
    input(depthwise, 1),
    input(depthwise, 2),
    input(expand, 1),
    input(expand, 2),
    input(project, 1),
    input(project, 2),
    input(project, 3),
  ]
}

function parametersOf(
  window: FloatConv | MaxPool,
  expand: FloatConv | null,
  project: FloatConv | null,
): StepParameters<'chain'> {
  const { kernelH, kernelW, strideH, strideW, padTop, padLeft, padBottom, padRight, dilationH, dilationW } =
    window.parameters
  const e = expand?.parameters
  return {
    op: isConv(window) ? 'depthwise' : 'max',
    kernelH,
    kernelW,
    strideH,
    strideW,
    padTop,
    padLeft,
    padBottom,
    padRight,
    dilationH,
    dilationW,
    ...(isConv(window)
      ? { activation: window.parameters.activation, a: window.parameters.a, b: window.parameters.b }
      : { activation: 'none', a: 0, b: 0 }),
    ...expandWindow(e),
    expandActivation: e?.activation ?? 'none',
    expandA: e?.a ?? 0,
    expandB: e?.b ?? 0,
    projectActivation: project?.parameters.activation ?? 'none',
    projectA: project?.parameters.a ?? 0,
    projectB: project?.parameters.b ?? 0,
  }
}

/** The draft without the tensors that no step and no port uses any more. */
function withoutUnused({ tensors, steps, inputs, outputs }: Draft): Draft {
  const used = new Set<TensorId>([...inputs, ...outputs].map(({ tensor }) => tensor))
  for (const step of steps) for (const id of [...step.inputs, ...step.outputs]) if (id !== null) used.add(id)
  for (const id of [...used]) used.add(tensors[id]!.root)
  const kept = [...used].sort((a, b) => a - b)
  const number = new Map(kept.map((id, i) => [id, i]))
  const renumbered = (id: TensorId | null): TensorId | null => (id === null ? null : number.get(id)!)
  const port = <P extends { readonly tensor: TensorId }>(given: P): P => ({
    ...given,
    tensor: number.get(given.tensor)!,
  })
  return {
    tensors: kept.map((id) => ({ ...tensors[id]!, root: number.get(tensors[id]!.root)! })),
    steps: steps.map((step) => ({
      ...step,
      inputs: step.inputs.map(renumbered),
      outputs: step.outputs.map(renumbered),
    })),
    inputs: inputs.map(port),
    outputs: outputs.map(port),
  }
}
