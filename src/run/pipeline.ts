/**
 * The left half of one camera: frame → tensor → engine → prediction → policy. The engine is shared; a turn on it is
 * taken in the order of asking, so that cameras get equal shares.
 */
import type { Classifier } from '../classifier.js'
import type { Clock } from '../clock.js'
import type { CameraConfig, Config } from '../config/schema.js'
import type { ClassifierView, ClassifyHooks } from '../engine/classify.js'
import type { Frame } from '../frame.js'
import type { Metrics } from '../metrics.js'
import {
  expire,
  initialPolicy,
  loseCamera,
  observe,
  type Decision,
  type PolicyState,
  type PolicyStep,
} from '../decision/policy.js'
import type { Prediction, Timings } from '../decision/prediction.js'
import { PictureRequests, type CaptureOptions, type DrawnPictures, type Picture } from './picture.js'
import type { Region } from '../pixels/spec.js'
import { noProgress, type Loop } from './progress.js'
import type { Publisher } from '../publish/publisher.js'
import type { CameraSettings } from './settings.js'
import type { FrameRecorder } from '../recording/recorder.js'
import { Sight } from './sight.js'

/** Gives turns in order of asking. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()
  readonly #loop: Loop
  readonly #limitMs: number

  /** A turn that takes longer than `limitMs` hangs; `loop` hears of each. */
  constructor(loop: Loop = noProgress.loop(''), limitMs = Infinity) {
    this.#loop = loop
    this.#limitMs = limitMs
  }

  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => {
      this.#loop.enter('in an inference', this.#limitMs)
      return work().finally(() => this.#loop.enter('idle', Infinity))
    })
    this.#last = turn.catch(() => undefined)
    return turn
  }
}

export interface PipelineOptions {
  readonly camera: CameraConfig
  readonly classifier: Classifier
  readonly turns: Turns
  readonly topK: number
  /** What holds for this camera now; asked once a frame. */
  readonly settings: () => CameraSettings
  /** Default: the lens is not watched. */
  readonly lens?: Config['lens']
  readonly publisher: Publisher
  readonly recorder?: FrameRecorder
  readonly metrics: Metrics
  readonly clock: Clock
  /** A label settled, or was given up. */
  readonly onSettled: (camera: string, decision: Decision, prediction: Prediction | null) => void
}

interface Classified {
  readonly prediction: Prediction | null
  /** What was asked for of this frame; null where nobody did. */
  readonly drawn: Promise<DrawnPictures | null> | null
}

export class Pipeline {
  readonly #options: PipelineOptions
  #view: ClassifierView
  #roi: Region | null
  readonly #hooks: ClassifyHooks
  /** Of the frame under way: what draws it as a picture, on a thread beside the preprocessing. */
  #drawing: Promise<DrawnPictures | null> | null = null
  readonly #sight: Sight
  readonly #pictures = new PictureRequests()
  #policy: PolicyState
  #last: Prediction | null = null
  #lastFrameMs: number | null = null
  #frames = 0

  constructor(options: PipelineOptions) {
    const { camera, classifier, lens, clock } = options
    this.#options = options
    this.#roi = options.settings().roi
    this.#view = this.#openView()
    this.#hooks = this.#hooksOf(options)
    this.#sight = new Sight({ classifier, camera, spec: this.#view.spec, ...(lens ? { lens } : {}) })
    this.#policy = initialPolicy(clock.now())
  }

  /** What prepares the pixels: 'native', 'cuda', or why neither. */
  get pixelPath(): string {
    return this.#view.pixelPath
  }

  /** When the newest frame came, by the clock; null before the first. */
  get lastFrameMs(): number | null {
    return this.#lastFrameMs
  }

  /** Frames of this camera that became a prediction. */
  get frames(): number {
    return this.#frames
  }

  get decision(): Decision {
    return this.#policy.decision
  }

  #openView(): ClassifierView {
    const { camera, classifier, topK } = this.#options
    const { rotate, flipX, flipY } = camera
    return classifier.view({ roi: this.#roi ?? undefined, rotate, flipX, flipY }, topK)
  }

  #hooksOf({ recorder, clock }: PipelineOptions): ClassifyHooks {
    return {
      onFrame: (frame) => recorder?.begin(frame, this.#view.spec),
      onPixelsRead: (frame) => {
        if (this.#drawing) void this.#drawing.finally(() => frame.release())
        else frame.release()
      },
      onInput: (input, frame) => {
        recorder?.input(input)
        this.#sight.look(frame, clock.now())
      },
    }
  }

  /** Between two frames: another region is another pass over the pixels. */
  #followRegion(): void {
    const { roi } = this.#options.settings()
    if (roi === this.#roi) return
    const before = this.#view
    this.#roi = roi
    this.#view = this.#openView()
    this.#sight.follow(this.#view.spec)
    before.close()
  }

  /** Takes a frame over and publishes what comes of it. Rejects only with a fault of the engine. */
  async take(frame: Frame): Promise<void> {
    this.#lastFrameMs = this.#options.clock.now()
    // Observed within the turn: the feature map behind the prediction is the engine's until the next one.
    const { prediction, drawn } = await this.#options.turns.take(async () => {
      const classified = await this.#classify(frame)
      // Somebody may have switched the camera off meanwhile: its label must not come back.
      if (!classified.prediction || !this.#options.settings().isEnabled) return classified
      const prediction = this.#observe(classified.prediction, frame)
      if (classified.drawn)
        this.#pictures.warm((asked) => this.#sight.heatOf(asked ?? this.#shownClass(prediction), frame))
      return { ...classified, prediction }
    })
    if (drawn)
      (await drawn)?.deliver(this.#view.shown(frame.width, frame.height), frame, prediction, this.#policy.decision)
  }

  /**
   * The next frame's picture with what was computed from it. Rejects with CAMERA_LOST when the camera goes before it
   * comes, with NO_HEAT_MAP or USAGE where the heat that is asked for cannot be had. Asking again after each picture is
   * a stream at the asker's own pace.
   */
  capture(options?: CaptureOptions): Promise<Picture> {
    const refusal = options?.heat === undefined ? null : this.#sight.refusal(options.heat)
    return refusal ? Promise.reject(refusal) : this.#pictures.request(options)
  }

  /** The camera is gone: its label is withdrawn. */
  lose(): void {
    this.#pictures.fail()
    this.#sight.reset()
    this.#apply(loseCamera(this.#policy, 'camera_lost', this.#options.clock.now()), null)
    this.#options.publisher.cameraStatus(this.#options.camera.id, 'offline')
  }

  /** Somebody switched the camera off: nothing is said of it until `enable` and a frame. */
  disable(): void {
    const { camera, publisher, clock } = this.#options
    this.#pictures.fail()
    this.#apply(loseCamera(this.#policy, 'camera_disabled', clock.now()), null)
    publisher.cameraStatus(camera.id, 'disabled')
  }

  /** It begins as at the start: what was seen before is not what is there now. */
  enable(): void {
    const { camera, publisher, clock } = this.#options
    const state = initialPolicy(clock.now())
    this.#apply({ state, settled: state.decision, events: [] }, null)
    publisher.cameraStatus(camera.id, 'offline')
  }

  /** To be called now and then: withdraws a label whose last frame is too old. */
  tick(): void {
    const step = expire(this.#policy, this.#options.settings().policy, this.#options.clock.now())
    if (step.settled) this.#apply(step, null)
  }

  close(): void {
    this.#pictures.close()
    this.#view.close()
  }

  async #classify(frame: Frame): Promise<Classified> {
    const { metrics } = this.#options
    this.#followRegion()
    // Drawn beside the preprocessing, on a thread of its own; the inference does not wait for it.
    const drawn = this.#pictures.isAny ? this.#pictures.draw(frame) : null
    this.#drawing = drawn
    const outcome = await this.#view.classify(frame, this.#hooks)
    if (outcome.ok) {
      this.#count(outcome.prediction.timings)
      metrics.frames++
      this.#frames++
      return { prediction: outcome.prediction, drawn }
    }
    metrics.invalid++
    if (outcome.reason !== 'frame_invalid') {
      this.#count(outcome.timings)
      this.#recordFault()
    }
    return { prediction: null, drawn }
  }

  #count({ capture, preprocess, infer }: Timings): void {
    const { metrics } = this.#options
    metrics.capture.record(capture)
    metrics.preprocess.record(preprocess)
    metrics.infer.record(infer)
  }

  /** A frame whose outputs are not usable is in the recording too. */
  #recordFault(): void {
    const { recorder, settings, clock } = this.#options
    const state = this.#policy
    const logits = new Float32Array(0)
    recorder?.finish(
      { prediction: null, logits, before: state, after: state, policy: settings().policy, nowMs: clock.now() },
      [],
    )
  }

  /** Lets the policy judge, adds where the label's evidence lies, and tells the world. Gives the prediction with all that. */
  #observe(bare: Prediction, frame: Frame): Prediction {
    const { camera, publisher, settings, clock, metrics } = this.#options
    const start = clock.now()
    const [before, rules] = [this.#policy, settings().policy]
    const step = observe(before, bare, rules, start)
    this.#options.recorder?.finish(
      { prediction: bare, logits: bare.logits.slice(), before, after: step.state, policy: rules, nowMs: start },
      step.events,
    )
    const prediction = this.#sight.complete(bare, step.state.decision.index ?? bare.top[0]!.index, frame)
    this.#last = prediction
    publisher.result(camera.id, prediction)
    this.#apply(step, prediction)
    const problem = this.#sight.takeChange()
    if (problem !== undefined)
      publisher.event(camera.id, problem === null ? 'lens_cleared' : 'lens_problem', step.state.decision, prediction)
    metrics.decide.record(clock.now() - start)
    return prediction
  }

  /** The settled label's class, or the best while there is none. */
  #shownClass({ top }: Prediction): number {
    return this.#policy.decision.index ?? top[0]!.index
  }

  #apply(step: PolicyStep, prediction: Prediction | null): void {
    const { camera, publisher, onSettled } = this.#options
    this.#policy = step.state
    publisher.settled(camera.id, step.state.decision, prediction)
    for (const event of step.events) publisher.event(camera.id, event, step.state.decision, prediction ?? this.#last)
    if (step.settled) onSettled(camera.id, step.settled, prediction)
  }
}
