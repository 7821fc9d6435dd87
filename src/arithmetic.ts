/** What native/binding/teach.cc computes, and src/teach/plain.ts where the addon does not load. */

/**
 * What raw vectors have in common. A raw vector joins parts of these lengths, and stands for itself less the mean, each part
 * brought to the length of its weight; zeros stay zeros.
 */
export interface VectorSpace {
  /** [sum of the lengths] */
  readonly mean: Float32Array
  readonly lengths: Uint32Array
  /** One for each part. */
  readonly weights: Float32Array
}

/** Samples of which a regression makes predictions. */
export interface RidgeSamples {
  /** Of all pairs, [samples, samples]. */
  readonly products: Float64Array
  /** The state of each sample, less than `stateCount`. */
  readonly states: Uint32Array
  readonly stateCount: number
  /** A number of each sample, less than that of the samples; those of one number are left out together. */
  readonly groups: Uint32Array
  /** They are tried one after the other until the squared left-out errors stop falling. */
  readonly lambdas: Float64Array
}

/** Matrices are row-major. Arrays must not be written before the promise settles. */
export interface Arithmetic {
  /** The vectors themselves, [vectors, length]. */
  joinVectors(raw: readonly Float32Array[], space: VectorSpace): Promise<Float32Array>
  /**
   * Products of each row with each column, [rows, columns]; null columns: the rows. Each part of a vector is rounded to 8 bits by
   * its largest number first, an error of about a thousandth of the product of two vectors of length 1.
   */
  byteProducts(
    rows: readonly Float32Array[],
    columns: readonly Float32Array[] | null,
    space: VectorSpace,
  ): Promise<Float64Array>
  /**
   * Kernel ridge regression by the last λ before the squared left-out errors stop falling: one array of [samples, states] weights of the
   * samples, [states] intercepts, [samples, states] left-out predictions, and λ.
   */
  fitRidge(samples: RidgeSamples): Promise<Float64Array>
  /** Σ alpha[i, state] · vector i, [length, states]; alpha is [vectors, states]. */
  weightedSums(
    raw: readonly Float32Array[],
    space: VectorSpace,
    alpha: Float64Array,
    states: number,
  ): Promise<Float32Array>
}
