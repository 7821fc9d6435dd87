/**
 * The one way from a frame to a prediction: pixels into the network's input, a run of the engine, outputs to scores.
 * `gapcam run`, `classify`, `eval`, `replay` and `doctor` all take it, so they cannot disagree about a picture. A frame
 * that cannot be used gives an outcome that says so; only a fault of the engine rejects.
 */
import type { NativePixelPass } from '../addon-pixels.js'
import type { Novelty } from '../decision/novelty.js'
import type { Found } from '../decision/task.js'
import type { Outcome, PredictionFault, Predictor, RawOutputs, Timings } from '../decision/prediction.js'
import { GapcamError, messageOf } from '../errors.js'
import type { Frame } from '../frame.js'
import type { RgbImage } from '../pixels/image.js'
import { levelsOf } from '../pixels/levels.js'
import type { Preprocessor, PreprocessSpec, Region } from '../pixels/spec.js'
import type { PixelData, TensorData } from '../tensor.js'
import type { Clip } from './clip.js'
import type { Engine, EngineTensor } from './engine.js'

/** Callbacks between the stages. Make them once, not for each frame. */
export interface ClassifyHooks {
  /** Before the pixels are read. */
  readonly onFrame?: (frame: Frame) => void
  /** The pixels were read, or could not be: the frame may be released. Called exactly once for each frame. */
  readonly onPixelsRead?: (frame: Frame) => void
  /**
   * The network's input is complete. It is the engine's memory: valid until this returns. It is not called for a frame that
   * `wantsInput` refuses.
   */
  readonly onInput?: (input: TensorData, frame: Frame) => void
  /** Whether `onInput` wants the input of the next frame. The engine is faster without it. Default: it does. */
  readonly wantsInput?: () => boolean
}

/**
 * What became of a frame. `frame_invalid`: its pixels could not be read, `error` says why, and the engine did not run.
 * `clip_short`: the frame belongs to a clip that is not whole, and `detail` says why. The other reasons are faults of the
 * outputs.
 */
export type Classification =
  | Extract<Outcome, { readonly ok: true }>
  | { readonly ok: false; readonly reason: PredictionFault; readonly timings: Timings }
  | { readonly ok: false; readonly reason: 'frame_invalid'; readonly error: GapcamError }
  | { readonly ok: false; readonly reason: 'clip_short'; readonly detail: string }

/**
 * A classifier that looks at frames in one fixed way: region, turn, flip, resize.
 *
 *     const view = classifier.view({ roi: { x: 0.5, y: 0, width: 0.5, height: 1 } })
 *     const outcome = await view.classify(frame) // one call at a time; view.close() in the end
 */
export interface ClassifierView {
  /** How frames become the network's input. */
  readonly spec: PreprocessSpec
  /** What prepares the pixels: 'native', 'cuda', or why neither. */
  readonly pixelPath: string
  /** The part of a frame of this size that the network sees, before rotation and flips. */
  shown(width: number, height: number): Region
  /** Of a view of clips: whether a frame is the next one of its clip. Absent where every frame is looked at. */
  readonly isDue?: ((frame: Frame) => boolean) | undefined
  /**
   * Of a view of clips: the frames of the present clip as the network sees them, oldest first; null where there is no whole clip,
   * or only vectors are kept of it. Call it in turn with `classify`.
   */
  readonly shot?: (() => readonly RgbImage[] | null) | undefined
  /**
   * Classifies one frame, which it does not release. All views of a classifier share the memory of its engine: one call
   * at a time over all of them, and a prediction's logits and scores are valid until the view's next call.
   * Rejects with ENGINE_FAILED.
   */
  classify(frame: Frame, hooks?: ClassifyHooks): Promise<Classification>
  close(): void
}

export interface ViewParts {
  readonly engine: Pick<Engine, 'run' | 'look' | 'describe'>
  /** The picture that the preprocessor writes. */
  readonly input: EngineTensor
  /** Gives the outputs of the last run, one number per class. */
  readonly read: () => RawOutputs
  readonly spec: PreprocessSpec
  /** Closed with the view. */
  readonly preprocessor: Preprocessor
  readonly predict: Predictor
  /** Of the last run; null for models that were not taught here. */
  readonly novelty?: (() => Novelty) | null | undefined
  /** What the task found in the frame of the last run besides scores; null for a classifier. */
  readonly found?: ((frame: Frame) => Found) | null | undefined
  /** The frames of a view of clips; null where each frame is looked at by itself. */
  readonly clip?: Clip | null | undefined
}

const noHooks: ClassifyHooks = {}

type StageTimes = Pick<Timings, 'preprocess' | 'infer'>

/**
 * The way of a frame through the network, up to its outputs. Resolves with the times of the stages, or with null where the clip
 * wants no run yet.
 */
function createStages({
  engine,
  input,
  preprocessor,
  clip,
}: Pick<ViewParts, 'engine' | 'input' | 'preprocessor' | 'clip'>): (
  frame: Frame,
  hooks: ClassifyHooks,
) => Promise<StageTimes | null> {
  /** What the engine can look through by itself; null where the picture takes another way. */
  const pass = engine.look && !clip ? (preprocessor.native ?? null) : null

  /** Writes a frame to where the network or its clip wants it, and gives that place. */
  async function prepare(frame: Frame): Promise<TensorData> {
    if (!clip) {
      await preprocessor.run(frame, input.data as PixelData)
      return input.data
    }
    const { pixels, feed } = clip.slot()
    await preprocessor.run(frame, pixels.data as PixelData)
    feed?.()
    clip.add(frame)
    return pixels.data
  }

  /** Pixels, then the network; null where the clip wants no run yet. */
  async function inSteps(frame: Frame, hooks: ClassifyHooks): Promise<StageTimes | null> {
    const start = performance.now()
    let pixels: TensorData
    try {
      hooks.onFrame?.(frame)
      pixels = await prepare(frame)
    } finally {
      hooks.onPixelsRead?.(frame)
    }
    const preprocess = performance.now() - start
    hooks.onInput?.(pixels, frame)
    if (clip && !clip.wantsRun) return null
    const infer = performance.now()
    await engine.run().catch(failEngine)
    clip?.ran()
    return { preprocess, infer: performance.now() - infer }
  }

  /** Both in one job of the engine, without a look at the input in between. */
  async function atOnce(frame: Frame, hooks: ClassifyHooks, native: NativePixelPass): Promise<StageTimes> {
    const start = performance.now()
    try {
      hooks.onFrame?.(frame)
      const preprocess = await engine.look!(native, frame)
      return { preprocess, infer: performance.now() - start - preprocess }
    } finally {
      hooks.onPixelsRead?.(frame)
    }
  }

  return (frame, hooks) => {
    const isSeen = hooks.onInput !== undefined && (hooks.wantsInput?.() ?? true)
    return pass && !isSeen ? atOnce(frame, hooks, pass) : inSteps(frame, hooks)
  }
}

/** Puts a view together; `Classifier.view` is the door to it. */
export function createView(parts: ViewParts): ClassifierView {
  const { engine, read, spec, preprocessor, predict, novelty, found, clip = null } = parts
  const stagesOf = createStages(parts)

  /** What the outputs of the run that ended last say. */
  function answer(frame: Frame, timings: Timings): Classification {
    const { engine: name, target } = engine.describe()
    const outcome = predict(read(), {
      engine: name,
      target,
      frameSeq: frame.seq,
      wallTime: frame.wallTime,
      timings,
      ...(novelty ? { novelty: novelty() } : {}),
    })
    if (outcome.ok && found) return { ok: true, prediction: { ...outcome.prediction, found: found(frame) } }
    return outcome.ok ? outcome : { ok: false, reason: outcome.reason, timings }
  }

  return {
    spec,
    pixelPath: preprocessor.path,
    shown: (width, height) => preprocessor.shown(width, height),
    ...(clip ? ofClips(clip, spec) : {}),
    async classify(frame, hooks = noHooks) {
      const capture = Math.max(0, Number(process.hrtime.bigint() - frame.capturedNs) / 1e6)
      let times: StageTimes | null
      try {
        times = await stagesOf(frame, hooks)
      } catch (error) {
        if (error instanceof GapcamError && error.code === 'FRAME_INVALID')
          return { ok: false, reason: 'frame_invalid', error }
        throw error
      }
      const short = clip?.shortage() ?? null
      if (times === null || short !== null)
        return { ok: false, reason: 'clip_short', detail: short ?? 'its clip is not whole' }
      const { preprocess, infer } = times
      try {
        return answer(frame, { capture, preprocess, infer, total: capture + preprocess + infer })
      } catch (error) {
        return failEngine(error)
      }
    },
    close: () => preprocessor.close(),
  }
}

/** What a view of clips has besides. */
function ofClips(clip: Clip, spec: PreprocessSpec): Required<Pick<ClassifierView, 'isDue' | 'shot'>> {
  return {
    isDue: (frame) => clip.isDue(frame),
    shot: () => clip.pictures()?.map((values) => levelsOf(values, spec)) ?? null,
  }
}

/** An engine that rejects, and outputs that do not fit the labels, are faults of the model and never of a camera. */
function failEngine(error: unknown): never {
  if (error instanceof GapcamError) throw error
  throw new GapcamError('ENGINE_FAILED', `the model could not be run: ${messageOf(error)}`, { cause: error })
}
