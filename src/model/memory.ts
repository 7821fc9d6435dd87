/**
 * The lifetime memory plan: where each tensor of a run lies in one arena. Tensors that are never alive together may
 * share bytes; an element-wise step may write over an operand that nobody reads again.
 */
import { draftBytes, type Draft } from './lower.js'
import type { TensorId } from './operators/context.js'
import { align64 } from './plan.js'

export interface MemoryPlan {
  /** Byte offset of every arena tensor, by number; constants have none. */
  readonly offsets: ReadonlyMap<TensorId, number>
  readonly arenaBytes: number
  /** What no plan can be below: the most bytes that are alive in one step. */
  readonly lowerBoundBytes: number
}

/** Bytes that lie in one place from the first step that writes them to the last that reads them. */
interface Block {
  readonly bytes: number
  readonly first: number
  last: number
  offset: number
}

/** Kinds whose output may be the memory of an operand of the same size. */
const inPlaceKinds = new Set(['elementwise', 'binary'])

export function planMemory(draft: Draft): MemoryPlan {
  const blocks = blocksOf(draft)
  const unique = [...new Set(blocks.values())]
  const arenaBytes = place(unique)
  const offsets = new Map<TensorId, number>()
  draft.tensors.forEach((tensor, id) => {
    const block = blocks.get(tensor.root)
    if (block) offsets.set(id, block.offset)
  })
  return { offsets, arenaBytes, lowerBoundBytes: lowerBound(unique, draft.steps.length) }
}

/** A block for each root tensor of the arena; two roots share one where a step works in place. */
function blocksOf(draft: Draft): Map<TensorId, Block> {
  const { tensors, steps } = draft
  const root = (id: TensorId): TensorId => tensors[id]!.root
  const lastUse = new Map<TensorId, number>()
  steps.forEach((step, at) => step.inputs.forEach((id) => { if (id !== null) lastUse.set(root(id), at) }))
  // What the caller wrote stays as it is for the whole run, and what the caller reads stays until the end.
  const pinned = new Set([...draft.inputs, ...draft.outputs].map(({ tensor }) => root(tensor)))
  for (const id of pinned) lastUse.set(id, steps.length)

  const blocks = new Map<TensorId, Block>()
  const add = (id: TensorId, first: number): void => {
    blocks.set(root(id), { bytes: align64(draftBytes(tensors[root(id)]!)), first, last: lastUse.get(root(id)) ?? first, offset: 0 })
  }
  for (const { tensor } of draft.inputs) add(tensor, -1)
  steps.forEach((step, at) => {
    for (const id of step.outputs) {
      if (id === null || blocks.has(root(id))) continue
      const reused = inPlaceKinds.has(step.kind) ? step.inputs.find((input) => input !== null && canReuse(draft, blocks, pinned, input, id, at)) : undefined
      if (reused === undefined || reused === null) add(id, at)
      else {
        const block = blocks.get(root(reused))!
        block.last = lastUse.get(root(id)) ?? at
        blocks.set(root(id), block)
      }
    }
  })
  return blocks
}

/** Whether an operand dies in this step and has the result's sizes. */
function canReuse(draft: Draft, blocks: ReadonlyMap<TensorId, Block>, pinned: ReadonlySet<TensorId>, input: TensorId, output: TensorId, at: number): boolean {
  const { tensors } = draft
  const { root, shape } = tensors[input]!
  const block = blocks.get(root)
  return block !== undefined && block.last === at && !pinned.has(root) && shape.join() === tensors[output]!.shape.join() && draftBytes(tensors[root]!) === draftBytes(tensors[output]!)
}

/** Largest first, each into the smallest gap between the blocks that live at the same time; the arena's size. */
function place(blocks: readonly Block[]): number {
  const placed: Block[] = []
  for (const block of [...blocks].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    const neighbours = placed.filter((other) => other.first <= block.last && block.first <= other.last).sort((a, b) => a.offset - b.offset)
    block.offset = bestGap(neighbours, block.bytes)
    placed.push(block)
  }
  return placed.reduce((end, block) => Math.max(end, block.offset + block.bytes), 0)
}

function bestGap(neighbours: readonly Block[], bytes: number): number {
  let end = 0
  let best = -1
  let bestSize = Infinity
  for (const { offset, bytes: taken } of neighbours) {
    const gap = offset - end
    if (gap >= bytes && gap < bestSize) {
      best = end
      bestSize = gap
    }
    end = Math.max(end, offset + taken)
  }
  return best >= 0 ? best : end
}

function lowerBound(blocks: readonly Block[], steps: number): number {
  let most = 0
  for (let at = -1; at <= steps; at++) {
    const alive = blocks.reduce((sum, block) => (block.first <= at && at <= block.last ? sum + block.bytes : sum), 0)
    most = Math.max(most, alive)
  }
  return most
}
