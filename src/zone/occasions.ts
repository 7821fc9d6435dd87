/** When a zone looks, and what it looked for: its trigger, and for `motion` what judges its frames. */
import type { PolicyOptions } from '../decision/policy.js'
import { GapcamError } from '../errors.js'
import type { Frame } from '../frame.js'
import type { Shape } from '../pixels/shape.js'
import type { ZoneDefinition } from './definition.js'
import { MotionGate } from './motion/gate.js'
import type { Moved } from './motion/timing.js'
import { Trigger, type AskedReason, type LookReason, type Moment } from './trigger.js'

export interface OccasionsOptions {
  readonly definition: ZoneDefinition
  /** The zone's at its start. */
  readonly policy: Pick<PolicyOptions, 'consecutive'>
  readonly onLate?: ((sentence: string) => void) | undefined
}

/** Belongs to one zone. Call `reason` for each frame, and `looked` after each look. */
export class Occasions {
  readonly #trigger: Trigger
  /** Null where the trigger is another one than motion. */
  readonly #gate: MotionGate | null
  /** The frame that is judged, and when. */
  #judged: Frame | null = null
  #nowMs = 0
  /** Looks by their reason. */
  readonly looks = new Map<LookReason, number>()

  constructor({ definition, policy, onLate }: OccasionsOptions) {
    const { trigger, shape, timezone } = definition
    this.#gate = trigger.kind === 'motion' ? new MotionGate(shape ?? { x: 0, y: 0, width: 1, height: 1 }) : null
    const moved = this.#gate ? () => this.#moved() : undefined
    const mostSettling = 10 + 4 * policy.consecutive
    this.#trigger = new Trigger({ moved, trigger, timezone, mostSettling, onLate })
  }

  /** Why the zone looks at this frame; null: it does not. */
  reason(frame: Frame, moment: Moment): LookReason | null {
    this.#judged = frame
    this.#nowMs = moment.nowMs
    return this.#trigger.reason(moment)
  }

  /** The zone looked. A look that was skipped is not one. */
  looked(reason: LookReason, moment: Moment): void {
    this.#trigger.looked(reason, moment)
    this.#gate?.looked(reason, moment.nowMs)
    this.looks.set(reason, (this.looks.get(reason) ?? 0) + 1)
  }

  /** Nothing came of the look: the zone looks at its next frame for the same reason. */
  failed(reason: LookReason): void {
    this.#trigger.failed(reason)
  }

  /** The zone looks at its next frame, whatever its trigger says. */
  ask(reason: AskedReason): void {
    this.#trigger.ask(reason)
  }

  /** The region lies elsewhere in the picture. */
  changeView(shape: Shape): void {
    this.#gate?.changeView(shape)
  }

  /** The camera was away: its next frame may show another scene. */
  reset(): void {
    this.#gate?.reset()
  }

  /** Whether the frame that is judged shows anything new. One that cannot be read is judged by the inference. */
  #moved(): Moved | null {
    try {
      return this.#gate!.moved(this.#judged!, this.#nowMs)
    } catch (error) {
      if (error instanceof GapcamError && error.code === 'FRAME_INVALID') return 'motion'
      throw error
    }
  }
}
