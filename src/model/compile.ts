/** The compiler: runs the passes on a prepared graph, lowers it to steps, groups chains and plans the memory. */
import { withByteInputs } from './byte-input.js'
import { framesOfClips } from './clips.js'
import { groupChains } from './depth-first.js'
import { planShape, withoutDeadTensors, type Draft } from './draft.js'
import { Unsupported, type Constant, type Graph, type UnsupportedNode } from './graph.js'
import { lowerGraph } from './lower.js'
import { planMemory } from './memory.js'
import { inHalfPrecision, type Precision } from './precision.js'
import { passes } from './passes/passes.js'
import { align64, type Plan, type PlanTensor } from './plan.js'
import { inferredAgain, type PreparedGraph } from './prepare.js'
import type { ByteType } from './quantized/code.js'
import { realGraph } from './quantized/real.js'

/** Options of `compilePlan`. */
export interface CompileOptions {
  /** Values that become outputs too, such as the feature map before GAP. A map stays channels last. */
  readonly extraOutputs?: readonly string[]
  /** The type in which 8-bit parts of a network are computed, as the target prefers it; null: as float32. Default null. */
  readonly bytes?: ByteType | null
  /** Whether an input of which only the bytes are needed is bytes. Default false: real numbers, rounded by a step. */
  readonly byteInputs?: boolean
  /** Whether every value of the network is an output and no steps are grouped, to measure what the values reach. */
  readonly isObserved?: boolean
  /** 'fp16' is half precision, which only the target neonhalf computes. Default 'fp32'. */
  readonly precision?: Precision
  /** Names of groups that `gapcam tune` found faster as separate steps. */
  readonly separate?: readonly string[]
  /** Called with the graph after each pass. `gapcam model passes` prints it. */
  readonly onPass?: (name: string, graph: Graph) => void
}

/** A plan, with the smallest size that its arena could have; or the nodes that are not covered. */
export type Compiled =
  | { readonly plan: Plan; readonly lowerBoundBytes: number }
  | { readonly unsupported: readonly UnsupportedNode[] }

/** What changes the shapes or types of a graph before the passes. Each result is inferred again. */
const rewrites: readonly { readonly name: string; readonly run: (graph: Graph, options: CompileOptions) => Graph }[] = [
  { name: 'real', run: (graph, { bytes }) => realGraph(graph, bytes ?? null) },
  { name: 'clips', run: framesOfClips },
]

/**
 * Compiles a prepared graph, or lists the nodes that the native engine does not cover.
 *
 *     const compiled = compilePlan(prepareNative(model.graph))
 *     if ('plan' in compiled) writeFileSync('x.plan', serializePlan(compiled.plan))
 */
export function compilePlan(prepared: PreparedGraph, options: CompileOptions = {}): Compiled {
  if (prepared.unsupported.length > 0) return { unsupported: prepared.unsupported }
  try {
    return compileSupported(prepared.graph, options)
  } catch (error) {
    // A pass found a violation of the standard in a node whose details shape inference does not need.
    if (error instanceof Unsupported) return { unsupported: [{ node: 'the graph', op: '', reason: error.message }] }
    throw error
  }
}

function compileSupported(prepared: Graph, options: CompileOptions): Compiled {
  const given = withOutputs(prepared, options.extraOutputs ?? [])
  options.onPass?.('prepare', given)
  let graph = given
  for (const { name, run } of rewrites) {
    const rewritten = run(graph, options)
    if (rewritten === graph) continue
    const known = inferredAgain(rewritten)
    if (known.unsupported.length > 0) return { unsupported: known.unsupported }
    graph = known.graph
    options.onPass?.(name, graph)
  }
  for (const { name, run } of passes) {
    graph = run(graph)
    options.onPass?.(name, graph)
  }
  const own = new Set(prepared.outputs.map(({ name }) => name))
  const lowered = lowerGraph(graph, new Set(options.extraOutputs?.filter((name) => !own.has(name))))
  if (!('draft' in lowered)) return lowered
  const { separate, precision, byteInputs, isObserved } = options
  if (isObserved) return planOf(withAllOutputs(lowered.draft))
  const draft = groupChains(byteInputs ? withByteInputs(lowered.draft) : lowered.draft, new Set(separate))
  return planOf(precision === 'fp16' ? inHalfPrecision(draft) : draft)
}

/** The graph with these values as outputs too. Names without a value are ignored. */
function withOutputs(graph: Graph, names: readonly string[]): Graph {
  const extra = names
    .filter((name) => !graph.outputs.some((output) => output.name === name))
    .map((name) => graph.values.get(name))
    .filter((value) => value !== undefined)
  return extra.length === 0 ? graph : { ...graph, outputs: [...graph.outputs, ...extra] }
}

/** The draft with every float32 tensor that a step makes as an output. */
function withAllOutputs(draft: Draft): Draft {
  const made = new Set(draft.steps.flatMap(({ outputs }) => outputs.filter((id) => id !== null)))
  const outputs = [...made]
    .filter((id) => draft.tensors[id]!.type === 'float32')
    .map((tensor) => ({ name: draft.tensors[tensor]!.name, tensor, layout: 'none' as const }))
  return { ...draft, outputs }
}

function planOf(given: Draft): Compiled {
  // Grouping, half precision and inputs of bytes leave tensors behind that no step makes.
  const draft = withoutDeadTensors(given)
  const { offsets, arenaBytes, lowerBoundBytes } = planMemory(draft)
  const constants = new ConstantPool()
  const tensors = draft.tensors.map((tensor, id): PlanTensor => {
    const { name, type, shape, bytes, scale, zeroPoint } = tensor
    const place = bytes
      ? { storage: 'constant' as const, offset: constants.add(bytes) }
      : { storage: 'arena' as const, offset: offsets.get(id) ?? 0 }
    return { name, type, shape: planShape(shape), ...place, scale, zeroPoint }
  })
  const { inputs, outputs, steps } = draft
  return {
    plan: { tensors, steps, inputs, outputs, arenaBytes, constants: constants.chunks, constantBytes: constants.bytes },
    lowerBoundBytes,
  }
}

/** Collects constants one after the other. The same bytes of the file are stored once. */
class ConstantPool {
  readonly chunks: { offset: number; bytes: Constant['bytes'] }[] = []
  bytes = 0
  readonly #known = new Map<ArrayBufferLike, Map<string, number>>()

  add(bytes: Uint8Array): number {
    const inBuffer = this.#known.get(bytes.buffer) ?? new Map<string, number>()
    this.#known.set(bytes.buffer, inBuffer)
    const key = `${bytes.byteOffset}+${bytes.byteLength}`
    const existing = inBuffer.get(key)
    if (existing !== undefined) return existing
    const offset = this.bytes
    this.chunks.push({ offset, bytes })
    this.bytes += align64(bytes.byteLength)
    inBuffer.set(key, offset)
    return offset
  }
}
