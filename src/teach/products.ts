/** Products of all pairs of vectors: most of the work of fitting a head. */
import type { VectorSpace } from '../arithmetic.js'
import { arithmetic } from './arithmetic.js'

/** Remembers the pairs of the last call: a picture more costs its own row. */
export class PairProducts {
  #space: VectorSpace | null = null
  #known: ReadonlyMap<Float32Array, number> = new Map()
  #matrix: Float64Array = new Float64Array(0)

  /** The symmetric matrix, [vectors, vectors]. The same vectors and the same space are the same objects. */
  async of(vectors: readonly Float32Array[], space: VectorSpace): Promise<Float64Array> {
    const n = vectors.length
    const isSame = space === this.#space
    const old = vectors.map((vector) => (isSame ? (this.#known.get(vector) ?? -1) : -1))
    const fresh = old.flatMap((at, i) => (at < 0 ? [i] : []))
    const matrix =
      fresh.length > n / 3
        ? await arithmetic().byteProducts(vectors, null, space)
        : await this.#extended(vectors, space, { old, fresh })
    this.#space = space
    this.#known = new Map(vectors.map((vector, i) => [vector, i]))
    this.#matrix = matrix
    return matrix
  }

  async #extended(
    vectors: readonly Float32Array[],
    space: VectorSpace,
    { old, fresh }: { readonly old: readonly number[]; readonly fresh: readonly number[] },
  ): Promise<Float64Array> {
    const n = vectors.length
    const matrix = new Float64Array(n * n)
    const [known, size] = [this.#matrix, this.#known.size]
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) if (old[i]! >= 0 && old[j]! >= 0) matrix[i * n + j] = known[old[i]! * size + old[j]!]!
    if (fresh.length === 0) return matrix
    const rows = fresh.map((i) => vectors[i]!)
    const products = await arithmetic().byteProducts(rows, vectors, space)
    fresh.forEach((i, row) => {
      for (let j = 0; j < n; j++) {
        const value = products[row * n + j]!
        matrix[i * n + j] = value
        matrix[j * n + i] = value
      }
    })
    return matrix
  }
}
