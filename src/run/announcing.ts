/** What a node announces of itself at the start and when its zones change. */
import type { BoardReader } from '../board.js'
import type { Classifier } from '../classifier.js'
import type { CameraConfig, Config } from '../config/schema.js'
import { announce, type AnnouncementOptions } from '../publish/announcement.js'
import type { Message } from '../publish/mqtt.js'
import type { PublishedTopics } from '../publish/published.js'
import type { Publisher } from '../publish/publisher.js'
import type { Topics } from '../publish/topics.js'
import { version } from '../version.js'
import type { ZoneDefinition } from '../zone/definition.js'
import type { NodeBundles } from './bundles/bundles.js'
import { describeDevice, zoneFactsOf } from './device.js'
import { knownPageUrl } from './page.js'
import { discoveryPrefix } from './publishing.js'
import type { PreparedZone } from './zones/prepared.js'
import type { AnnouncedZone } from './zones/zones.js'

/** Announces the zones of a node anew, after some were added or removed. */
export async function announceZones(
  options: AnnouncementOptions,
  zones: readonly AnnouncedZone[],
  publisher: Pick<Publisher, 'keep'>,
): Promise<void> {
  const { facts } = options
  const now = { ...facts, ...zoneFactsOf(facts.cameras, zones) }
  for (const message of await announce({ ...options, facts: now })) publisher.keep(message)
}

/** What an announcement is made of. */
interface AnnouncementParts {
  readonly config: Config
  readonly classifier: Classifier
  readonly board: BoardReader
  readonly cameras: readonly CameraConfig[]
  readonly zones: readonly ZoneDefinition[]
  readonly bundles: NodeBundles
  readonly models: { readonly prepared: ReadonlyMap<string, PreparedZone> }
  readonly topics: Topics
  readonly published: PublishedTopics
}

/** What the node announces, and the messages of the start. */
export async function openAnnouncement(
  parts: AnnouncementParts,
): Promise<{ readonly options: AnnouncementOptions; readonly messages: readonly Message[] }> {
  const { config, cameras, classifier, board, topics, published } = parts
  const zones = parts.zones.map((definition) => {
    const model = parts.models.prepared.get(definition.key)!
    return { definition, classifier: 'classifier' in model ? model.classifier : null }
  })
  const own = { node: config.node, cameras: cameras.map(({ id }) => id), zones, version, classifier, board }
  const device = await describeDevice({ ...own, pageUrl: knownPageUrl(config) })
  const prefix = discoveryPrefix(config)
  const bundle = parts.bundles.own === null ? undefined : parts.bundles.entry(parts.bundles.own)?.serving
  const model = { ...device.model, version: bundle?.version ?? device.model.version }
  const options = { ...device, model, topics, prefix, retainsImages: config.mqtt.retainImages, published }
  return { options, messages: await announce(options) }
}
