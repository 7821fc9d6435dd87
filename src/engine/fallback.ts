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
  const extra = options.extraOutputs ?? []
  const extraOutputs = extra
    .filter((name) => !graph.outputs.some((output) => output.name === name))
    .map((name) => ({ name, type: graph.values.get(name)?.type ?? 'float32' }) as const)
  const copy = isResized || extraOutputs.length > 0 ? rewriteModel(model, { inputs, extraOutputs }) : model.path
  const outputs = options.outputs
    ? { outputs: [...options.outputs, ...extra.filter((name) => !options.outputs?.includes(name))] }
    : {}
  return openOnnxruntime({ model: copy, inputs, ...outputs, ...fallback })
}
