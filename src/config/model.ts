/** What the configuration says about the model and its engine, in one place for every command that opens a model. */
import { fileURLToPath } from 'node:url'
import { planFolder } from './state-directory.js'
import type { Config } from './schema.js'

/** The options of `openClassifier` that come from the configuration. */
export interface ModelOptions
  extends Pick<Config, 'engine' | 'threads' | 'cudaPrecision' | 'labels' | 'inputSize' | 'resize'> {
  readonly model: string
  readonly planCache: { readonly folder: string } | undefined
}

/** The model that comes with the package. */
export const shippedModel = fileURLToPath(new URL('../../models/efficientnet-lite0.onnx', import.meta.url))

/**
 * The model options of a configuration; without a `model` those of the shipped one.
 *
 *     const classifier = await openClassifier(modelOptions(config))
 */
export function modelOptions(config: Config): ModelOptions {
  const planCache = config.planCache ? { folder: planFolder(config) } : undefined
  const { model, engine, threads, cudaPrecision, labels, inputSize, resize } = config
  return {
    model: model === '' ? shippedModel : model,
    engine,
    threads,
    cudaPrecision,
    labels,
    inputSize,
    resize,
    planCache,
  }
}
