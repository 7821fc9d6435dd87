/**
 * A classifier ready for frames: the model on its engine, with labels, the preprocessing that it was trained with, and
 * how its outputs become scores. What could not be known and was assumed is listed.
 */
import { basename } from 'node:path'
import { embeddingOf, type Embedding } from './classifier/embedding.js'
import type { OpenedModel } from './classifier/facts.js'
import type { NoveltyReader } from './classifier/novelty.js'
import type { ClassifierOptions } from './classifier/options.js'
import type { Origins } from './classifier/origins.js'
import { planPlace, recallModel } from './classifier/recall.js'
import type { RowReader } from './classifier/scores.js'
import { createPredictor, type PredictorOptions } from './decision/prediction.js'
import type { FoundClip, Task } from './decision/task.js'
import { createView, type Classification, type ClassifierView } from './engine/classify.js'
import type { Clip } from './engine/clip.js'
import type { Engine, EngineTensor } from './engine/engine.js'
import type { Frame } from './frame.js'
import { heatOf } from './heat/open.js'
import type { Heat } from './heat/map.js'
import type { Reading } from './model/metadata/reading.js'
import type { VideoLayout } from './model/metadata/video.js'
import { modelStem } from './model/metadata/schema.js'
import type { LabelMask } from './pixels/mask.js'
import type { Preprocessor, PreprocessSpec } from './pixels/spec.js'

export type { ClassifierOptions } from './classifier/options.js'

export interface Classifier {
  readonly path: string
  /** The model's file name without its ending. */
  readonly modelId: string
  readonly sha256: string
  readonly version: string | null
  /** What it answers, and how that is known, as part of a sentence. */
  readonly task: Task
  readonly taskSentence: string
  /** Of a model that looks at clips: how they are made of frames. Null where each frame is looked at by itself. */
  readonly clip: VideoLayout | null
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
  /** The embedding of the last run, or why there is none. */
  readonly embedding: Embedding
  /** The map of labels of a segmenter's last run, which the caller owns; null for other tasks. */
  readonly mask: (() => LabelMask) | null
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
  const place = await planPlace(options)
  const kept = place && (await recallModel(options, place))
  // Readers, passes and operators are loaded only for a model that was not kept.
  const opened = kept ?? (await (await import('./classifier/survey.js')).surveyModel(options, place))
  return classifierOf(options.model, opened)
}

const noPairHeat: Heat = { reason: 'it has one output for two labels, not a map for each' }

/** A classifier of an engine that is open already; `path` names its model. It closes the engine. */
export function classifierOf(path: string, { engine, wiring, facts, heat, keeping }: OpenedModel): Classifier {
  const { picture, output, count, read, clip, found, preprocessor, novelty } = wiring
  const { sha256, manifest, labels, reading, assumed, origins } = facts
  const modelId = basename(modelStem(path))
  const isBinary = count === 1 && labels.length === 2
  const predictor = (topK: number): PredictorOptions => ({
    labels,
    topK,
    modelId,
    modelSha256: sha256,
    scoreActivation: reading.activation,
    quantization: reading.quantization,
    isBinary,
  })
  const { pixels: input, spec } = picture
  return {
    path,
    modelId,
    sha256,
    version: manifest.version ?? null,
    task: facts.task.task,
    taskSentence: facts.taskSentence,
    clip: facts.task.task === 'video' ? facts.task.layout : null,
    engine,
    input,
    output,
    reading,
    labels,
    heat: isBinary ? noPairHeat : heatOf(heat, engine),
    embedding: embeddingOf(facts.embedding, engine),
    mask: wiring.mask,
    assumed,
    origins,
    ...looks({ engine, input, read, clip, found, labels, spec, preprocessor, predictor, novelty, keeping }),
  }
}

/** What a prediction says of the clip that it is about. */
const clipFound = ({ frames, everyMs }: Clip): FoundClip => ({ task: 'video', frames, spanMs: (frames - 1) * everyMs })

/** What the ways to look at frames share. */
interface LookParts {
  readonly engine: Engine
  readonly input: EngineTensor
  readonly read: RowReader
  readonly clip: OpenedModel['wiring']['clip']
  readonly found: OpenedModel['wiring']['found']
  readonly labels: readonly string[]
  readonly spec: PreprocessSpec
  readonly preprocessor: Classifier['preprocessor']
  readonly predictor: (topK: number) => PredictorOptions
  readonly novelty: NoveltyReader | null
  readonly keeping: Promise<void> | undefined
}

/** The methods of a classifier. */
function looks(parts: LookParts): Pick<Classifier, 'preprocessing' | 'preprocessor' | 'view' | 'classify' | 'close'> {
  const { engine, input, read, clip, found, labels, spec, preprocessor, predictor, novelty, keeping } = parts
  const preprocessing: Classifier['preprocessing'] = (view = {}) => ({ ...spec, ...view })
  const view: Classifier['view'] = (wanted, topK = 5) => {
    const own = preprocessing(wanted)
    const predict = createPredictor(predictor(topK))
    const frames = clip?.() ?? null
    const seen = frames ? () => clipFound(frames) : found && ((frame: Frame) => found(frame, own, labels))
    return createView({
      engine,
      input,
      read,
      found: seen,
      clip: frames,
      spec: own,
      preprocessor: preprocessor(own),
      predict,
      novelty,
    })
  }
  let whole: ClassifierView | null = null
  return {
    preprocessing,
    preprocessor,
    view,
    classify: (frame) => (whole ??= view()).classify(frame),
    async close() {
      whole?.close()
      await keeping
      await engine.close()
    },
  }
}
