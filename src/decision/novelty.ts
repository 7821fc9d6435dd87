/** Whether a picture is none of the states that a model was taught. */

/** What makes a picture novel: its features, or a statistic of its pixels outside of what was taught. */
export const noveltyCauses = ['features', 'brightness', 'contrast', 'sharpness'] as const
export type NoveltyCause = (typeof noveltyCauses)[number]

/** How far a picture is from everything that a model was taught. */
export interface Novelty {
  /** Cosine distance to the nearest taught picture, 0 to 2. */
  readonly distance: number
  /** A greater distance is novel. */
  readonly limit: number
  /** Null: the picture is like the taught ones. */
  readonly cause: NoveltyCause | null
}

/** Limits of a taught model. */
export interface NoveltyLimits {
  /** Greater distances are novel. */
  readonly distance: number
  /** Lower and upper limit of brightness, contrast and sharpness, in levels. */
  readonly sight: readonly (readonly [low: number, high: number])[]
}

const statistics = ['brightness', 'contrast', 'sharpness'] as const

/** The first limit that is passed; a number that is not finite passes its limit. */
export function noveltyCause(
  distance: number,
  sight: ArrayLike<number>,
  { distance: limit, sight: ranges }: NoveltyLimits,
): NoveltyCause | null {
  for (const [i, name] of statistics.entries()) {
    const [low, high] = ranges[i]!
    if (!(sight[i]! >= low && sight[i]! <= high)) return name
  }
  return distance <= limit ? null : 'features'
}
