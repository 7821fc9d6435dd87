/** What lies between frames, an open engine, and the numbers of one picture. */
import type { Clip } from '../engine/clip.js'
import type { Engine, EngineTensor } from '../engine/engine.js'
import { GapcamError } from '../errors.js'
import { rowLength } from '../model/metadata/outputs.js'
import type { TaskFacts } from '../model/metadata/task-facts.js'
import type { Manifest } from '../model/metadata/schema.js'
import { createPreprocessor } from '../pixels/preprocess.js'
import type { Preprocessor, PreprocessSpec, ResizeMode } from '../pixels/spec.js'
import { pictureInput, type PictureInput } from './input.js'
import { noveltyReader, type NoveltyReader } from './novelty.js'
import { rowReader, type RowReader } from './scores.js'
import { answerOf, isOther } from '../task/answer.js'
import type { TaskAnswer } from '../task/task-answer.js'
import { clipsOf } from '../task/video/clips.js'
import type { Code } from '../tensor.js'

/** The ends of an open engine, as a classifier uses them. */
export interface Wiring {
  readonly picture: PictureInput
  readonly output: EngineTensor
  /** Number of scores. */
  readonly count: number
  readonly read: RowReader
  /** What the task finds besides scores; null for a classifier. */
  readonly found: TaskAnswer['found'] | null
  /** The map of labels of the last run; null where the task has none. */
  readonly mask: TaskAnswer['mask']
  /** The frames of one view; null where each frame is looked at by itself. */
  readonly clip: (() => Clip) | null
  readonly preprocessor: (spec: PreprocessSpec) => Preprocessor
  /** Null for models that were not taught here. */
  readonly novelty: NoveltyReader | null
}

interface WiringParts {
  readonly path: string
  readonly manifest: Manifest
  readonly resize: ResizeMode | undefined
  /** The name of the output with the scores, of a classifier. */
  readonly output: string
  readonly task: TaskFacts
  /** The code of the file's integer input where the engine takes real numbers. */
  readonly code: Code | undefined
}

/** Throws MODEL_UNSUPPORTED where the model is no classifier of pictures. */
export function wire(engine: Engine, parts: WiringParts): Wiring {
  const { picture, clip } = inputOf(engine, parts)
  return {
    picture,
    clip,
    ...endOf(engine, picture, parts),
    novelty: noveltyReader(parts.manifest, engine, parts.path),
    preprocessor(wanted) {
      // A clip hands each frame on by itself, to a place of its own.
      if (clip) return createPreprocessor(wanted)
      const own = picture.feed ? null : engine.preprocessor?.(wanted)
      return fed(own ?? createPreprocessor(wanted), picture.feed)
    },
  }
}

/** What reads the outputs of the last run. */
function endOf(
  engine: Engine,
  { batch, spec }: PictureInput,
  { path, task, output: name }: WiringParts,
): Pick<Wiring, 'output' | 'count' | 'read' | 'found' | 'mask'> {
  if (isOther(task)) {
    const answer = answerOf(task, engine, spec)
    if ('reason' in answer) throw otherTask(path, task.task, answer.reason)
    return { ...answer, read: answer.scores }
  }
  const output = engine.outputs.find((each) => each.name === name)
  const count = output && rowLength(output.shape, batch)
  if (!output || !count) throw notClassifier(path, `it is not a classifier: ${shapeSentence(engine)}`)
  return { output, count, read: rowReader(output, count), found: null, mask: null }
}

/** The error for a model of another task whose outputs are not understood. */
export function otherTask(path: string, task: string, reason: string): GapcamError {
  return new GapcamError('MODEL_UNSUPPORTED', `model ${path}: ${reason}`, {
    hint: `docs/${task}.md says what the manifest may hold; gapcam model info shows the outputs.`,
  })
}

/** The error for a model whose outputs are no scores. */
export function notClassifier(path: string, reason: string): GapcamError {
  return new GapcamError('MODEL_UNSUPPORTED', `model ${path}: ${reason}`, {
    hint: 'A classifier has an output with one number for each class; output in its manifest names it, see docs/models.md.',
  })
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

/** The picture, and the clips that it belongs to. Throws MODEL_UNSUPPORTED for anything else. */
function inputOf(engine: Engine, parts: WiringParts): Pick<Wiring, 'picture' | 'clip'> {
  const { task, path, manifest, resize, code } = parts
  if (task.task !== 'video') return { picture: pictureOf(engine, parts), clip: null }
  // The layout of a manifest is that of the file's pictures; frames have one of their own.
  const own = task.layout.form === 'clips' ? { ...manifest, layout: undefined } : manifest
  const clips = clipsOf(task.layout, engine, (picture) => pictureInput(picture, own, resize, code))
  if ('reason' in clips) throw otherTask(path, 'video', clips.reason)
  return { picture: clips.first, clip: clips.make }
}

/** The one input that is a picture. Throws MODEL_UNSUPPORTED for anything else. */
function pictureOf(engine: Engine, { path, manifest, resize, code }: WiringParts): PictureInput {
  const [input] = engine.inputs
  const picture = engine.inputs.length === 1 && input ? pictureInput(input, manifest, resize, code) : null
  if (picture) return picture
  const shapes = engine.inputs.map(portSentence).join('; ')
  throw new GapcamError(
    'MODEL_UNSUPPORTED',
    `model ${path} does not take one picture with one or three channels, but ${shapes}`,
    { hint: 'A classifier takes one picture; gapcam model info shows what this model takes.' },
  )
}

const portSentence = ({ name, type, shape }: EngineTensor): string => `${name} ${type} [${shape.join(', ')}]`

const shapeSentence = ({ outputs }: Engine): string =>
  `no output has one number for each class, but ${outputs.map(portSentence).join('; ')}`
