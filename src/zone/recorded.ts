/** What of a zone's frames is kept in a recording: enough to replay its decisions bit for bit. */
import type { Clock } from '../clock.js'
import { awaitClip, type PolicyState, type PolicyStep } from '../decision/policy.js'
import type { Prediction } from '../decision/prediction.js'
import type { Classification } from '../engine/classify.js'
import type { FrameRecorder } from '../recording/recorder.js'
import type { ZoneOptions } from './zone-options.js'

/** The end of each frame of one zone, for its recorder. */
export class RecordedDecisions {
  readonly #recorder: FrameRecorder | undefined
  readonly #settings: ZoneOptions['settings']
  readonly #clock: Clock

  constructor({ recorder, settings, clock }: Pick<ZoneOptions, 'recorder' | 'settings' | 'clock'>) {
    this.#recorder = recorder
    this.#settings = settings
    this.#clock = clock
  }

  /**
   * A frame without a prediction. The step that follows where its clip is not whole; null where the policy's state stays as it
   * was.
   */
  missed(outcome: Extract<Classification, { readonly ok: false }>, state: PolicyState): PolicyStep | null {
    if (outcome.reason === 'clip_short') return awaitClip(state, outcome.detail, this.#clock.now())
    if (outcome.reason !== 'frame_invalid') this.#fault(state)
    return null
  }

  /** Outputs that cannot be used. */
  #fault(state: PolicyState): void {
    const both = { before: state, after: state, policy: this.#settings().policy, nowMs: this.#clock.now() }
    this.#recorder?.finish({ ...both, prediction: null, logits: new Float32Array(0) }, [])
  }

  /** A frame that the policy has judged at `nowMs`. */
  step(before: PolicyState, { state, events }: PolicyStep, prediction: Prediction, nowMs: number): void {
    if (!this.#recorder) return
    const logits = prediction.logits.slice()
    const { policy } = this.#settings()
    this.#recorder.finish({ prediction, logits, before, after: state, policy, nowMs }, events)
  }
}
