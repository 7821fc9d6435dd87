/**
 * Plans the arena: one block of memory for all tensors of a run. Tensors that are never alive together may share bytes.
 * A step that may work in place writes over an operand that no later step reads.
 */
import type { Draft, TensorId } from './draft.js'
import { align64 } from './plan.js'
import { stepTable, tensorBytes, type StepKind } from './steps.js'

/** Where the tensors of a draft lie. */
export interface MemoryPlan {
  /** Byte offset of every tensor of the arena, by its number. */
  readonly offsets: ReadonlyMap<TensorId, number>
  readonly arenaBytes: number
  /** The most bytes that are alive in one step. No plan can be smaller. */
  readonly lowerBoundBytes: number
}

/** Bytes that stay in one place from the first step that writes them to the last step that reads them. */
interface Block {
  readonly bytes: number
  readonly first: number
  last: number
  offset: number
}

const mayWriteInPlace = (kind: StepKind): boolean => 'inPlace' in stepTable[kind]

/** Places all tensors of a draft that are not constants. */
export function planMemory(draft: Draft): MemoryPlan {
  const blocks = blocksOf(draft)
  const unique = [...new Set(blocks.values())]
  const lowerBoundBytes = lowerBound(unique, draft.steps.length)
  const arenaBytes = unique.length === 0 ? 0 : place(unique, lowerBoundBytes)
  const offsets = new Map<TensorId, number>()
  draft.tensors.forEach((tensor, id) => {
    const block = blocks.get(tensor.root)
    if (block) offsets.set(id, block.offset)
  })
  return { offsets, arenaBytes, lowerBoundBytes }
}

/** The block of each root tensor of the arena. Two roots share a block where a step works in place. */
function blocksOf(draft: Draft): Map<TensorId, Block> {
  const { tensors, steps } = draft
  const root = (id: TensorId): TensorId => tensors[id]!.root
  const lastUse = new Map<TensorId, number>()
  steps.forEach((step, at) =>
    step.inputs.forEach((id) => {
      if (id !== null) lastUse.set(root(id), at)
    }),
  )
  // Inputs stay unchanged during the run, and outputs stay until the end.
  const pinned = new Set([...draft.inputs, ...draft.outputs].map(({ tensor }) => root(tensor)))
  for (const id of pinned) lastUse.set(id, steps.length)

  const blocks = new Map<TensorId, Block>()
  const add = (id: TensorId, first: number): void => {
    blocks.set(root(id), {
      bytes: align64(tensorBytes(tensors[root(id)]!)),
      first,
      last: lastUse.get(root(id)) ?? first,
      offset: 0,
    })
  }
  for (const { tensor } of draft.inputs) add(tensor, -1)
  steps.forEach((step, at) => {
    for (const id of step.outputs) {
      if (id === null || blocks.has(root(id))) continue
      const reused = mayWriteInPlace(step.kind)
        ? step.inputs.find((input) => input !== null && canReuse(draft, blocks, pinned, input, id, at))
        : undefined
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

/** Whether no later step reads an operand, and it has the result's sizes. */
function canReuse(
  draft: Draft,
  blocks: ReadonlyMap<TensorId, Block>,
  pinned: ReadonlySet<TensorId>,
  input: TensorId,
  output: TensorId,
  at: number,
): boolean {
  const { tensors } = draft
  const { root, shape } = tensors[input]!
  const block = blocks.get(root)
  return (
    block !== undefined &&
    block.last === at &&
    !pinned.has(root) &&
    shape.join() === tensors[output]!.shape.join() &&
    tensorBytes(tensors[root]!) === tensorBytes(tensors[output]!)
  )
}

/** How many orders to try before taking the best one. Each costs well under a millisecond. */
const attempts = 200

/**
 * Places blocks one after the other, largest first, and returns the arena's size. While that exceeds the bound, it moves
 * the block that ends last towards the front of the order and tries again.
 */
function place(blocks: readonly Block[], bound: number): number {
  let order = [...blocks].sort((a, b) => b.bytes - a.bytes || a.first - b.first)
  let least = Infinity
  let best: readonly number[] = []
  for (let attempt = 0; attempt < attempts && least > bound; attempt++) {
    placeInOrder(order, attempt % 2 === 0 ? bestGap : lowestGap)
    const top = order.reduce((highest, block) => (endOf(block) > endOf(highest) ? block : highest))
    if (endOf(top) < least) {
      least = endOf(top)
      best = blocks.map(({ offset }) => offset)
    }
    // To the front, or halfway to it, so that the orders differ.
    order = attempt % 4 < 2 ? movedTo(order, top, 0) : movedTo(order, top, Math.floor(order.indexOf(top) / 2))
  }
  blocks.forEach((block, i) => {
    block.offset = best[i]!
  })
  return least
}

function movedTo(order: readonly Block[], block: Block, at: number): Block[] {
  const rest = order.filter((other) => other !== block)
  return [...rest.slice(0, at), block, ...rest.slice(at)]
}

const endOf = ({ offset, bytes }: Block): number => offset + bytes

/** Places each block into a gap between the placed blocks that are alive at the same time. */
function placeInOrder(order: readonly Block[], gapFor: (neighbours: readonly Block[], bytes: number) => number): void {
  const placed: Block[] = []
  for (const block of order) {
    const neighbours = placed
      .filter((other) => other.first <= block.last && block.first <= other.last)
      .sort((a, b) => a.offset - b.offset)
    block.offset = gapFor(neighbours, block.bytes)
    placed.push(block)
  }
}

/** The first gap that is large enough. */
function lowestGap(neighbours: readonly Block[], bytes: number): number {
  let end = 0
  for (const { offset, bytes: taken } of neighbours) {
    if (offset - end >= bytes) return end
    end = Math.max(end, offset + taken)
  }
  return end
}

/** The smallest gap that is large enough. */
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
