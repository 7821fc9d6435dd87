/**
 * From feature maps to vectors. Each map is pooled twice: on a grid of 3 by 3 cells, which keeps where a thing is, and as a
 * whole. The vector of a picture joins these parts. A part is centred on the mean of ordinary pictures, brought to length 1
 * and weighted, so that no part outweighs another by its scale.
 */
import type { FeatureMap } from './backbone.js'

/** Cells of the grid in each direction. */
export const gridSize = 3

/** One part of the vector: a map pooled on a grid or as a whole. */
export interface Part {
  readonly map: FeatureMap
  /** `gridSize`, or 1 for the mean of the whole map. */
  readonly cells: number
  /** Its length in the joined vector of few pictures; see `partWeights`. */
  readonly weight: number
}

/**
 * Weights that measured best on the tasks of docs/teach.md, on each half of them: the grids count most, the means help where a thing
 * moves, and that of the middle map more than that of the last one, whose cells see most of the picture anyway.
 */
const gridWeight = 1
const [headMeanWeight, middleMeanWeight] = [0.5, 1]

/** Where each state has this many pictures, the middle map's finer detail counts more: one or two say little of it. */
export const manyPictures = 3
const middleFactor = 2

/** The lengths of the parts in the joined vector, where the state that has fewest has this many pictures. */
export function partWeights(parts: readonly Part[], fewest: number): Float32Array {
  const factor = fewest < manyPictures ? 1 : middleFactor
  return Float32Array.from(parts, ({ map, weight }) => (map === parts[0]!.map ? weight : weight * factor))
}

/** A vector of a network over clips as the one part. */
export function clipParts(vector: FeatureMap): readonly Part[] {
  return [{ map: vector, cells: 1, weight: gridWeight }]
}

/** The parts of a backbone's vector, in order: the grids, then the means; the head's map comes before the middle one. */
export function partsOf(head: FeatureMap, middle: FeatureMap | null): readonly Part[] {
  const maps = middle ? [head, middle] : [head]
  return [
    ...maps.map((map) => ({ map, cells: gridSize, weight: gridWeight })),
    ...maps.map((map) => ({ map, cells: 1, weight: map === head ? headMeanWeight : middleMeanWeight })),
  ]
}

/**
 * The parts whose vectors tell what is novel: the means of the maps, which are the last ones. A taught vector joins as many of them as its length holds;
 * heads of earlier versions have the first one only.
 */
export function noveltyParts(parts: readonly Part[], length = Number.POSITIVE_INFINITY): readonly number[] {
  let left = length
  return parts.flatMap((part, i) => {
    if (part.cells !== 1 || partLength(part) > left) return []
    left -= partLength(part)
    return [i]
  })
}

/** Numbers of one part. */
export const partLength = ({ map, cells }: Part): number => map.channels * cells * cells

/**
 * The share of each place in each cell, [cells², places]: cell i of n covers the places from floor(i·size/n) up to
 * ceil((i+1)·size/n), so that neighbours overlap where the sizes do not divide.
 */
export function cellShares({ height, width }: Pick<FeatureMap, 'height' | 'width'>, cells: number): Float32Array {
  const shares = new Float32Array(height * width * cells * cells)
  for (let row = 0; row < cells; row++)
    for (let column = 0; column < cells; column++) {
      const [top, bottom] = spanOf(row, height, cells)
      const [left, right] = spanOf(column, width, cells)
      const share = 1 / ((bottom - top) * (right - left))
      for (let y = top; y < bottom; y++)
        for (let x = left; x < right; x++) shares[((row * cells + column) * height + y) * width + x] = share
    }
  return shares
}

const spanOf = (i: number, size: number, cells: number): readonly [number, number] => [
  Math.floor((i * size) / cells),
  Math.ceil(((i + 1) * size) / cells),
]

/** A picture before centring: its pooled parts, one after the other; `graph.ts` computes it within the network. */
export type RawVector = Float32Array

/** Means of ordinary pictures, in the order of the raw vector. */
export function meanOf(vectors: readonly RawVector[]): Float32Array {
  const sums = new Float64Array(vectors[0]?.length ?? 0)
  for (const vector of vectors) for (let i = 0; i < sums.length; i++) sums[i]! += vector[i]!
  return Float32Array.from(sums, (sum) => sum / vectors.length)
}

/** Centres, normalises and weights the parts of a raw vector: the vector that the head is fitted to. */
export function joined(raw: RawVector, mean: Float32Array, parts: readonly Part[]): Float32Array {
  const result = new Float32Array(raw.length)
  let start = 0
  for (const part of parts) {
    const end = start + partLength(part)
    let squares = 0
    for (let i = start; i < end; i++) squares += (raw[i]! - mean[i]!) ** 2
    const factor = squares > 0 ? part.weight / Math.sqrt(squares) : 0
    for (let i = start; i < end; i++) result[i] = (raw[i]! - mean[i]!) * factor
    start = end
  }
  return result
}

/** Where a part begins in the vector. */
export function partStart(parts: readonly Part[], index: number): number {
  return parts.slice(0, index).reduce((sum, part) => sum + partLength(part), 0)
}
