/**
 * One zone at work: trigger → view → inference → decision → publishing, one frame at a time. The engine is shared: a frame
 * waits for its turn on it, and everything that reads the network's input or feature map happens within that turn.
 */
import type { Classifier } from '../classifier.js'
import { isWithoutCamera, unable, type Decision } from '../decision/decision.js'
import {
  expire,
  initialPolicy,
  isUndecided,
  loseCamera,
  loseView,
  observe,
  type PolicyState,
  type PolicyStep,
} from '../decision/policy.js'
import type { Prediction } from '../decision/prediction.js'
import type { Frame } from '../frame.js'
import { Answer, type Said } from './answer.js'
import type { ZoneDefinition } from './definition.js'
import { Occasions } from './occasions.js'
import { PictureRequests, type CaptureOptions, type DrawnPictures, type Picture } from './picture.js'
import { RecordedDecisions } from './recorded.js'
import type { AskedReason, LookReason, Moment } from './trigger.js'
import { ZoneView } from './view.js'
import { Visits, withVisit } from './visits.js'
import type { ZoneOptions, ZoneSettings } from './zone-options.js'

/** A zone whose turn comes later than this after its frame waits for the next one. */
const turnWithinMs = 1000

interface Looked {
  readonly prediction: Prediction | null
  /** The pictures that were asked for of this frame; null where none were. */
  readonly drawn: Promise<DrawnPictures | null> | null
}

/** A zone of a running node. Its camera calls `take` for each frame; `lose`, `disable` and `enable` say what happens to it. */
export class Zone {
  readonly #options: ZoneOptions
  readonly #view: ZoneView
  readonly #occasions: Occasions
  readonly #answer: Answer
  readonly #recorded: RecordedDecisions
  readonly #visits: Visits
  readonly #pictures = new PictureRequests()
  #policy: PolicyState
  #settings: ZoneSettings
  #last: Prediction | null = null
  #frames = 0
  /** When it had its last turn on the engine, when it last saw a frame without looking at it, and when it skipped one. */
  #turnMs = -Infinity
  #seenMs = -Infinity
  #skippedMs = -Infinity
  #isSwitchedOff = false
  /** More frames like the last one would change the decision. */
  #isSettling = false
  /** The frame under way. */
  #taking: Promise<void> = Promise.resolve()
  #isClosed = false
  /** Looks that did not happen, since the engine could not keep up. */
  skipped = 0
  /** Of the frame under way. */
  #moment: Moment = { nowMs: 0, wallMs: 0, isSettling: false }

  constructor(options: ZoneOptions) {
    const { definition, clock, onWarning, first } = options
    this.#options = options
    this.#settings = options.settings()
    this.#recorded = new RecordedDecisions(options)
    this.#view = new ZoneView(options, this.#settings.roi)
    this.#visits = new Visits(options)
    this.#policy = { ...initialPolicy(clock.now()), ...(first ? { decision: first } : {}) }
    this.#answer = new Answer({ ...options, ...definition }, this.#policy.decision)
    this.#occasions = new Occasions({ definition, policy: this.#settings.policy, onLate: onWarning })
  }

  get key(): string {
    return this.#options.definition.key
  }

  /** Id of its camera. */
  get camera(): string {
    return this.#options.definition.camera
  }

  get definition(): ZoneDefinition {
    return this.#options.definition
  }

  /** What computes its answers; shared with other zones. */
  get classifier(): Classifier {
    return this.#options.classifier
  }

  /** How it sees pictures. */
  get view(): Pick<ZoneView, 'shape' | 'current'> {
    return this.#view
  }

  /** What prepares the pixels: 'native', 'cuda', or why neither. */
  get pixelPath(): string {
    return this.#view.current.pixelPath
  }

  /** Frames that became a prediction. */
  get frames(): number {
    return this.#frames
  }

  /** Looks by their reason. */
  get looks(): ReadonlyMap<LookReason, number> {
    return this.#occasions.looks
  }

  /** What it said last. */
  get decision(): Decision {
    return this.#answer.decision
  }

  /** Takes a frame over, publishes what comes of it and releases it. Rejects only with a fault of the engine. */
  take(frame: Frame): Promise<void> {
    this.#taking = this.#isClosed ? Promise.resolve(frame.release()) : this.#take(frame)
    return this.#taking
  }

  async #take(frame: Frame): Promise<void> {
    const { turns, clock, definition } = this.#options
    const moment = this.#at()
    const reason = this.#isSwitchedOff || !this.#isInView() ? null : this.#occasions.reason(frame, moment)
    if (reason === null || this.#view.current.isDue?.(frame) === false) return this.#glance(frame)
    const untilMs = definition.zone === null ? Infinity : moment.nowMs + turnWithinMs
    const looked = await turns.take(() => this.#look(frame, reason), { lastMs: this.#turnMs, untilMs })
    if (looked === null) {
      this.skipped++
      this.#skippedMs = clock.now()
      return frame.release()
    }
    this.#turnMs = clock.now()
    if (looked.drawn) await this.#deliver(frame, looked.drawn, looked.prediction)
  }

  /** Follows the camera's view. False where the region's place is not known: the zone does not look. */
  #isInView(): boolean {
    const found = this.#view.follow()
    const wasMoved = this.#policy.decision.reason === 'moved'
    if (found === 'moved' && !wasMoved) this.#apply(loseView(this.#policy, this.#moment.nowMs), null)
    if (found === 'elsewhere') this.#occasions.changeView(this.#view.shape!)
    if (found === 'checking' || found === 'moved') return false
    if (wasMoved) this.ask('return')
    return true
  }

  /** Sees a frame without an inference: the label stays, and pictures that were asked for are drawn. */
  async #glance(frame: Frame): Promise<void> {
    this.#seenMs = this.#moment.nowMs
    try {
      if (this.#pictures.isAny) await this.#deliver(frame, this.#pictures.draw(frame), this.#last)
    } finally {
      frame.release()
    }
  }

  async #deliver(frame: Frame, drawn: Promise<DrawnPictures | null>, prediction: Prediction | null): Promise<void> {
    const shown = this.#view.current.shown(frame.width, frame.height)
    ;(await drawn)?.deliver(shown, frame, prediction, this.decision)
  }

  /**
   * The next frame's picture with what was computed from it. Rejects with CAMERA_LOST when the camera is lost before
   * that frame, with NO_HEAT_MAP, NO_MASK or USAGE where the requested map does not exist. Ask again after each picture for
   * a stream at your own pace.
   *
   *     const { rgb, width, height, decision } = await zone.capture({ maxSide: 640 })
   */
  capture(options?: CaptureOptions): Promise<Picture> {
    const refusal = options && this.#view.sight.refusal(options)
    if (refusal) return Promise.reject(refusal)
    if (options?.isFresh || options?.mask || options?.heat !== undefined) this.ask('command')
    return this.#pictures.request(options)
  }

  /** The zone looks at its next frame, whatever its trigger says. */
  ask(reason: AskedReason): void {
    this.#occasions.ask(reason)
  }

  /** The camera was opened and its first frame follows. `isLive`: identical frames mean that it is frozen. */
  opened(isLive: boolean): void {
    this.#view.sight.opened(isLive)
    this.ask('return')
  }

  /** Withdraws the label: the camera is lost. */
  lose(): void {
    this.#pictures.fail()
    this.#view.sight.reset()
    this.#occasions.reset()
    this.#visits.end()
    this.#apply(loseCamera(this.#policy, 'camera_lost', this.#options.clock.now()), null)
  }

  /** Withdraws the label: the camera was switched off. Nothing is published until `enable` and a frame. */
  disable(): void {
    this.#pictures.fail()
    this.#visits.end()
    this.#apply(loseCamera(this.#policy, 'camera_disabled', this.#options.clock.now()), null)
  }

  /** Publishes that there is no label any more: gapcam ends. */
  end(): void {
    const { state } = loseCamera(this.#policy, 'stopped', this.#options.clock.now())
    this.#policy = state
    this.#options.publisher.settled(this.key, this.#answer.say(state.decision, [], false).decision, null)
    this.#answer.end()
  }

  /** Starts over, as at the start of the program: what was seen before the pause says nothing about now. */
  enable(): void {
    const nowMs = this.#options.clock.now()
    const state = initialPolicy(nowMs)
    const decision = this.#isSwitchedOff ? unable('zone_disabled', nowMs) : state.decision
    this.ask('start')
    this.#apply({ state: { ...state, decision }, settled: decision, events: [] }, null)
  }

  /** A setting has changed: the next frame is judged by it. A zone that was switched off has no label. */
  settingsChanged(): void {
    const { settings, definition } = this.#options
    const now = settings()
    if (now === this.#settings) return
    this.#settings = now
    this.ask('setting')
    const isOff = definition.zone !== null && !now.isSwitchedOn
    if (isOff === this.#isSwitchedOff) return
    this.#isSwitchedOff = isOff
    this.#pictures.fail()
    if (!isWithoutCamera(this.#policy.decision)) this.enable()
  }

  /** Withdraws a label whose last frame is too old. Call it about once a second. */
  tick(): void {
    if (this.#isSwitchedOff) return
    const [before, { settings, clock }] = [this.#policy, this.#options]
    // A frame that it did not have to look at shows that the camera delivers.
    const lastFrameMs = before.lastFrameMs === null ? null : Math.max(before.lastFrameMs, this.#seenMs)
    const step = expire({ ...before, lastFrameMs }, settings().policy, clock.now(), this.#skippedMs)
    if (step.settled) return this.#apply(step, null)
    const said = this.#answer.tick()
    if (said) this.#publish(said, null)
  }

  /** Takes no frame any more; resolves when the one under way is done and its memory is free. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#taking.catch(() => undefined)
    this.#pictures.close()
    this.#view.close()
  }

  #at(): Moment {
    const { clock } = this.#options
    this.#moment = { nowMs: clock.now(), wallMs: clock.wall(), isSettling: this.#isSettling }
    return this.#moment
  }

  /** One frame within its turn on the engine. The decision is made here too: it reads the feature map of this very run. */
  async #look(frame: Frame, reason: LookReason): Promise<Looked> {
    this.#view.update(this.#options.settings().roi)
    const drawn = this.#pictures.isAny ? this.#pictures.draw(frame) : null
    this.#occasions.looked(reason, this.#at())
    const outcome = await this.#visits.classify(this.#view, frame, drawn)
    // A camera that was switched off in the meantime must not get its label back.
    const { isEnabled } = this.#options.settings()
    if (!outcome.ok) {
      this.#occasions.failed(reason)
      const missed = this.#recorded.missed(outcome, this.#policy)
      if (missed && isEnabled) this.#apply(missed, null)
      return { prediction: null, drawn }
    }
    this.#frames++
    const prediction = isEnabled ? this.#decide(outcome.prediction, frame, reason) : outcome.prediction
    // The settled label's class, or the best class while there is no label.
    const shown = this.#policy.decision.index ?? prediction.top[0]!.index
    if (drawn && isEnabled) this.#pictures.takeMaps(this.#view.sight.mapsOf(shown, frame))
    return { prediction, drawn }
  }

  /**
   * Applies the policy (a frozen camera has no label), adds where the label's evidence lies, and publishes. Returns the
   * prediction with the additions.
   */
  #decide(bare: Prediction, frame: Frame, reason: LookReason): Prediction {
    const { publisher, settings, clock, metrics, definition } = this.#options
    const { sight } = this.#view
    const start = clock.now()
    const [before, policy] = [this.#policy, settings().policy]
    const { isFrozen } = sight
    const step = isFrozen ? loseCamera(before, 'frozen', start) : observe(before, bare, policy, start)
    // A recording can be replayed frame by frame; that a camera is frozen is not in any one of its frames.
    if (!isFrozen) this.#recorded.step(before, step, bare, start)
    this.#isSettling = !isFrozen && isUndecided(step.state, bare, policy)
    const seen = sight.complete(bare, step.state.decision.index ?? bare.top[0]!.index, frame)
    const prediction = definition.zone === null ? seen : { ...seen, trigger: reason }
    this.#last = prediction
    publisher.result(this.key, prediction)
    this.#options.onSeen?.(this.key, prediction, step.state.decision)
    this.#apply(step, prediction)
    const problem = sight.takeChange()
    if (problem !== undefined)
      publisher.event(this.key, problem === null ? 'lens_cleared' : 'lens_problem', this.decision, prediction)
    metrics.decide.record(clock.now() - start)
    return prediction
  }

  #apply(step: PolicyStep, prediction: Prediction | null): void {
    this.#policy = step.state
    if (prediction === null) this.#isSettling = false
    this.#publish(this.#answer.say(step.state.decision, step.events, step.settled !== undefined), prediction)
  }

  #publish({ decision, events, isNews }: Said, prediction: Prediction | null): void {
    const { publisher, onSettled } = this.#options
    publisher.settled(this.key, decision, prediction)
    for (const event of events) publisher.event(this.key, event, decision, prediction ?? this.#last)
    for (const visit of this.#visits.take()) publisher.event(this.key, 'visit', decision, withVisit(this.#last, visit))
    if (isNews) onSettled(this.key, decision, prediction)
  }
}
