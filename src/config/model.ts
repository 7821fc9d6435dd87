/** What a configuration says of the model and its engine, in one place for every command that opens them. */
import { fileURLToPath } from 'node:url'
import type { Config } from './schema.js'

/** As `openClassifier` takes it; what is not configured is absent. */
export interface ModelOptions extends Pick<Config, 'engine' | 'threads' | 'cudaPrecision'> {
  readonly model: string
  readonly labels?: string
  readonly inputSize?: NonNullable<Config['inputSize']>
  readonly resize?: NonNullable<Config['resize']>
}

/** The model that comes with the package. */
const shippedModel = fileURLToPath(new URL('../../models/efficientnet-lite0.onnx', import.meta.url))

export function modelOptions({
  model,
  engine,
  threads,
  cudaPrecision,
  labels,
  inputSize,
  resize,
}: Config): ModelOptions {
  return {
    model: model === '' ? shippedModel : model,
    engine,
    threads,
    cudaPrecision,
    ...(labels ? { labels } : {}),
    ...(inputSize ? { inputSize } : {}),
    ...(resize ? { resize } : {}),
  }
}
