/**
 * Opens a model on onnxruntime: the file itself, or a copy in memory if the input size or the outputs differ from the
 * file's. onnxruntime reads every file that gapcam only partly understands.
 */
import { expandContrib } from '../model/contrib.js'
import { asModel } from '../model/in-memory.js'
import { rewriteModel } from '../model/onnx/write.js'
import type { Graph } from '../model/graph.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import { prepareGraph } from '../model/prepare.js'
import { imageLayout, type TensorInfo } from '../tensor.js'
import type { Engine, EngineOptions, Rejection } from './engine.js'
import { openOnnxruntime } from './onnxruntime.js'

interface FallbackOptions {
  readonly threads: number
  readonly reason: string
  readonly rejected: readonly Rejection[]
}

/**
 * Opens a model. Rejects with ENGINE_UNAVAILABLE, or MODEL_* if its input sizes cannot be settled. A model in half
 * precision that onnxruntime refuses is opened as a copy in single precision.
 */
export async function openFallback(
  file: LoadedModel,
  options: EngineOptions,
  fallback: FallbackOptions,
): Promise<Engine> {
  const whole = file.isRewritten ? asModel(file.graph, file) : file
  const model = withValues(whole, [...(options.outputs ?? []), ...(options.extraOutputs ?? [])])
  const { graph } = prepareGraph(model.graph, options.inputSize ? { inputSize: options.inputSize } : {})
  const wanted = { model, graph, options, fallback }
  try {
    return await open(wanted, false)
  } catch (error) {
    if (!hasHalves(graph)) throw error
    return open(wanted, true).catch(() => {
      throw error
    })
  }
}

/** The model; or as a copy with QLinear operators expanded, where only their expansion makes one of the values. */
function withValues(model: LoadedModel, names: readonly string[]): LoadedModel {
  const isMade = ({ nodes, inputs }: Graph, name: string): boolean =>
    inputs.some((input) => input.name === name) || nodes.some(({ outputs }) => outputs.includes(name))
  const missing = names.filter((name) => !isMade(model.graph, name))
  if (missing.length === 0) return model
  const graph = expandContrib(model.graph)
  return missing.some((name) => isMade(graph, name)) ? asModel(graph, model) : model
}

const hasHalves = ({ inputs, constants }: Graph): boolean =>
  [...inputs, ...constants.values()].some(({ type }) => type === 'float16')

interface Wanted {
  readonly model: LoadedModel
  /** Prepared. */
  readonly graph: Graph
  readonly options: EngineOptions
  readonly fallback: FallbackOptions
}

/** Opens the file, or a copy where sizes, outputs or (`isWidened`) types differ from the file's. */
function open({ model, graph, options, fallback }: Wanted, isWidened: boolean): Promise<Engine> {
  const inputs = graph.inputs.map(
    ({ name, type = 'float32', shape = [] }): TensorInfo => ({
      name,
      type: isWidened && type === 'float16' ? 'float32' : type,
      shape: shape as readonly number[],
      layout: imageLayout(shape as readonly number[]),
    }),
  )
  const isResized = model.graph.inputs.some(({ shape }, i) =>
    shape?.some((size, axis) => typeof size === 'number' && size !== inputs[i]?.shape[axis]),
  )
  const outputs = options.outputs && [...new Set([...options.outputs, ...(options.extraOutputs ?? [])])]
  const extraOutputs = [...(options.outputs ?? []), ...(options.extraOutputs ?? [])]
    .filter((name, i, all) => all.indexOf(name) === i && !graph.outputs.some((output) => output.name === name))
    .map((name) => ({ name, type: graph.values.get(name)?.type }))
  // onnxruntime-node does not open a model with an output that is not a tensor, such as ZipMap's.
  const hasOther = outputs !== undefined && model.graph.outputs.some(({ type }) => type === undefined)
  // onnxruntime does not follow links to external data.
  const isLinked = model.externalFiles.some((file) => file.isLinked)
  const isCopied = isResized || extraOutputs.length > 0 || hasOther || isLinked || isWidened
  const rewrite = { inputs, extraOutputs, outputs: hasOther ? outputs : undefined, isWidened }
  const asItIs = model.isConverted ? model.bytes : model.path
  return openOnnxruntime({
    model: isCopied ? rewriteModel(model, rewrite) : asItIs,
    inputs,
    outputs,
    hasOpenOutputs: options.hasOpenOutputs,
    ...fallback,
  })
}
