/** Products of all pairs of vectors, on the engine: they are most of the work of fitting a head. */
import { openEngine } from '../engine/select.js'
import type { EngineOptions } from '../engine/engine.js'
import { madeNode, type Graph } from '../model/graph.js'
import { asModel } from '../model/in-memory.js'

/**
 * The symmetric matrix of products, [count, count]. Vectors of different lengths are an error of the caller. The engine sums
 * in single precision and in an order of its own, which depends on the target.
 */
export async function productsOf(vectors: readonly Float32Array[], options: EngineOptions): Promise<Float64Array> {
  const [count, length] = [vectors.length, vectors[0]?.length ?? 0]
  const { inputSize: _, ...plain } = options
  const engine = await openEngine(asModel(productGraph(count, length), { path: 'products' }), 'auto', plain)
  try {
    const input = engine.inputs[0]!.data as Float32Array
    vectors.forEach((vector, i) => input.set(vector, i * length))
    await engine.run()
    return symmetric(engine.outputs[0]!.data as Float32Array, count)
  } finally {
    await engine.close()
  }
}

function productGraph(count: number, length: number): Graph {
  const vectors = { name: 'vectors', type: 'float32', shape: [count, length] } as const
  const products = { name: 'products', type: 'float32', shape: [count, count] } as const
  return {
    opset: 13,
    name: 'products',
    inputs: [vectors],
    outputs: [products],
    nodes: [
      madeNode('Transpose', {
        inputs: ['vectors'],
        output: 'columns',
        attributes: { perm: { kind: 'ints', value: [1, 0] } },
      }),
      madeNode('MatMul', { inputs: ['vectors', 'columns'], output: 'products' }),
    ],
    constants: new Map(),
    values: new Map([vectors, products].map((value) => [value.name, value])),
  }
}

/** Both halves from the lower one, so that rounding leaves no difference between them. */
function symmetric(data: Float32Array, n: number): Float64Array {
  const result = Float64Array.from(data)
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) result[j * n + i] = result[i * n + j]!
  return result
}
