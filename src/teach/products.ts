/** Products of vectors, on the engine: they are most of the work of fitting a head. */
import { openEngine } from '../engine/select.js'
import type { EngineOptions } from '../engine/engine.js'
import { madeNode, type Graph, type Value } from '../model/graph.js'
import { asModel } from '../model/in-memory.js'

/**
 * The products of each row with each column, [rows, columns]; vectors of different lengths are an error of the caller. The engine
 * sums in single precision and in an order of its own, which depends on the target.
 */
export async function productsOf(
  rows: readonly Float32Array[],
  columns: readonly Float32Array[],
  options: EngineOptions,
): Promise<Float32Array> {
  const length = columns[0]?.length ?? 0
  if (rows.length === 0 || columns.length === 0) return new Float32Array(0)
  const { inputSize: _, ...plain } = options
  const graph = productGraph(rows === columns ? null : rows.length, columns.length, length)
  const engine = await openEngine(asModel(graph, { path: 'products' }), 'auto', plain)
  try {
    for (const [name, vectors] of [
      ['rows', rows],
      ['vectors', columns],
    ] as const) {
      const input = engine.inputs.find((each) => each.name === name)?.data as Float32Array | undefined
      if (input) vectors.forEach((vector, i) => input.set(vector, i * length))
    }
    await engine.run()
    return (engine.outputs[0]!.data as Float32Array).slice()
  } finally {
    await engine.close()
  }
}

/** Null rows: those are the columns. */
function productGraph(rows: number | null, columns: number, length: number): Graph {
  const vectors: Value = { name: 'vectors', type: 'float32', shape: [columns, length] }
  const left: Value = rows === null ? vectors : { name: 'rows', type: 'float32', shape: [rows, length] }
  const products: Value = { name: 'products', type: 'float32', shape: [rows ?? columns, columns] }
  return {
    opset: 13,
    name: 'products',
    inputs: rows === null ? [vectors] : [left, vectors],
    outputs: [products],
    nodes: [
      madeNode('Transpose', {
        inputs: ['vectors'],
        output: 'columns',
        attributes: { perm: { kind: 'ints', value: [1, 0] } },
      }),
      madeNode('MatMul', { inputs: [left.name, 'columns'], output: 'products' }),
    ],
    constants: new Map(),
    values: new Map([left, vectors, products].map((value) => [value.name, value])),
  }
}

/** Products of all pairs of vectors, which remember the pairs of the last call: a picture more costs its own row. */
export class PairProducts {
  readonly #options: EngineOptions
  #known: ReadonlyMap<Float32Array, number> = new Map()
  #matrix = new Float64Array(0)

  constructor(options: EngineOptions) {
    this.#options = options
  }

  /** The symmetric matrix, [vectors, vectors]. The same vectors are the same arrays. */
  async of(vectors: readonly Float32Array[]): Promise<Float64Array> {
    const n = vectors.length
    const old = vectors.map((vector) => this.#known.get(vector) ?? -1)
    const fresh = old.flatMap((at, i) => (at < 0 ? [i] : []))
    const isNew = fresh.length > n / 3
    const rows = isNew ? vectors.map((_, i) => i) : fresh
    const products = await productsOf(isNew ? vectors : fresh.map((i) => vectors[i]!), vectors, this.#options)
    const matrix = new Float64Array(n * n)
    const size = Math.sqrt(this.#matrix.length)
    if (!isNew)
      for (let i = 0; i < n; i++)
        for (let j = 0; j < n; j++)
          if (old[i]! >= 0 && old[j]! >= 0) matrix[i * n + j] = this.#matrix[old[i]! * size + old[j]!]!
    // A later row replaces what an earlier one gave for the same pair, so that rounding leaves no difference between halves.
    rows.forEach((i, row) => {
      for (let j = 0; j < n; j++) {
        const value = products[row * n + j]!
        matrix[i * n + j] = value
        matrix[j * n + i] = value
      }
    })
    this.#known = new Map(vectors.map((vector, i) => [vector, i]))
    this.#matrix = matrix
    return matrix
  }

  /** Forgets all pairs. */
  clear(): void {
    this.#known = new Map()
    this.#matrix = new Float64Array(0)
  }
}
