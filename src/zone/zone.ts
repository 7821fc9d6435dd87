/**
 * One zone at work: view → inference → decision → publishing, one frame at a time. It owns its view, its policy's state
 * and what it said last. The engine is shared: a frame waits for its turn on it, and everything that reads the
 * network's input or feature map happens within that turn.
 */
import type { Classifier } from '../classifier.js'
import type { Clock } from '../clock.js'
import type { Config } from '../config/schema.js'
import type { Decision } from '../decision/decision.js'
import { expire, initialPolicy, loseCamera, observe, type PolicyState, type PolicyStep } from '../decision/policy.js'
import type { PolicyOptions } from '../decision/policy.js'
import type { Prediction, Timings } from '../decision/prediction.js'
import type { ClassifierView, ClassifyHooks } from '../engine/classify.js'
import type { Frame } from '../frame.js'
import type { Metrics } from '../metrics.js'
import type { Region } from '../pixels/spec.js'
import type { Publisher } from '../publish/publisher.js'
import type { FrameRecorder } from '../recording/recorder.js'
import type { ZoneDefinition } from './definition.js'
import { PictureRequests, type CaptureOptions, type DrawnPictures, type Picture } from './picture.js'
import { Sight } from './sight.js'

/** The values that commands may change while the zone runs. */
export interface ZoneSettings {
  /** Whether the zone may say anything: its camera is switched on. */
  readonly isEnabled: boolean
  readonly policy: PolicyOptions
  /** Null: the whole frame. */
  readonly roi: Region | null
}

/** Gives one caller at a time the engine, in the order of asking. */
export interface EngineTurns {
  take<T>(work: () => Promise<T>): Promise<T>
}

export interface ZoneOptions {
  readonly definition: ZoneDefinition
  readonly classifier: Classifier
  readonly turns: EngineTurns
  readonly topK: number
  /** The values that hold now. Called once for each frame; the same object until something changes. */
  readonly settings: () => ZoneSettings
  /** Default: no lens checks. */
  readonly lens?: Config['lens'] | undefined
  readonly publisher: Publisher
  readonly recorder?: FrameRecorder | undefined
  readonly metrics: Metrics
  readonly clock: Clock
  /** A label was settled or withdrawn. */
  readonly onSettled: (zone: string, decision: Decision, prediction: Prediction | null) => void
}

interface Looked {
  readonly prediction: Prediction | null
  /** The pictures that were asked for of this frame; null where none were. */
  readonly drawn: Promise<DrawnPictures | null> | null
}

/**
 * A zone of a running node. Its camera calls `take` for each frame and `lose`, `disable` and `enable` for what happens
 * to it.
 */
export class Zone {
  readonly #options: ZoneOptions
  #view: ClassifierView
  #roi: Region | null
  readonly #hooks: ClassifyHooks
  /** The pictures of the frame in progress, drawn on a thread of their own beside the preprocessing. */
  #drawing: Promise<DrawnPictures | null> | null = null
  readonly #sight: Sight
  readonly #pictures = new PictureRequests()
  #policy: PolicyState
  #last: Prediction | null = null
  #frames = 0

  constructor(options: ZoneOptions) {
    const { classifier, definition, lens, clock } = options
    this.#options = options
    this.#roi = options.settings().roi
    this.#view = this.#openView()
    this.#hooks = this.#hooksOf(options)
    this.#sight = new Sight({ classifier, watchRegion: definition.watchRegion, spec: this.#view.spec, lens })
    this.#policy = initialPolicy(clock.now())
  }

  get key(): string {
    return this.#options.definition.key
  }

  /** Id of its camera. */
  get camera(): string {
    return this.#options.definition.camera
  }

  /** What prepares the pixels: 'native', 'cuda', or why neither. */
  get pixelPath(): string {
    return this.#view.pixelPath
  }

  /** Frames that became a prediction. */
  get frames(): number {
    return this.#frames
  }

  get decision(): Decision {
    return this.#policy.decision
  }

  /** Takes a frame over, publishes what comes of it and releases it. Rejects only with a fault of the engine. */
  async take(frame: Frame): Promise<void> {
    const { prediction, drawn } = await this.#options.turns.take(() => this.#look(frame))
    if (!drawn) return
    const shown = this.#view.shown(frame.width, frame.height)
    ;(await drawn)?.deliver(shown, frame, prediction, this.#policy.decision)
  }

  /**
   * The next frame's picture with what was computed from it. Rejects with CAMERA_LOST when the camera is lost before
   * that frame, with NO_HEAT_MAP or USAGE where the requested heat map does not exist. Ask again after each picture for
   * a stream at your own pace.
   *
   *     const { rgb, width, height, decision } = await zone.capture({ maxSide: 640 })
   */
  capture(options?: CaptureOptions): Promise<Picture> {
    const refusal = options?.heat === undefined ? null : this.#sight.refusal(options.heat)
    return refusal ? Promise.reject(refusal) : this.#pictures.request(options)
  }

  /** The camera was opened and its first frame follows. `isLive`: identical frames mean that it is frozen. */
  opened(isLive: boolean): void {
    this.#sight.opened(isLive)
  }

  /** Withdraws the label: the camera is lost. */
  lose(): void {
    this.#pictures.fail()
    this.#sight.reset()
    this.#apply(loseCamera(this.#policy, 'camera_lost', this.#options.clock.now()), null)
  }

  /** Withdraws the label: the camera was switched off. Nothing is published until `enable` and a frame. */
  disable(): void {
    this.#pictures.fail()
    this.#apply(loseCamera(this.#policy, 'camera_disabled', this.#options.clock.now()), null)
  }

  /** Publishes that there is no label any more: gapcam ends. */
  end(): void {
    const { state } = loseCamera(this.#policy, 'stopped', this.#options.clock.now())
    this.#policy = state
    this.#options.publisher.settled(this.key, state.decision, null)
  }

  /** Starts over, as at the start of the program: what was seen before the pause says nothing about now. */
  enable(): void {
    const state = initialPolicy(this.#options.clock.now())
    this.#apply({ state, settled: state.decision, events: [] }, null)
  }

  /** Withdraws a label whose last frame is too old. Call it about once a second. */
  tick(): void {
    const step = expire(this.#policy, this.#options.settings().policy, this.#options.clock.now())
    if (step.settled) this.#apply(step, null)
  }

  close(): void {
    this.#pictures.close()
    this.#view.close()
  }

  #openView(): ClassifierView {
    const { definition, classifier, topK } = this.#options
    return classifier.view({ ...definition.turn, roi: this.#roi ?? undefined }, topK)
  }

  #hooksOf({ recorder, clock }: ZoneOptions): ClassifyHooks {
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

  /** A changed region needs another view. Called between two frames. */
  #updateView(): void {
    const { roi } = this.#options.settings()
    if (roi === this.#roi) return
    const before = this.#view
    this.#roi = roi
    this.#view = this.#openView()
    this.#sight.changeView(this.#view.spec)
    before.close()
  }

  /** One frame within its turn on the engine. The decision is made here too: it reads the feature map of this very run. */
  async #look(frame: Frame): Promise<Looked> {
    this.#updateView()
    const drawn = this.#pictures.isAny ? this.#pictures.draw(frame) : null
    this.#drawing = drawn
    const bare = await this.#classify(frame)
    // A camera that was switched off in the meantime must not get its label back.
    if (!bare || !this.#options.settings().isEnabled) return { prediction: bare, drawn }
    const prediction = this.#decide(bare, frame)
    if (drawn) this.#pictures.takeHeat((asked) => this.#sight.heatOf(asked ?? this.#shownClass(prediction), frame))
    return { prediction, drawn }
  }

  /** Null: the frame or the model's outputs for it cannot be used. Counted either way. */
  async #classify(frame: Frame): Promise<Prediction | null> {
    const { metrics } = this.#options
    const outcome = await this.#view.classify(frame, this.#hooks)
    if (outcome.ok) {
      this.#count(outcome.prediction.timings)
      metrics.frames++
      this.#frames++
      return outcome.prediction
    }
    metrics.invalid++
    if (outcome.reason !== 'frame_invalid') {
      this.#count(outcome.timings)
      this.#recordFault()
    }
    return null
  }

  #count({ capture, preprocess, infer }: Timings): void {
    const { metrics } = this.#options
    metrics.capture.record(capture)
    metrics.preprocess.record(preprocess)
    metrics.infer.record(infer)
  }

  /** Records a frame whose outputs cannot be used: the policy's state stays as it was. */
  #recordFault(): void {
    const { recorder, settings, clock } = this.#options
    const state = this.#policy
    const logits = new Float32Array(0)
    const policy = settings().policy
    recorder?.finish({ prediction: null, logits, before: state, after: state, policy, nowMs: clock.now() }, [])
  }

  /**
   * Applies the policy (a frozen camera has no label), adds where the label's evidence lies, and publishes. Returns the
   * prediction with the additions.
   */
  #decide(bare: Prediction, frame: Frame): Prediction {
    const { publisher, recorder, settings, clock, metrics } = this.#options
    const start = clock.now()
    const [before, policy] = [this.#policy, settings().policy]
    const { isFrozen } = this.#sight
    const step = isFrozen ? loseCamera(before, 'frozen', start) : observe(before, bare, policy, start)
    // A recording can be replayed frame by frame; that a camera is frozen is not in any one of its frames.
    if (!isFrozen)
      recorder?.finish(
        { prediction: bare, logits: bare.logits.slice(), before, after: step.state, policy, nowMs: start },
        step.events,
      )
    const prediction = this.#sight.complete(bare, step.state.decision.index ?? bare.top[0]!.index, frame)
    this.#last = prediction
    publisher.result(this.key, prediction)
    this.#apply(step, prediction)
    const problem = this.#sight.takeChange()
    if (problem !== undefined)
      publisher.event(this.key, problem === null ? 'lens_cleared' : 'lens_problem', step.state.decision, prediction)
    metrics.decide.record(clock.now() - start)
    return prediction
  }

  /** The settled label's class, or the best class while there is no label. */
  #shownClass({ top }: Prediction): number {
    return this.#policy.decision.index ?? top[0]!.index
  }

  #apply(step: PolicyStep, prediction: Prediction | null): void {
    const { publisher, onSettled } = this.#options
    this.#policy = step.state
    publisher.settled(this.key, step.state.decision, prediction)
    for (const event of step.events) publisher.event(this.key, event, step.state.decision, prediction ?? this.#last)
    if (step.settled) onSettled(this.key, step.settled, prediction)
  }
}
