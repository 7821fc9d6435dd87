/**
 * When a picture is none of the taught states. Two measures: the cosine distance of its features (means of the head's map and of
 * the middle one) to the nearest taught picture, and brightness, contrast or sharpness far outside of what was taught (night, fog, a blurred lens).
 */
import type { NoveltyLimits } from '../decision/novelty.js'

/** Brightness, contrast and sharpness of a picture, in levels. */
export type SightStatistics = readonly [brightness: number, contrast: number, sharpness: number]

/**
 * How far the limit lies from the greatest distance among the taught pictures towards the nearest ordinary ones. Measured on the
 * tasks of docs/teach.md: 0.2 misses fog and covered lenses, 0 refuses a twentieth of the taught states.
 */
const shareTowardsOrdinary = 0.1

/** The nearest twentieth of ordinary pictures. */
const ordinaryQuantile = 0.05

/** Statistics may leave the taught range by this factor. */
const sightFactor = 2

/**
 * Added to the statistics before they are compared, in levels: near zero a factor says nothing. Contrast and sharpness of small
 * pictures are a few levels, so that larger floors miss blur and fog.
 */
const sightFloor: SightStatistics = [4, 2, 0.5]

/** The cosine distance of a unit vector to the nearest of others. */
export function nearestDistance(vector: Float32Array, others: readonly Float32Array[]): number {
  return 1 - others.reduce((nearest, other) => Math.max(nearest, dot(vector, other)), -1)
}

/**
 * The distance of each vector to the nearest of others, by the products of unit vectors, [vectors, others]; `skip` names pairs
 * that do not count.
 */
export function nearestDistances(
  products: ArrayLike<number>,
  others: number,
  skip: (vector: number, other: number) => boolean = () => false,
): readonly number[] {
  return Array.from({ length: others === 0 ? 0 : products.length / others }, (_, i) => {
    let nearest = -1
    for (let j = 0; j < others; j++) if (!skip(i, j)) nearest = Math.max(nearest, products[i * others + j]!)
    return 1 - nearest
  })
}

/** Distances to the nearest taught picture. */
export interface Distances {
  /** Of each taught picture to the others. */
  readonly taught: readonly number[]
  readonly ordinary: readonly number[]
  /** Of pictures that must be novel. */
  readonly none: readonly number[]
}

/** The limits; `sights` are the statistics of the taught pictures. */
export function noveltyLimits(
  { taught, ordinary, none }: Distances,
  sights: readonly SightStatistics[],
): NoveltyLimits {
  const inside = Math.max(...taught)
  const [outside, excluded] = [ordinary, none].map((distances) => quantile(distances, ordinaryQuantile)) as [
    number,
    number,
  ]
  const distance = Math.min(inside + shareTowardsOrdinary * Math.max(0, outside - inside), excluded)
  const sight = sightFloor.map((floor, k) => {
    const values = sights.map((statistics) => statistics[k]! + floor)
    return [Math.min(...values) / sightFactor - floor, Math.max(...values) * sightFactor - floor] as const
  })
  return { distance, sight }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(share * (sorted.length - 1))] ?? 2
}

/** The product of two vectors of one length, in four sums. */
export function dot(a: Float32Array, b: Float32Array): number {
  let [s, t, u, v] = [0, 0, 0, 0]
  let i = 0
  for (; i + 3 < a.length; i += 4) {
    s += a[i]! * b[i]!
    t += a[i + 1]! * b[i + 1]!
    u += a[i + 2]! * b[i + 2]!
    v += a[i + 3]! * b[i + 3]!
  }
  for (; i < a.length; i++) s += a[i]! * b[i]!
  return s + t + (u + v)
}
