/** Nearest neighbours among unit vectors, and the threshold above which two pictures show the same. */
import { dot } from '../teach/novelty.js'

/** The pictures of one name. */
export interface NamedVectors {
  readonly name: string
  /** Of length 1. */
  readonly vectors: readonly Float32Array[]
}

/** A name with the cosine of its nearest picture. */
export interface Match {
  readonly name: string
  readonly cosine: number
}

/** All names, the nearest first; equal ones in their order. */
export function matches(vector: Float32Array, names: readonly NamedVectors[]): readonly Match[] {
  return names
    .map(({ name, vectors }) => ({ name, cosine: nearest(vector, vectors) }))
    .sort((a, b) => b.cosine - a.cosine)
}

function nearest(vector: Float32Array, others: readonly Float32Array[], skip = -1): number {
  let best = -1
  others.forEach((other, i) => {
    if (i !== skip) best = Math.max(best, dot(vector, other))
  })
  return best
}

/** How a threshold was found, and how well it separates. */
export interface Calibration {
  /** Lower cosines are `unknown`. */
  readonly threshold: number
  /** A logistic function of so many times the difference to the threshold is the score. */
  readonly scale: number
  /** Share of impostors that may pass. */
  readonly rate: number
  /** Pictures of other names, and ordinary ones, and how many of them pass. */
  readonly impostors: number
  readonly accepted: number
  /** Pictures with another one of the same name, and how many of them do not pass. */
  readonly genuine: number
  readonly rejected: number
}

/** Fewer impostors than this say little: the network's own usual threshold is a lower bound then. */
const fewImpostors = 20
/** How far the threshold lies from the impostors towards the lowest twentieth of the genuine ones. */
const shareTowardsGenuine = 0.3
/** Without any of both. */
const plainThreshold = 0.5
const leastGap = 0.02
/** An ordinary picture that is enrolled is no impostor. */
const samePicture = 0.99999

/**
 * Calibrates on the pictures of the gallery, each against the others, and on `others`, which show none of the names. `usual` is the
 * threshold that the network's makers name; null where there is none.
 *
 *     const { threshold } = calibrate({ names, others: ordinary, rate: 0.01, usual: null })
 */
export function calibrate({
  names,
  others,
  rate,
  usual,
}: {
  readonly names: readonly NamedVectors[]
  readonly others: readonly Float32Array[]
  readonly rate: number
  readonly usual: number | null
}): Calibration {
  const genuine = names.flatMap(({ vectors }) =>
    vectors.length < 2 ? [] : vectors.map((vector, i) => nearest(vector, vectors, i)),
  )
  const impostors = [
    ...names.flatMap(({ name, vectors }) => {
      const rest = names.flatMap((other) => (other.name === name ? [] : other.vectors))
      return rest.length === 0 ? [] : vectors.map((vector) => nearest(vector, rest))
    }),
    ...(names.length === 0 ? [] : others.map((vector) => matches(vector, names)[0]!.cosine)).filter(
      (cosine) => cosine < samePicture,
    ),
  ]
  const threshold = thresholdOf(genuine, impostors, rate, usual)
  const middle = genuine.length === 0 ? (1 + threshold) / 2 : quantile(genuine, 0.5)
  return {
    threshold,
    // The middle genuine picture has a score of 0.95.
    scale: Math.log(19) / Math.max(leastGap, middle - threshold),
    rate,
    impostors: impostors.length,
    accepted: impostors.filter((cosine) => cosine >= threshold).length,
    genuine: genuine.length,
    rejected: genuine.filter((cosine) => cosine < threshold).length,
  }
}

function thresholdOf(
  genuine: readonly number[],
  impostors: readonly number[],
  rate: number,
  usual: number | null,
): number {
  if (impostors.length === 0) return usual ?? plainThreshold
  const strangers = quantile(impostors, 1 - rate)
  const own = genuine.length === 0 ? strangers : quantile(genuine, 0.05)
  // Just above the impostors where the two overlap.
  const measured = strangers + Math.max(1e-4, shareTowardsGenuine * (own - strangers))
  return impostors.length < fewImpostors && usual !== null ? Math.max(usual, measured) : measured
}

/** The value that a share of all does not exceed. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length - 1e-9))]!
}
