/** What the configuration says about the model and its engine, in one place for every command that opens a model. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { builtInName, openBundleStore } from '../bundle/store.js'
import type { ClipOptions } from '../decision/task.js'
import { GapcamError } from '../errors.js'
import { id } from './id.js'
import { planFolder, stateDirectory } from './state-directory.js'
import type { Config } from './schema.js'

/** The options of `openClassifier` that come from the configuration. */
export interface ModelOptions
  extends Pick<
    Config,
    'engine' | 'threads' | 'precision' | 'cudaPrecision' | 'labels' | 'inputSize' | 'resize' | 'task'
  > {
  readonly clip: ClipOptions | undefined
  readonly model: string
  readonly planCache: { readonly folder: string } | undefined
}

/** The model that comes with the package. */
export const shippedModel = fileURLToPath(new URL('../../models/efficientnet-lite0.onnx', import.meta.url))

/** The model that comes with the package for clips. */
export const shippedClipModel = fileURLToPath(new URL('../../models/clips.onnx', import.meta.url))

/** The bundle that the node's own model may come from; null where the configuration names a file. */
export function ownBundle({ model, task }: Pick<Config, 'model' | 'task'>): string | null {
  // No bundle takes the place of the model for clips.
  if (model === '') return task === 'video' ? null : builtInName
  return id.safeParse(model).success && !existsSync(model) ? model : null
}

/** The node's own model: a file, or what serves of a bundle. Throws MODEL_NOT_FOUND, and BUNDLE_NOT_KEPT for a damaged store. */
function ownModel(config: Config): string {
  const name = ownBundle(config)
  if (name === null) return config.model === '' ? shippedClipModel : config.model
  const installed = openBundleStore(stateDirectory(config)).serving(name)
  if (installed !== null) return installed
  if (config.model === '') return shippedModel
  throw new GapcamError('MODEL_NOT_FOUND', `model ${name}: there is no file and no installed bundle of this name`, {
    hint: 'gapcam model list shows the installed bundles.',
  })
}

/**
 * The model options of a configuration; without a `model` those of the shipped one.
 *
 *     const classifier = await openClassifier(modelOptions(config))
 */
export function modelOptions(config: Config): ModelOptions {
  const planCache = config.planCache ? { folder: planFolder(config) } : undefined
  const { engine, threads, precision, cudaPrecision, labels, inputSize, resize, task, video: clip } = config
  return {
    model: ownModel(config),
    engine,
    threads,
    precision,
    cudaPrecision,
    labels,
    inputSize,
    resize,
    task,
    clip,
    planCache,
  }
}
