/** The compiler: a prepared graph through the passes, lowered to steps, given memory. */
import { groupChains } from './depth-first.js'
import type { Constant, Graph } from './graph.js'
import { lowerGraph, planSizes, type Draft } from './lower.js'
import { planMemory } from './memory.js'
import { passes } from './passes/passes.js'
import { align64, type Plan, type PlanTensor } from './plan.js'
import type { PreparedGraph, UnsupportedNode } from './prepare.js'
import { Unsupported } from './view.js'

export interface CompileOptions {
  /** Values to give out beside the model's own outputs, such as the feature map before GAP. */
  readonly extraOutputs?: readonly string[]
  /** Names of groups that `gapcam tune` found faster as steps of their own. */
  readonly separate?: readonly string[]
  /** Is told the graph after each pass; `gapcam model passes` prints it. */
  readonly onPass?: (name: string, graph: Graph) => void
}

export type Compiled =
  | { readonly plan: Plan; readonly lowerBoundBytes: number }
  | { readonly unsupported: readonly UnsupportedNode[] }

/** Compiles a graph that `prepareGraph` made, or says which nodes the native engine does not cover. */
export function compilePlan(prepared: PreparedGraph, options: CompileOptions = {}): Compiled {
  if (prepared.unsupported.length > 0) return { unsupported: prepared.unsupported }
  try {
    return compileSupported(prepared.graph, options)
  } catch (error) {
    // A pass met what the standard forbids in a node that shape inference did not need to look at.
    if (error instanceof Unsupported) return { unsupported: [{ node: 'the graph', op: '', reason: error.message }] }
    throw error
  }
}

function compileSupported(prepared: Graph, options: CompileOptions): Compiled {
  let graph = withOutputs(prepared, options.extraOutputs ?? [])
  options.onPass?.('prepare', graph)
  for (const { name, run } of passes) {
    graph = run(graph)
    options.onPass?.(name, graph)
  }
  const lowered = lowerGraph(graph)
  return 'draft' in lowered ? planOf(groupChains(lowered.draft, new Set(options.separate))) : lowered
}

function withOutputs(graph: Graph, names: readonly string[]): Graph {
  const extra = names
    .filter((name) => !graph.outputs.some((output) => output.name === name))
    .map((name) => graph.values.get(name))
    .filter((value) => value !== undefined)
  return extra.length === 0 ? graph : { ...graph, outputs: [...graph.outputs, ...extra] }
}

function planOf(draft: Draft): Compiled {
  const { offsets, arenaBytes, lowerBoundBytes } = planMemory(draft)
  const constants = new ConstantPool()
  const tensors = draft.tensors.map((tensor, id): PlanTensor => {
    const { name, type, shape, bytes } = tensor
    const place = bytes
      ? { storage: 'constant' as const, offset: constants.add(bytes) }
      : { storage: 'arena' as const, offset: offsets.get(id) ?? 0 }
    return { name, type, shape: planSizes(shape), ...place, scale: 1, zeroPoint: 0 }
  })
  const { inputs, outputs, steps } = draft
  return {
    plan: { tensors, steps, inputs, outputs, arenaBytes, constants: constants.chunks, constantBytes: constants.bytes },
    lowerBoundBytes,
  }
}

/** Constants one after the other; the same view of the file is stored once. */
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
