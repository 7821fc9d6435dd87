/**
 * Opens a model on onnxruntime: the file itself, or a copy in memory if the input size or the outputs differ from the
 * file's. onnxruntime reads every file that gapcam only partly understands.
 */
import { rewriteModel } from '../model/onnx/write.js'
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

export function openFallback(model: LoadedModel, options: EngineOptions, fallback: FallbackOptions): Promise<Engine> {
  const { graph } = prepareGraph(model.graph, options.inputSize ? { inputSize: options.inputSize } : {})
  const inputs = graph.inputs.map(
    ({ name, type = 'float32', shape = [] }): TensorInfo => ({
      name,
      type,
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
  // onnxruntime-node does not open a model with an output that is no tensor, such as ZipMap's.
  const hasOther = outputs !== undefined && model.graph.outputs.some(({ type }) => type === undefined)
  const isCopied = isResized || extraOutputs.length > 0 || hasOther
  const copy = isCopied ? rewriteModel(model, { inputs, extraOutputs, outputs: hasOther ? outputs : undefined }) : null
  return openOnnxruntime({ model: copy ?? model.path, inputs, outputs, ...fallback })
}
