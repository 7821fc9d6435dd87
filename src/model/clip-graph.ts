/**
 * A network's graph as a zone with clips runs it. A network over clips gets its frames where they were prepared, in any
 * order, and the order as a second input. A network over pictures gets the rest of the mean over time as further inputs. The
 * added nodes are plain operators of ONNX, so every engine runs them.
 */
import { elementCount } from '../tensor.js'
import { GraphIndex } from './graph-index.js'
import { floatConstant, int64Constant, madeNode, type Constant, type Graph, type Node, type Value } from './graph.js'
import { clipAxes, type VideoLayout } from './metadata/video.js'
import { ints } from './moments.js'

/** Names of the values that are added. */
export const clipNames = {
  /** Input [frames, height, width, channels]. */
  frames: 'gapcam.clip frames',
  /** Input [frames, frames]: row i has a 1 where the i-th frame of the clip lies, and else 0. */
  order: 'gapcam.clip order',
  /** Input [1, n]: what all other frames add to the mean of a vector. */
  rest: (vector: string) => `gapcam.rest of ${vector}`,
  /** Output: a vector of the newest frame. */
  vector: (vector: string) => `gapcam.now ${vector}`,
} as const

/**
 * The graph for a layout, or a reason why it cannot be made. `prepared` is the same graph with its shapes.
 *
 *     const graph = clipGraph(model.graph, prepared, { form: 'pooled', frames: 16, everyMs: 100, vectors: ['pool5'] })
 */
export function clipGraph(graph: Graph, prepared: Graph, layout: VideoLayout): Graph | { readonly reason: string } {
  return layout.form === 'clips' ? withFrames(graph, prepared, layout) : withRest(graph, prepared, layout)
}

/** From [1, frames, height, width, channels] to the order of a clip's axes. */
const orders = { ncthw: [0, 4, 1, 2, 3], ntchw: [0, 1, 4, 2, 3], nthwc: [0, 1, 2, 3, 4] } as const

function withFrames(graph: Graph, prepared: Graph, { input, axes }: VideoLayout & { readonly form: 'clips' }): Graph {
  const shape = prepared.inputs[0]!.shape as readonly number[]
  const at = clipAxes[axes]
  const [count, height, width, channels] = [at.frames, at.height, at.width, at.channels].map((axis) => shape[axis]!)
  const sizes = [count!, height!, width!, channels!]
  const row = elementCount(sizes) / count!
  const inputs: Value[] = [
    { name: clipNames.frames, type: 'float32', shape: sizes },
    { name: clipNames.order, type: 'float32', shape: [count!, count!] },
  ]
  const constants = new Map(graph.constants)
  const reshape = (from: string, to: readonly number[], output: string): Node => {
    constants.set(`${output} sizes`, int64Constant([to.length], to))
    return madeNode('Reshape', { inputs: [from, `${output} sizes`], output })
  }
  const nodes = [
    reshape(clipNames.frames, [count!, row], 'gapcam.clip rows'),
    madeNode('MatMul', { inputs: [clipNames.order, 'gapcam.clip rows'], output: 'gapcam.clip ordered' }),
    reshape('gapcam.clip ordered', [1, ...sizes], 'gapcam.clip'),
    madeNode('Transpose', {
      inputs: ['gapcam.clip'],
      output: input,
      attributes: { perm: ints([...orders[axes]]) },
    }),
  ]
  const values = new Map(graph.values)
  for (const value of inputs) values.set(value.name, value)
  return { ...graph, inputs, constants, values, nodes: [...nodes, ...graph.nodes] }
}

function withRest(
  graph: Graph,
  prepared: Graph,
  { vectors, frames }: VideoLayout & { readonly form: 'pooled' },
): Graph | { readonly reason: string } {
  const index = GraphIndex.of(graph)
  const lost = vectors.find((name) => !index.maker(name))
  if (lost !== undefined) return { reason: `its vector ${lost} is no value of the file` }
  const inputs = [...graph.inputs]
  const outputs = [...graph.outputs]
  const values = new Map(graph.values)
  const constants = new Map<string, Constant>(graph.constants)
  constants.set('gapcam.share', floatConstant([1], Float32Array.of(1 / frames)))
  const mean = (name: string): Node[] => {
    const shape = prepared.values.get(name)!.shape as readonly number[]
    const now: Value = { name: clipNames.vector(name), type: 'float32', shape }
    const rest: Value = { name: clipNames.rest(name), type: 'float32', shape: [1, elementCount(shape)] }
    inputs.push(rest)
    outputs.push(now)
    for (const value of [now, rest]) values.set(value.name, value)
    constants.set(`${rest.name} sizes`, int64Constant([shape.length], shape))
    return [
      madeNode('Mul', { inputs: [now.name, 'gapcam.share'], output: `gapcam.part of ${name}` }),
      madeNode('Reshape', { inputs: [rest.name, `${rest.name} sizes`], output: `${rest.name} shaped` }),
      madeNode('Add', { inputs: [`gapcam.part of ${name}`, `${rest.name} shaped`], output: name }),
    ]
  }
  const pooled = new Set(vectors)
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const made = node.outputs.filter((name) => pooled.has(name))
    if (made.length === 0) return [node]
    const renamed = node.outputs.map((name) => (pooled.has(name) ? clipNames.vector(name) : name))
    return [{ ...node, outputs: renamed }, ...made.flatMap(mean)]
  })
  return { ...graph, inputs, outputs, values, constants, nodes }
}
