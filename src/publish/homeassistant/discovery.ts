/**
 * The device as Home Assistant's MQTT discovery wants it: one retained message for each device. Everything here was
 * tried with a real Home Assistant (docs/home-assistant.md): one wrong key, and it drops the whole device. The entities
 * are in entities.ts.
 */
import type { DeviceFacts } from './device.js'
import { cameraEntities, nodeEntities, zoneEntities } from './entities.js'
import type { Entities } from './entity.js'
import { slug, slugsOf } from './slugs.js'
import { maxStateLength } from './states.js'
import type { Topics } from '../topics.js'

export interface DiscoveryMessage {
  readonly topic: string
  readonly payload: {
    readonly device: Readonly<Record<string, unknown>>
    /** Entities by key. */
    readonly components: Entities
    readonly [more: string]: unknown
  }
}

/**
 * The discovery messages of a node: one device with everything for one camera, else one device for the node and one for
 * each camera.
 *
 *     discoveryOf(facts, createTopics('gapcam', 'dock1'), 'homeassistant')
 *     // [{ topic: 'homeassistant/device/gapcam_dock1/config', payload: { device, origin, components, … } }]
 */
export function discoveryOf(facts: DeviceFacts, topics: Topics, prefix: string): DiscoveryMessage[] {
  const { node, cameras } = facts
  const root = `gapcam_${node}`
  const [only, ...others] = cameras
  const message = (id: string, name: string, components: Entities, via?: string): DiscoveryMessage => ({
    topic: `${prefix}/device/${id}/config`,
    payload: {
      device: deviceOf(facts, id, name, via),
      origin: { name: 'gapcam', sw_version: facts.version },
      availability: [{ topic: topics.node('nodeStatus').topic }],
      qos: 1,
      components: facts.once ? withoutCommands(components, facts.once.expiresS) : components,
    },
  })
  if (only !== undefined && others.length === 0) {
    const entities = { ...withZones(facts, topics, only, slug(node)), ...nodeEntities(facts, topics) }
    return [message(root, titleOf(node), entities)]
  }
  const slugs = slugsOf(cameras)
  return [
    message(root, titleOf(node), nodeEntities(facts, topics)),
    ...cameras.map((camera) => {
      const entities = withZones(facts, topics, camera, `${slug(node)}_${slugs.get(camera)!}`)
      return message(`${root}_${camera}`, `${titleOf(node)} ${cameraTitle(camera, cameras)}`, entities, root)
    }),
  ]
}

/** What a node that is away between two looks can tell: labels, scores, events, and whether its camera worked. */
function withoutCommands(components: Entities, expiresS: number | undefined): Entities {
  const expiry = expiresS === undefined ? {} : { expire_after: expiresS }
  const told = Object.entries(components).flatMap(([key, entity]): [string, Entities[string]][] => {
    if (/(^|_)(label|score)$/.test(key)) return [[key, { ...entity, ...expiry }]]
    return /(^|_)(event|camera_ok)$/.test(key) ? [[key, entity]] : []
  })
  return Object.fromEntries(told)
}

/** The entities of a camera's device: its own, and those of its zones. */
function withZones(facts: DeviceFacts, topics: Topics, camera: string, prefix: string): Entities {
  const zones = (facts.zones ?? []).filter((zone) => zone.camera === camera)
  const slugs = slugsOf(zones.map(({ id }) => id))
  const ofZones = zones.map((zone) => zoneEntities(facts, topics, zone, { prefix, slug: slugs.get(zone.id)! }))
  return Object.assign({}, cameraEntities(facts, topics, camera, prefix), ...ofZones) as Entities
}

function deviceOf(
  { version, board, pageUrl }: DeviceFacts,
  id: string,
  name: string,
  via: string | undefined,
): Readonly<Record<string, unknown>> {
  return {
    identifiers: [id],
    name,
    manufacturer: 'gapcam',
    sw_version: version,
    ...(via === undefined ? {} : { via_device: via }),
    ...(board === undefined ? {} : { model: board.slice(0, maxStateLength) }),
    ...(pageUrl === undefined ? {} : { configuration_url: pageUrl }),
  }
}

/** A camera's name for people; its id where another camera would have the same name. */
function cameraTitle(camera: string, cameras: readonly string[]): string {
  const title = titleOf(camera)
  return cameras.some((other) => other !== camera && titleOf(other) === title) ? camera : title
}

/** An id as a name for people: `loading-dock` is Loading Dock. */
function titleOf(id: string): string {
  const words = id
    .split('-')
    .filter((word) => word !== '')
    .map((word) => word[0]!.toUpperCase() + word.slice(1))
  return words.length === 0 ? id : words.join(' ')
}
