/**
 * The graph that is quantized: ONNX's own operators only, with what gapcam folds for its engines folded as well (batch
 * norms, pads, clips), so that the layers that are rounded are the layers that run.
 */
import { GapcamError } from '../errors.js'
import type { Graph } from '../model/graph.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import { passes } from '../model/passes/passes.js'
import { prepareGraph } from '../model/prepare.js'
import { inSinglePrecision } from '../model/single.js'
import type { InputSize } from '../tensor.js'

/** Passes whose results ONNX can express. */
const wanted = ['simplify', 'transpose', 'clip', 'pad', 'batch-norm']

/** What makes a file an 8-bit one. Weights alone may have 8 bits: they are dequantized. */
const quantizing = /^(?:QuantizeLinear|DynamicQuantizeLinear|QLinear\w+|QGemm|ConvInteger|MatMulInteger)$/

/** Throws MODEL_UNSUPPORTED unless a model is a float one, with a float input. */
export function demandFloat({ graph, path }: LoadedModel): void {
  const [input] = graph.inputs
  const isQuantized = graph.nodes.some(({ op }) => quantizing.test(op))
  if (!isQuantized && /^(?:float|bfloat)/.test(input?.type ?? 'float32')) return
  const why = isQuantized ? 'is quantized already' : `takes pixels of the type ${input?.type}, not float32`
  throw new GapcamError('MODEL_UNSUPPORTED', `model ${path} ${why}`, {
    hint: 'Quantize the float model from which it was made.',
  })
}

/** The folded graph of a float model, in float32. Throws MODEL_UNSUPPORTED where a node's shape cannot be known. */
export function graphToQuantize(model: LoadedModel, inputSize: InputSize | undefined): Graph {
  const { graph, unsupported } = prepareGraph(inSinglePrecision(model.graph), inputSize ? { inputSize } : {})
  const [first] = unsupported
  if (first) throw new GapcamError('MODEL_UNSUPPORTED', `model ${model.path}: ${first.node}: ${first.reason}`)
  return passes.filter(({ name }) => wanted.includes(name)).reduce(applied, graph)
}

/** The graph after a pass; before it, where the pass made a node that no file can hold. */
function applied(graph: Graph, { run }: (typeof passes)[number]): Graph {
  const changed = run(graph)
  return changed.nodes.some(({ domain }) => domain === 'gapcam') ? graph : changed
}
