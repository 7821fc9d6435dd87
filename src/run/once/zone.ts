/** A zone that looks at one picture: that picture decides, and the label goes on from the last time. */
import type { Clock } from '../../clock.js'
import type { Config } from '../../config/schema.js'
import type { Logger } from '../../log.js'
import type { Metrics } from '../../metrics.js'
import type { Publisher } from '../../publish/publisher.js'
import type { ZoneDefinition } from '../../zone/definition.js'
import { MissingZone, type AnyZone } from '../../zone/missing.js'
import { Zone } from '../../zone/zone.js'
import type { EngineTurns } from '../../zone/zone-options.js'
import type { LastSaid } from './last-said.js'
import type { Settings } from '../commands/settings.js'
import type { Views } from '../zones/views.js'
import type { PreparedLease, PreparedZone } from '../zones/prepared.js'

export interface OnceZoneOptions {
  readonly config: Config
  readonly settings: Settings
  readonly publisher: Publisher
  readonly lastSaid: LastSaid
  readonly views: Views
  readonly turns: EngineTurns
  readonly metrics: Metrics
  readonly clock: Clock
  readonly log: Logger
}

/** One picture is no clip. */
const clipFault = ({ clip, taskSentence }: PreparedLease['classifier']): string | null =>
  clip ? `one look is at one picture, and its model looks at clips (${taskSentence})` : null

/** Frames in a row, smoothing and dwell times have no meaning for one picture; threshold, margin and transitions have. */
export function openZone(given: ZoneDefinition, prepared: PreparedZone, options: OnceZoneOptions): AnyZone {
  const { config, settings, publisher, lastSaid, views, clock, log } = options
  const { key } = given
  const missing = (fault: string): MissingZone => new MissingZone({ definition: given, fault, publisher, clock })
  if ('fault' in prepared) return missing(prepared.fault)
  const fault = clipFault(prepared.classifier)
  if (fault !== null) return missing(fault)
  const definition: ZoneDefinition = { ...given, trigger: { kind: 'always' }, dwell: { ...given.dwell, dwellMs: {} } }
  const now = settings.zone(key)
  const policy = { ...now.policy, consecutive: 1, smoothingMs: 0 }
  const { classifier, second } = prepared
  return new Zone({
    ...options,
    definition,
    classifier,
    second: second && definition.second && { ...definition.second, classifier: second },
    topK: config.topK,
    anchor: given.zone === null ? undefined : views.of(given.camera).anchorOf(definition),
    settings: () => ({ ...now, policy }),
    first: lastSaid.of(key, classifier.labels) ?? undefined,
    onWarning: (sentence) => log.warn({ zone: key }, `zone ${key}: ${sentence}`),
    onSettled: () => undefined,
  })
}
