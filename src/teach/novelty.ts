/**
 * When a picture is none of the taught states. Two measures: the cosine distance of its features to the nearest taught
 * picture, and brightness, contrast or sharpness far outside of what was taught (night, fog, a blurred lens).
 */
import type { NoveltyLimits } from '../decision/novelty.js'
import { dot } from './ridge.js'

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

/** Added to the statistics before they are compared, in levels: near zero a factor says nothing. */
const sightFloor: SightStatistics = [4, 4, 1]

/** The cosine distance of a unit vector to the nearest of others, except those that `skip` names. */
export function nearestDistance(
  vector: Float32Array,
  others: readonly Float32Array[],
  skip: (index: number) => boolean = () => false,
): number {
  let nearest = -1
  others.forEach((other, i) => {
    if (!skip(i)) nearest = Math.max(nearest, dot(vector, other))
  })
  return 1 - nearest
}

/**
 * The limits. `taught` are unit vectors, `pictureOf` gives the picture of each (the looks at one picture do not count as
 * neighbours of each other), `ordinary` unit vectors of ordinary pictures, `none` of pictures that must be novel, `sights` the
 * statistics of the taught pictures.
 */
export function noveltyLimits(
  taught: readonly Float32Array[],
  pictureOf: readonly number[],
  { ordinary, none }: { readonly ordinary: readonly Float32Array[]; readonly none: readonly Float32Array[] },
  sights: readonly SightStatistics[],
): NoveltyLimits {
  const inside = Math.max(
    ...taught.flatMap((vector, i) =>
      pictureOf.indexOf(pictureOf[i]!) === i
        ? [nearestDistance(vector, taught, (j) => pictureOf[j] === pictureOf[i])]
        : [],
    ),
  )
  const [outside, excluded] = [ordinary, none].map((vectors) =>
    quantile(
      vectors.map((vector) => nearestDistance(vector, taught)),
      ordinaryQuantile,
    ),
  ) as [number, number]
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
