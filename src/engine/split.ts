/**
 * A model in two parts: the body on the native engine (or CUDA), the tail on onnxruntime. The tail's inputs are copies of
 * the body's outputs, in the order of the file.
 */
import type { PreprocessSpec } from '../pixels/spec.js'
import type { Engine, EngineDescription, EnginePart, EngineTensor } from './engine.js'
import { nhwcToNchw } from './layout.js'
import type { CompiledSplit } from './native.js'
import { openOnnxruntime } from './onnxruntime.js'

/** Opens the tail behind a body that is open, and owns both. Rejects with ENGINE_UNAVAILABLE; then the body is closed. */
export async function openSplit(body: Engine, split: CompiledSplit, threads: number): Promise<Engine> {
  try {
    return await opened(body, split, threads)
  } catch (error) {
    await body.close()
    throw error
  }
}

async function opened(
  body: Engine,
  { partition, outputs: wanted, why }: CompiledSplit,
  threads: number,
): Promise<Engine> {
  const { tail, operators, nodes, share } = partition
  // Many tails cannot run on zeros, such as one that is given no proposals at all.
  await body.run()
  let feeds: readonly (() => void)[] = []
  const fill = (inputs: readonly EngineTensor[]): void => {
    feeds = inputs.map((input) => feedOf(input, body))
    for (const feed of feeds) feed()
  }
  const end =
    tail &&
    (await openOnnxruntime({
      model: tail.bytes,
      inputs: tail.inputs,
      outputs: tail.outputs,
      hasOpenOutputs: true,
      fill,
      threads,
      reason: why,
      rejected: [],
    }))
  const parts = (description: EngineDescription): readonly EnginePart[] => [
    { engine: description.engine, what: `${(100 * share).toFixed(1)} % of the multiply-adds of known size` },
    ...(end
      ? [{ engine: 'onnxruntime' as const, what: `the ${nodes} nodes at the end: ${operators.join(', ')}` }]
      : []),
  ]
  return {
    inputs: body.inputs,
    outputs: wanted.flatMap((name) => {
      const found = [...(end?.outputs ?? []), ...body.outputs].find((output) => output.name === name)
      return found ? [found] : []
    }),
    async run() {
      await body.run()
      for (const feed of feeds) feed()
      await end?.run()
    },
    ...(body.preprocessor ? { preprocessor: (spec: PreprocessSpec) => body.preprocessor!(spec) } : {}),
    describe() {
      const description = body.describe()
      const own = parts(description)
      const reason = own.map(({ engine, what }) => `${engine}: ${what}`).join('; ')
      return { ...description, reason: `${reason} (${why})`, parts: own }
    },
    async close() {
      await end?.close()
      await body.close()
    },
  }
}

/** Copies a value of the body, or the picture itself, to an input of the tail. */
function feedOf(input: EngineTensor, body: Engine): () => void {
  const source = [...body.outputs, ...body.inputs].find(({ name }) => name === input.name)
  if (!source)
    throw new TypeError(`Expected a value of the body for input ${input.name} but received none of type undefined`)
  const [from, to] = [source.data as Float32Array, input.data as Float32Array]
  return source.inFileOrder ? () => to.set(from) : () => nhwcToNchw(from, source.shape, to)
}
