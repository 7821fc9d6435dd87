/**
 * From the graph of a file to a graph that can be lowered: open sizes set, all shapes known, constant arithmetic
 * folded, unused nodes removed.
 */
import { GapcamError } from '../errors.js'
import { elementCount, imageLayout, type InputSize } from '../tensor.js'
import { expandContrib } from './contrib.js'
import { withoutDeadNodes, type Graph, type UnsupportedNode, type Value } from './graph.js'
import { GraphInference, mostElements } from './inference.js'
import { inSinglePrecision } from './single.js'

/** Options of `prepareGraph`. */
export interface PrepareOptions {
  /** Height and width of the image inputs (rank 4). Needed where the file leaves them open. */
  readonly inputSize?: InputSize | undefined
}

/** A graph with known shapes. */
export interface PreparedGraph {
  readonly graph: Graph
  /** Nodes that gapcam cannot compute. A graph that has any cannot be lowered. */
  readonly unsupported: readonly UnsupportedNode[]
}

/**
 * Prepares a graph. Throws MODEL_INPUT_SIZE where a size is missing or the graph does not work with the given one.
 *
 *     const { graph, unsupported } = prepareGraph(model.graph, { inputSize: { height: 224, width: 224 } })
 */
export function prepareGraph(graph: Graph, options: PrepareOptions = {}): PreparedGraph {
  const inputs = graph.inputs.map((input) => sizedInput(input, options))
  const inference = new GraphInference(graph, inputs)
  for (const node of graph.nodes) inference.visit(node)
  const { nodes, constants, values, unsupported } = inference
  const prepared = withoutDeadNodes({ ...graph, inputs, nodes, constants, values })
  checkSize(graph, unsupported, options)
  checkOutputs(graph, prepared, options)
  const obstacles = (graph.obstacles ?? []).map((reason) => ({ node: 'the model', op: 'input', reason }))
  return { graph: prepared, unsupported: [...obstacles, ...unsupported] }
}

/** A prepared graph that a rewrite changed, with the types and shapes of its new values and new constants folded. */
export function inferredAgain(graph: Graph): PreparedGraph {
  const inference = new GraphInference(graph, graph.inputs, graph.values)
  for (const node of graph.nodes) inference.visit(node)
  const { nodes, constants, values, unsupported } = inference
  return { graph: withoutDeadNodes({ ...graph, nodes, constants, values }), unsupported }
}

/** The same for the native engine, which computes ONNX's own operators in single precision. */
export function prepareNative(graph: Graph, options: PrepareOptions = {}): PreparedGraph {
  return prepareGraph(inSinglePrecision(expandContrib(graph)), options)
}

/** The input with all sizes known: an open batch is 1, open channels are 3, height and width are the given ones. */
function sizedInput(input: Value, { inputSize }: PrepareOptions): Value {
  const { name, shape } = input
  if (!shape) throw new GapcamError('MODEL_INVALID', `its input ${name} has no shape`)
  const [channelsAt, heightAt, widthAt] = imageAxes(shape)
  const sizes = shape.map((size, i) => {
    if (i === heightAt && inputSize) return inputSize.height
    if (i === widthAt && inputSize) return inputSize.width
    if (typeof size === 'number') return size
    if (i === 0) return 1 // the batch
    if (i === channelsAt && inputSize) return 3 // Hugging Face's exporter leaves the channels open
    throw new GapcamError('MODEL_INPUT_SIZE', `its input ${name} leaves ${size ?? `size ${i}`} open`, {
      hint: 'Give --input-size, or inputSize in the manifest.',
    })
  })
  if (elementCount(sizes) > mostElements)
    throw new GapcamError('MODEL_UNSUPPORTED', `its input ${name} of shape [${sizes.join(', ')}] is too large`, {
      hint: 'Export the model for smaller pictures or a smaller batch.',
    })
  return { ...input, shape: sizes }
}

/** Where an image input has its channels, height and width; -1 for inputs that are not images. */
function imageAxes(shape: NonNullable<Value['shape']>): readonly [number, number, number] {
  if (shape.length !== 4) return [-1, -1, -1]
  return imageLayout(shape) === 'nhwc' ? [3, 1, 2] : [1, 2, 3]
}

/** The graph with the named values as its outputs, which may be inner ones; the graph itself where `names` is undefined. */
export function onlyOutputs(graph: Graph, names: readonly string[] | undefined): Graph {
  if (!names) return graph
  const outputs = names.map(
    (name) => graph.outputs.find((output) => output.name === name) ?? graph.values.get(name) ?? { name },
  )
  return withoutDeadNodes({ ...graph, outputs })
}

/** Refuses a size that breaks a node which works with the file's own size: the head needs that size. */
function checkSize(graph: Graph, unsupported: readonly UnsupportedNode[], { inputSize }: PrepareOptions): void {
  const isFixed = graph.inputs.every(({ shape }) => shape?.every((size, i) => i === 0 || typeof size === 'number'))
  if (!inputSize || unsupported.length === 0 || !isFixed) return
  const alwaysBroken = new Set(prepareGraph(graph).unsupported.map(({ node }) => node))
  const broken = unsupported.find(({ node }) => !alwaysBroken.has(node))
  if (broken)
    throw new GapcamError(
      'MODEL_INPUT_SIZE',
      `its node ${broken.node} does not work with input size ${inputSize.height}x${inputSize.width}: ${broken.reason}`,
    )
}

/** Refuses a size with which an output no longer has the shape that the file declares: the head does not fit. */
function checkOutputs(original: Graph, prepared: Graph, { inputSize }: PrepareOptions): void {
  if (!inputSize) return
  for (const declared of original.outputs) {
    const shape = prepared.values.get(declared.name)?.shape
    const differs =
      shape &&
      declared.shape?.length === 2 &&
      declared.shape.some((size, i) => i > 0 && typeof size === 'number' && size !== shape[i])
    if (differs)
      throw new GapcamError(
        'MODEL_INPUT_SIZE',
        `its output ${declared.name} does not keep its shape with input size ${inputSize.height}x${inputSize.width}`,
      )
  }
}
