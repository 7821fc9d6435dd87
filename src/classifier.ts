/**
 * A classifier ready for frames: the model on its engine, with labels, the preprocessing that it was trained with, and
 * how its outputs become scores. What could not be known and was assumed is listed.
 */
import { dirname, resolve, basename } from 'node:path'
import { existsSync } from 'node:fs'
import { openEngine, type EngineChoice } from './engine/select.js'
import { createView, type Classification, type ClassifierView } from './engine/classify.js'
import type { Engine, EngineOptions, EngineTensor } from './engine/engine.js'
import { GapcamError } from './errors.js'
import type { Frame } from './frame.js'
import { endingOf, scoresOutput } from './model/metadata/ending.js'
import { heatOf, planHeat, type Heat } from './heat/open.js'
import { fitLabels, readLabels } from './model/metadata/labels.js'
import { findManifest, hasFreeSize, sizeIn, type FoundManifest } from './model/metadata/manifest.js'
import { torchvision, type Manifest } from './model/metadata/schema.js'
import { loadModel, type LoadedModel } from './model/onnx/onnx.js'
import { createPredictor, type PredictorOptions } from './decision/prediction.js'
import { createPreprocessor } from './pixels/preprocess.js'
import type { Preprocessor, PreprocessSpec, ResizeMode } from './pixels/spec.js'
import { elementCount, imageLayout } from './tensor.js'

export interface ClassifierOptions extends EngineOptions {
  readonly model: string
  readonly engine?: EngineChoice
  /** A label file; default the manifest's, then NAME.labels.txt and NAME.txt beside the model. */
  readonly labels?: string | undefined
  readonly resize?: ResizeMode | undefined
  /** Opens the engine with the feature map as a further output, so that heat maps can be had; default false. */
  readonly heat?: boolean
}

export interface Classifier {
  readonly path: string
  /** The model's file name without its ending. */
  readonly modelId: string
  readonly sha256: string
  readonly version: string | null
  readonly engine: Engine
  /** The image input and the output with one number a class; memory of the engine. */
  readonly input: EngineTensor
  readonly output: EngineTensor
  readonly labels: readonly string[]
  /** Heat maps of the last run, or why there are none. */
  readonly heat: Heat
  /** What was assumed because no manifest and no known digest says it. */
  readonly assumed: readonly string[]
  /** How frames become the input: what the model was trained with, and what `view` changes of it. */
  preprocessing(view?: Partial<PreprocessSpec>): PreprocessSpec
  /**
   * A way to look at frames; `view` as for `preprocessing`, `topK` labels in each prediction (default 5). Close it
   * before the classifier.
   */
  view(view?: Partial<PreprocessSpec>, topK?: number): ClassifierView
  /**
   * Classifies one whole frame with the five best labels. The rules of `ClassifierView.classify` hold.
   *
   *     const outcome = await classifier.classify(frameOf(await decodeFile('cat.jpg')))
   *     if (outcome.ok) console.log(outcome.prediction.top[0].label)
   */
  classify(frame: Frame): Promise<Classification>
  /** The pass over frames into `input`, by the engine itself where it has one. Close it before the classifier. */
  preprocessor(spec: PreprocessSpec): Preprocessor
  close(): Promise<void>
}

/** Opens a classifier. Rejects with MODEL_*, LABELS_MISMATCH, MANIFEST_INVALID or ENGINE_*. */
export async function openClassifier(options: ClassifierOptions): Promise<Classifier> {
  const model = await loadModel(options.model)
  const found = await findManifest(model)
  const { manifest } = found
  const inputSize = options.inputSize ?? (hasFreeSize(model) ? sizeIn(manifest) : undefined)
  const {
    model: _path,
    engine: choice = 'auto',
    labels: _labels,
    resize: _resize,
    heat: wantsHeat = false,
    extraOutputs = [],
    ...engineOptions
  } = options
  const plan = wantsHeat
    ? planHeat(model, inputSize)
    : { reason: 'heat maps were not asked for when the model was opened' }
  const extra = [...extraOutputs, ...('head' in plan ? plan.extraOutputs : [])]
  const scores = scoresOutput(model.graph)
  const engine = await openEngine(model, choice, {
    ...engineOptions,
    ...(scores ? { outputs: [scores.name] } : {}),
    ...(inputSize ? { inputSize } : {}),
    ...(extra.length > 0 ? { extraOutputs: extra } : {}),
  })
  try {
    return { ...(await assemble(model, found, engine, options)), heat: heatOf(plan, engine) }
  } catch (error) {
    await engine.close()
    throw error
  }
}

async function assemble(
  model: LoadedModel,
  { manifest, ownLabels }: FoundManifest,
  engine: Engine,
  options: ClassifierOptions,
): Promise<Omit<Classifier, 'heat'>> {
  const input = imageInput(model, engine)
  const output = engine.outputs[0]
  if (!output) throw new GapcamError('MODEL_UNSUPPORTED', `model ${model.path} has no output`)
  const isQuantized = input.type === 'uint8'
  const assumed = isQuantized || manifest.mean ? [] : ['mean and std of torchvision (no manifest says otherwise)']
  const labels = fitLabels(
    (await findLabels(options, manifest)) ?? fittingLabels(ownLabels, output),
    elementCount(output.shape),
    options.labels ?? 'the label file',
  )
  const ending = endingOf(model.graph, output.name)
  const modelId = basename(model.path).replace(/\.onnx$/i, '')
  const predictorOptions = (topK: number): PredictorOptions => ({
    labels,
    topK,
    modelId,
    modelSha256: model.sha256,
    scoreActivation: manifest.scores ?? ending.scoreActivation,
    ...(ending.quantization && output.type !== 'float32' ? { quantization: ending.quantization } : {}),
  })
  const spec = baseSpec(input, manifest, options.resize)
  const preprocessing: Classifier['preprocessing'] = (view = {}) => ({ ...spec, ...view })
  const preprocessor: Classifier['preprocessor'] = (wanted) =>
    engine.preprocessor?.(wanted) ?? createPreprocessor(wanted)
  const view: Classifier['view'] = (wanted, topK = 5) => {
    const own = preprocessing(wanted)
    const predict = createPredictor(predictorOptions(topK))
    return createView({ engine, input, output, spec: own, preprocessor: preprocessor(own), predict })
  }
  let whole: ClassifierView | null = null
  return {
    path: model.path,
    modelId,
    sha256: model.sha256,
    version: manifest.version ?? null,
    engine,
    input,
    output,
    labels,
    assumed,
    preprocessing,
    preprocessor,
    view,
    classify: (frame) => (whole ??= view()).classify(frame),
    close() {
      whole?.close()
      return engine.close()
    },
  }
}

/** The one input that is a batch of one three-channel picture. */
function imageInput(model: LoadedModel, engine: Engine): EngineTensor {
  const [input] = engine.inputs
  const isImage = engine.inputs.length === 1 && input !== undefined && input.shape.length === 4 && input.shape[0] === 1
  const channels = input?.shape[layoutOf(input) === 'nhwc' ? 3 : 1]
  if (!isImage || channels !== 3 || (input.type !== 'float32' && input.type !== 'uint8')) {
    const shapes = engine.inputs.map(({ name, type, shape }) => `${name} ${type} [${shape.join(', ')}]`).join('; ')
    throw new GapcamError(
      'MODEL_UNSUPPORTED',
      `model ${model.path} does not take one picture with three channels, but ${shapes}`,
      { hint: 'A classifier takes one RGB picture; gapcam model info shows what this model takes.' },
    )
  }
  return input
}

function layoutOf(input: EngineTensor): 'nchw' | 'nhwc' {
  if (!input.inFileOrder) return 'nhwc'
  return imageLayout(input.shape) === 'nhwc' ? 'nhwc' : 'nchw'
}

function baseSpec(input: EngineTensor, manifest: Manifest, resize: ResizeMode | undefined): PreprocessSpec {
  const layout = input.inFileOrder ? (manifest.layout ?? layoutOf(input)) : 'nhwc'
  const [, a = 0, b = 0, c = 0] = input.shape
  const [height, width] = layout === 'nhwc' ? [a, b] : [b, c]
  return {
    height,
    width,
    layout,
    type: input.type === 'uint8' ? 'uint8' : 'float32',
    order: manifest.colorOrder ?? 'rgb',
    mean: manifest.mean ?? torchvision.mean,
    std: manifest.std ?? torchvision.std,
    resize: resize ?? manifest.resize ?? 'cover',
  }
}

/** The exporter's labels, where there is one for each output. */
function fittingLabels(labels: readonly string[] | null, output: EngineTensor): readonly string[] | null {
  return labels?.length === elementCount(output.shape) ? labels : null
}

async function findLabels(options: ClassifierOptions, manifest: Manifest): Promise<readonly string[] | null> {
  if (options.labels !== undefined) return readLabels(options.labels)
  if (Array.isArray(manifest.labels)) return manifest.labels
  if (typeof manifest.labels === 'string') return readLabels(resolve(dirname(options.model), manifest.labels))
  const base = options.model.replace(/\.onnx$/i, '')
  const found = [`${base}.labels.txt`, `${base}.txt`].find((file) => existsSync(file))
  return found === undefined ? null : readLabels(found)
}
