/**
 * Sparse weights of a TFLite file as a dense tensor. SparsityParameters describe a tree: one level for each axis, and one
 * for each axis inside a block, in traversal order. A dense level has all its indices, a sparse one (CSR) lists those that
 * have values. The leaves, in order, are the stored values. A damaged tree is a MODEL_INVALID; no value is read twice.
 */
import { GapcamError } from '../../errors.js'
import { elementBytes, elementCount, type TensorType } from '../../tensor.js'
import type { Table } from './flatbuffer.js'

/** A tensor with a larger share of zeros is refused, so that a small file cannot claim all memory. */
const mostZerosPerValue = 256
const mostAxes = 16

interface Level {
  /** An axis, or the rank plus the number of a block. */
  readonly place: number
  /** Indices of a dense level. */
  readonly size: number
  /** A sparse level: node p has the indices from `segments[p]` to `segments[p + 1]`. */
  readonly sparse: { readonly segments: readonly number[]; readonly indices: readonly number[] } | null
}

/** The dense elements, new memory. `table` is the tensor's SparsityParameters. Throws MODEL_INVALID. */
export function denseBytes(
  table: Table,
  stored: Uint8Array,
  { type, shape, name }: { readonly type: TensorType; readonly shape: readonly number[]; readonly name: string },
): Uint8Array {
  const bytes = elementBytes[type]
  const count = stored.length / bytes
  const damaged = (): GapcamError =>
    new GapcamError('MODEL_INVALID', `the sparse weights of tensor ${name} are damaged`)
  if (elementCount(shape) > Math.max(1, count) * mostZerosPerValue) throw damaged()
  const levels = readLevels(table)
  const blocks = table.ints(1)
  const sizes = blockSizes(levels, blocks, shape.length)
  if (!sizes) throw damaged()
  const strides = levels.map(({ place }) => {
    const axis = place < shape.length ? place : blocks[place - shape.length]!
    return elementCount(shape.slice(axis + 1)) * (place < shape.length ? sizes[axis]! : 1)
  })
  const dense = new Uint8Array(elementCount(shape) * bytes)
  const walk = (depth: number, node: number, at: number): void => {
    const level = levels[depth]
    if (!level) {
      if (node >= count || (at + 1) * bytes > dense.length) throw damaged()
      dense.set(stored.subarray(node * bytes, (node + 1) * bytes), at * bytes)
      return
    }
    const { sparse, size } = level
    if (sparse && node + 1 >= sparse.segments.length) throw damaged()
    const [from, to] = sparse ? [sparse.segments[node]!, sparse.segments[node + 1]!] : [node * size, (node + 1) * size]
    for (let next = from; next < to; next++)
      walk(depth + 1, next, at + (sparse ? sparse.indices[next]! : next - from) * strides[depth]!)
  }
  if (levels.some(({ sparse }) => sparse && !isSound(sparse))) throw damaged()
  walk(0, 0, 0)
  return dense
}

/** Segments that grow and end with the last index reach each index at most once. */
function isSound({ segments, indices }: NonNullable<Level['sparse']>): boolean {
  const grows = segments.every((from, i) => from >= 0 && (i === 0 || from >= segments[i - 1]!))
  return grows && segments.at(-1) === indices.length && indices.every((index) => index >= 0)
}

function readLevels(table: Table): Level[] {
  const order = table.ints(0)
  return table.tables(2).map((level, i) => ({
    place: order[i] ?? -1,
    size: level.int(1),
    sparse: level.byte(0) === 1 ? { segments: indexVector(level, 2), indices: indexVector(level, 4) } : null,
  }))
}

/** A union SparseIndexVector: its type at `field` (32, 16 or 8 bits), its table behind. */
function indexVector(level: Table, field: number): readonly number[] {
  const vector = level.table(field + 1)
  if (!vector) return []
  const type = level.byte(field)
  if (type === 1) return vector.ints(0)
  return type === 2 ? vector.shorts(0) : Array.from(vector.bytes(0))
}

/** By axis, the elements of a block along it; null where the levels do not name every axis and block once. */
function blockSizes(levels: readonly Level[], blocks: readonly number[], rank: number): readonly number[] | null {
  if (levels.length !== rank + blocks.length || levels.length > mostAxes) return null
  const places = new Set(levels.map(({ place }) => place))
  if (places.size !== levels.length || [...places].some((place) => place < 0 || place >= rank + blocks.length))
    return null
  if (levels.some(({ size, sparse }) => !sparse && size <= 0) || new Set(blocks).size !== blocks.length) return null
  if (blocks.some((axis) => axis < 0 || axis >= rank)) return null
  return Array.from({ length: rank }, (_, axis) => {
    const block = blocks.indexOf(axis)
    return block < 0 ? 1 : levels.find(({ place }) => place === rank + block)!.size
  })
}
