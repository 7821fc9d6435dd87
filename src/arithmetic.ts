/** What native/binding/teach.cc computes, and src/teach/plain.ts where the addon does not load. */

/** Matrices are row-major. A vector joins parts of these lengths. Arrays must not be written before the promise settles. */
export interface Arithmetic {
  /** Each part of each vector less the mean, brought to the length of its weight; zeros stay zeros. [vectors, length] */
  joinVectors(
    raw: readonly Float32Array[],
    mean: Float32Array,
    lengths: Uint32Array,
    weights: Float32Array,
  ): Promise<Float32Array>
  /**
   * Products of each row with each column, [rows, columns]; null columns: the rows. Each part of a vector is rounded to 8 bits by
   * its largest number first, an error of about a thousandth of the product of two vectors of length 1.
   */
  byteProducts(
    rows: readonly Float32Array[],
    columns: readonly Float32Array[] | null,
    lengths: Uint32Array,
  ): Promise<Float64Array>
  /** Row c has column c of L⁻¹, where L Lᵀ is a symmetric matrix, [n, n], with a number added on its diagonal. */
  inverseRoot(matrix: Float64Array, n: number, added: number): Promise<Float64Array>
  /** Σ alpha[i, state] · vectors[i], [states, length]; alpha is [vectors, states]. */
  weightedSums(vectors: readonly Float32Array[], alpha: Float32Array, states: number): Promise<Float32Array>
}
