/** What a node keeps for review: the collector that takes pictures of its zones, and the review of them. */
import { join } from 'node:path'
import type { Clock } from '../../clock.js'
import { Collector, saidOf, type TakenPicture } from '../../collector/collector.js'
import { Review } from '../../collector/review.js'
import { PictureStore } from '../../collector/store.js'
import { Vectors } from '../../collector/vectors.js'
import { modelOptions, shippedModel } from '../../config/model.js'
import type { Config } from '../../config/schema.js'
import { stateDirectory } from '../../config/state-directory.js'
import { GapcamError } from '../../errors.js'
import type { Logger } from '../../log.js'
import type { Region } from '../../pixels/spec.js'
import type { AnyZone } from '../../zone/missing.js'
import type { Picture } from '../../zone/picture.js'
import { commandDeadline } from '../commands/pictures.js'
import type { Settings } from '../commands/settings.js'
import { crop } from '../zones/crop.js'

/** Pictures for review. */
export interface Reviewing {
  readonly collector: Collector
  readonly review: Review
  readonly store: PictureStore
  close(): Promise<void>
}

/** Pictures are kept up to this longer side: enough for every network and for a person. */
const keptSide = 1280

/** The review of a node's pictures, also for commands without a running node. */
export function openReview(config: Config): Pick<Reviewing, 'review' | 'store'> {
  const store = new PictureStore({
    folder: join(stateDirectory(config), 'collected'),
    maxBytes: Math.floor(config.collector.maxMegabytes * 1e6),
  })
  const { threads } = modelOptions(config)
  const vectors = new Vectors({ store, model: shippedModel, engine: { threads } })
  return { store, review: new Review({ store, vectors, engine: { threads } }) }
}

/** What the collector of a running node needs. */
export interface ReviewingOptions {
  readonly config: Config
  /** Where the switch of the collector is remembered; null: nowhere. */
  readonly stateFolder: string | null
  readonly settings: Pick<Settings, 'findZone'>
  readonly zone: (key: string) => AnyZone | undefined
  readonly clock: Clock
  readonly log: Pick<Logger, 'warn' | 'info'>
}

/** Opens both for a running node. */
export function openReviewing(options: ReviewingOptions): Reviewing {
  const { review, store } = openReview(options.config)
  const collector = new Collector({ ...options, store, take: (key) => taken(key, options) })
  return {
    collector,
    review,
    store,
    async close() {
      await collector.close()
      await review.close()
    },
  }
}

async function taken(
  key: string,
  { zone: zoneOf, settings }: Pick<ReviewingOptions, 'zone' | 'settings'>,
): Promise<TakenPicture> {
  const zone = zoneOf(key)
  if (!zone) throw new GapcamError('CAMERA_LOST', `${key} was removed`)
  const picture = await zone.capture({ maxSide: keptSide, signal: commandDeadline() })
  return partOf(picture, zone, settings.findZone(key)?.roi ?? null)
}

const wholePicture = { shape: null, mask: 'none', turn: { rotate: 0, flipX: false, flipY: false } } as const

/** A zone's part of a picture, with what was said of the frame; without a zone all of it. */
export async function partOf(
  picture: Picture,
  zone: Pick<AnyZone, 'definition' | 'classifier'> | undefined,
  roi: Region | null,
): Promise<TakenPicture> {
  const { prediction, decision, wallTime: atMs } = picture
  const { definition = wholePicture, classifier = null } = zone ?? {}
  const jpeg = await crop(picture, { definition, roi, mostSide: keptSide, classifier })
  const best = prediction?.novelty?.cause ? undefined : prediction?.top[0]
  return { jpeg, atMs, said: best?.label ?? saidOf(decision), score: best?.score ?? decision.score }
}
