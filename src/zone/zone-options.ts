/** What a zone is made with, and the values that may change while it runs. */
import type { Classifier } from '../classifier.js'
import type { Clock } from '../clock.js'
import type { Config } from '../config/schema.js'
import type { Decision } from '../decision/decision.js'
import type { PolicyOptions } from '../decision/policy.js'
import type { Prediction } from '../decision/prediction.js'
import type { Metrics } from '../metrics.js'
import type { Place } from '../pixels/place.js'
import type { Region } from '../pixels/spec.js'
import type { Publisher } from '../publish/publisher.js'
import type { FrameRecorder } from '../recording/recorder.js'
import type { KeptTallies } from './answer.js'
import type { CropPicture } from './crops.js'
import type { ZoneDefinition } from './definition.js'
import type { SecondOptions } from './second.js'
import type { SightOptions } from './sight.js'

/** The values that commands may change while the zone runs. */
export interface ZoneSettings {
  /** Whether the zone may say anything: it and its camera are switched on. */
  readonly isEnabled: boolean
  readonly policy: PolicyOptions
  /** Whether the zone itself is switched on; its camera may be off. */
  readonly isSwitchedOn: boolean
  /** Null: the whole frame. */
  readonly roi: Region | null
}

/** What a caller wishes of its turn on the engine. */
export interface TurnWish {
  /** When it had its last turn, by the clock: who waited longest comes first. */
  readonly lastMs: number
  /** After this time the turn is of no use any more. Infinity: always of use. */
  readonly untilMs: number
}

/** Gives one caller at a time the engine. Null: the turn came too late and was skipped. */
export interface EngineTurns {
  take<T>(work: () => Promise<T>, wish: TurnWish): Promise<T | null>
}

/** Where a region lies now: `null` as it was drawn; `checking` and `moved`: not known. */
export type RegionPlace = Place | 'checking' | 'moved' | null

/** How a zone's region follows the view of its camera. */
export interface RegionAnchor {
  /** Call it for each frame: the same object until something changes. */
  place(): RegionPlace
}

export interface ZoneOptions {
  readonly definition: ZoneDefinition
  readonly classifier: Classifier
  readonly turns: EngineTurns
  /** The model that says which one each thing is; default: none. */
  readonly second?: Pick<SecondOptions, 'classifier' | 'most' | 'perSecond'> | undefined
  readonly topK: number
  /** The values that hold now. Called once for each frame; the same object until something changes. */
  readonly settings: () => ZoneSettings
  /** Default: no lens checks. */
  readonly lens?: Config['lens'] | undefined
  /** See `SightOptions`. */
  readonly cameraLens?: SightOptions['cameraLens']
  readonly publisher: Publisher
  readonly recorder?: FrameRecorder | undefined
  /** What it said before this program began; default: nothing. */
  readonly first?: Decision | undefined
  /** Keeps the time in states; default: it is not counted. */
  readonly tallies?: KeptTallies | undefined
  /** Default: the region stays where it was drawn. */
  readonly anchor?: RegionAnchor | undefined
  readonly metrics: Metrics
  readonly clock: Clock
  /** Tells what a user should know, in one sentence. */
  readonly onWarning?: ((sentence: string) => void) | undefined
  /** A frame was judged; `decision` is the policy's after it. Called for each frame: it must be quick. */
  readonly onSeen?: ((zone: string, prediction: Prediction, decision: Decision) => void) | undefined
  /** A visit of the zone ended, and this is its best picture, upright. Default: no pictures of visits are kept. */
  readonly onCrop?: ((zone: string, picture: CropPicture) => void) | undefined
  /** A label was settled or withdrawn. */
  readonly onSettled: (zone: string, decision: Decision, prediction: Prediction | null) => void
}
