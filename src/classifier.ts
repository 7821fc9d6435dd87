/**
 * A classifier ready for frames: the model on its engine, with labels, the preprocessing that it was trained with, and
 * how its outputs become scores. What could not be known and was assumed is listed.
 */
import { basename } from 'node:path'
import { pictureInput, type PictureInput } from './classifier/input.js'
import { findLabels, labelsFor, type GivenLabels } from './classifier/labels.js'
import { originsOf, type Origins } from './classifier/origins.js'
import { readingFor } from './classifier/reading.js'
import { rowReader, type RowReader } from './classifier/scores.js'
import { openEngine, type EngineChoice } from './engine/select.js'
import { createView, type Classification, type ClassifierView } from './engine/classify.js'
import type { Engine, EngineOptions, EngineTensor } from './engine/engine.js'
import { GapcamError } from './errors.js'
import type { Frame } from './frame.js'
import { heatOf, planHeat, type Heat } from './heat/open.js'
import { settleInput } from './model/metadata/input-shape.js'
import { rowLength, scoresValue, type ScoresValue } from './model/metadata/outputs.js'
import type { Reading } from './model/metadata/reading.js'
import { findManifest, type FoundManifest } from './model/metadata/manifest.js'
import { loadModel } from './model/load.js'
import { modelStem } from './model/metadata/schema.js'
import type { LoadedModel } from './model/onnx/onnx.js'
import { portCodes } from './model/quantized/code.js'
import { onlyOutputs, prepareNative } from './model/prepare.js'
import { createPredictor, type PredictorOptions } from './decision/prediction.js'
import { createPreprocessor } from './pixels/preprocess.js'
import type { Preprocessor, PreprocessSpec, ResizeMode } from './pixels/spec.js'
import type { Graph } from './model/graph.js'

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
  /**
   * The picture as the pixel path writes it, three channels of floats or bytes. It is the engine's input itself where that
   * has this form; else `preprocessor` converts from here.
   */
  readonly input: EngineTensor
  /** The output with one number a class; memory of the engine. */
  readonly output: EngineTensor
  /** How the outputs become scores, and how that is known. */
  readonly reading: Reading
  readonly labels: readonly string[]
  /** Heat maps of the last run, or why there are none. */
  readonly heat: Heat
  /** What was assumed because no manifest and no known digest says it. */
  readonly assumed: readonly string[]
  /** Where each part of the way from a picture to scores comes from. */
  readonly origins: Origins
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
  const file = await loadModel(options.model)
  const found = await findManifest(file)
  const given = await findLabels(options, found)
  const { model, inputSize, assumed } = settleInput(file, found.manifest, options.inputSize)
  const { graph } = prepareNative(withNamed(model.graph, found.manifest.output), { inputSize })
  const scores = chooseScores(model, graph, { output: found.manifest.output, labels: given?.labels.length })
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
    ? planHeat(model, inputSize, scores.name)
    : { reason: 'heat maps were not asked for when the model was opened' }
  const extra = [...extraOutputs, ...('head' in plan ? plan.extraOutputs : [])]
  const engine = await openEngine(model, choice, {
    ...engineOptions,
    outputs: [scores.name],
    inputSize,
    extraOutputs: extra,
  })
  try {
    const parts = { options, model, fileGraph: file.graph, graph, found, given, scores, engine, assumed }
    const classifier = await assemble(parts)
    const isBinary = classifier.labels.length === 2 && scores.count === 1
    return { ...classifier, heat: isBinary ? noPairHeat : heatOf(plan, engine) }
  } catch (error) {
    await engine.close()
    throw error
  }
}

const noPairHeat: Heat = { reason: 'it has one output for two labels, not a map for each' }

/** The graph with the inner value that a manifest names as its output. */
function withNamed(graph: Graph, name: string | undefined): Graph {
  const isMade = name !== undefined && graph.nodes.some(({ outputs }) => outputs.includes(name))
  return isMade ? onlyOutputs(graph, [name]) : graph
}

/** The value with the scores. Throws MODEL_UNSUPPORTED for a model that is no classifier. */
function chooseScores(
  model: LoadedModel,
  graph: Graph,
  hints: { readonly output: string | undefined; readonly labels: number | undefined },
): ScoresValue {
  const [batch] = graph.inputs[0]?.shape ?? []
  const scores = scoresValue(graph, hints, typeof batch === 'number' ? batch : 1)
  if ('reason' in scores) throw notClassifier(model, scores.reason)
  return scores
}

function notClassifier({ path }: LoadedModel, reason: string): GapcamError {
  return new GapcamError('MODEL_UNSUPPORTED', `model ${path}: ${reason}`, {
    hint: 'A classifier has an output with one number for each class; output in its manifest names it, see docs/models.md.',
  })
}

/** What an opened engine becomes a classifier with. */
interface Parts {
  readonly options: ClassifierOptions
  readonly model: LoadedModel
  /** As the file has it. */
  readonly fileGraph: Graph
  /** Prepared for the native engine. */
  readonly graph: Graph
  readonly found: FoundManifest
  readonly given: GivenLabels | null
  readonly scores: ScoresValue
  readonly engine: Engine
  /** What was assumed to open the engine. */
  readonly assumed: readonly string[]
}

async function assemble(parts: Parts): Promise<Omit<Classifier, 'heat'>> {
  const { model, graph, found, given, scores, engine } = parts
  const picture = pictureOf(parts)
  const { pixels: input, spec, feed } = picture
  const output = engine.outputs.find(({ name }) => name === scores.name)
  const count = output && rowLength(output.shape, picture.batch)
  if (!output || !count) throw notClassifier(model, `it is not a classifier: ${shapeSentence(engine)}`)
  const { labels, notices, origin } = labelsFor(given, scores.labels ?? found.ownLabels, count)
  const read = rowReader(output, count)
  const preprocessor: Classifier['preprocessor'] = (wanted) => {
    const own = feed ? null : engine.preprocessor?.(wanted)
    return fed(own ?? createPreprocessor(wanted), feed)
  }
  const reading = await readingFor({ graph, scores, output, found, count, engine, picture, read, preprocessor })
  const modelId = basename(modelStem(model.path))
  const predictor = (topK: number): PredictorOptions => ({
    labels,
    topK,
    modelId,
    modelSha256: model.sha256,
    scoreActivation: reading.activation,
    quantization: reading.quantization,
    isBinary: count === 1 && labels.length === 2,
  })
  return {
    path: model.path,
    modelId,
    sha256: model.sha256,
    version: found.manifest.version ?? null,
    engine,
    input,
    output,
    reading,
    labels,
    assumed: [
      ...(model.assumed ?? []),
      ...parts.assumed,
      ...picture.assumed,
      ...(reading.isCertain ? [] : [`outputs are ${reading.sentence}`]),
      ...found.notices,
      ...notices,
    ],
    origins: originsOf({ ...parts, graph: parts.fileGraph, picture, labels: origin, scores: reading.sentence }),
    ...looks({ engine, input, read, spec, preprocessor, predictor }),
  }
}

/** A preprocessor that hands the picture on to the engine's input after each run. */
function fed(preprocessor: Preprocessor, feed: PictureInput['feed']): Preprocessor {
  if (!feed) return preprocessor
  return {
    path: preprocessor.path,
    async run(frame, target) {
      await preprocessor.run(frame, target)
      feed()
    },
    shown: (width, height) => preprocessor.shown(width, height),
    close: () => preprocessor.close(),
  }
}

/** What the ways to look at frames share. */
interface LookParts {
  readonly engine: Engine
  readonly input: EngineTensor
  readonly read: RowReader
  readonly spec: PreprocessSpec
  readonly preprocessor: Classifier['preprocessor']
  readonly predictor: (topK: number) => PredictorOptions
}

/** The methods of a classifier. */
function looks(parts: LookParts): Pick<Classifier, 'preprocessing' | 'preprocessor' | 'view' | 'classify' | 'close'> {
  const { engine, input, read, spec, preprocessor, predictor } = parts
  const preprocessing: Classifier['preprocessing'] = (view = {}) => ({ ...spec, ...view })
  const view: Classifier['view'] = (wanted, topK = 5) => {
    const own = preprocessing(wanted)
    const predict = createPredictor(predictor(topK))
    return createView({ engine, input, read, spec: own, preprocessor: preprocessor(own), predict })
  }
  let whole: ClassifierView | null = null
  return {
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

/** The one input that is a picture. Throws MODEL_UNSUPPORTED for anything else. */
function pictureOf({ model, graph, engine, found, options }: Parts): PictureInput {
  const [input] = engine.inputs
  const code = portCodes(graph).get(input?.name ?? '')
  const picture = engine.inputs.length === 1 && input ? pictureInput(input, found.manifest, options.resize, code) : null
  if (picture) return picture
  const shapes = engine.inputs.map(portSentence).join('; ')
  throw new GapcamError(
    'MODEL_UNSUPPORTED',
    `model ${model.path} does not take one picture with one or three channels, but ${shapes}`,
    { hint: 'A classifier takes one picture; gapcam model info shows what this model takes.' },
  )
}

const portSentence = ({ name, type, shape }: EngineTensor): string => `${name} ${type} [${shape.join(', ')}]`

const shapeSentence = ({ outputs }: Engine): string =>
  `no output has one number for each class, but ${outputs.map(portSentence).join('; ')}`
