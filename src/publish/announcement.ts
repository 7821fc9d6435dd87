/**
 * The messages that a node sends before anything else on a connection: its devices for Home Assistant, the model, and
 * the removal of what was announced earlier and is not there any more. They are sent again when Home Assistant has
 * started, and made anew when zones are added or removed.
 */
import type { DeviceFacts } from './homeassistant/device.js'
import { discoveryOf, type DiscoveryMessage } from './homeassistant/discovery.js'
import type { PublishedTopics, PublishedEntry } from './published.js'
import type { Incoming, Message, Subscription } from './mqtt.js'
import { modelPayload } from './payloads.js'
import { placesOf, topicTable, type CameraTopic, type NodeTopic, type TopicPlaces, type Topics } from './topics.js'

export interface AnnouncementOptions {
  readonly facts: DeviceFacts
  readonly model: { readonly id: string; readonly version: string }
  readonly topics: Topics
  /** Home Assistant's discovery prefix; null removes the devices. */
  readonly prefix: string | null
  /** Whether C/image is retained. */
  readonly retainsImages: boolean
  readonly published: PublishedTopics
}

/**
 * The messages in the order in which they must be sent; resolves when `published` has recorded their topics. Removals
 * come first: an entity that moves to another device must have left the old one.
 */
export async function announce({
  facts,
  model,
  topics,
  prefix,
  retainsImages,
  published,
}: AnnouncementOptions): Promise<Message[]> {
  const devices = prefix === null ? [] : discoveryOf(facts, topics, prefix)
  const before = published.entry
  const own = retainedTopics(topics, placesIn(facts), retainsImages)
  await published.add(
    [...own, ...devices.map(({ topic }) => topic)],
    Object.fromEntries(devices.map(({ topic, payload }) => [topic, platformsOf(payload.components)])),
  )
  const announced = new Set([...own, ...devices.map(({ topic }) => topic)])
  const gone = [...new Set([...Object.keys(before.devices), ...before.topics])].filter((topic) => !announced.has(topic))
  return [
    ...gone.map(
      (topic): Message => ({ topic, payload: '', qos: 1, isRetained: true, onSettled: () => published.remove(topic) }),
    ),
    ...devices.map(
      ({ topic, payload }): Message => ({
        topic,
        qos: 1,
        isRetained: true,
        payload: JSON.stringify(withRemovals(payload, before.devices[topic] ?? {})),
      }),
    ),
    { ...topics.node('model'), payload: modelPayload(model) },
  ]
}

function placesIn({ cameras, zones = [], withoutOwn = [] }: DeviceFacts): TopicPlaces {
  const own = cameras.filter((camera) => !withoutOwn.includes(camera))
  return { cameras, zones: [...own, ...zones.map(({ camera, id }) => `${camera}/${id}`)] }
}

/** Every retained topic of a node. */
export function retainedTopics(topics: Topics, places: TopicPlaces, retainsImages: boolean): string[] {
  return Object.entries(topicTable).flatMap(([name, row]) => {
    if (!row.isRetained && !(retainsImages && (name === 'image' || name === 'heat'))) return []
    return row.of === 'node'
      ? [topics.node(name as NodeTopic).topic]
      : placesOf(row, places).map((place) => topics.camera(name as CameraTopic, place).topic)
  })
}

/**
 * A component is removed by naming its platform alone. It stays in the message, because Home Assistant may have been
 * away from the broker. One that has started anew meanwhile does not know the component, and keeps it in its registry.
 */
function withRemovals(
  payload: DiscoveryMessage['payload'],
  before: PublishedEntry['devices'][string],
): DiscoveryMessage['payload'] {
  const removed = Object.entries(before)
    .filter(([key]) => !(key in payload.components))
    .map(([key, platform]) => [key, { platform }])
  return { ...payload, components: { ...payload.components, ...Object.fromEntries(removed) } }
}

function platformsOf(components: DiscoveryMessage['payload']['components']): Record<string, string> {
  return Object.fromEntries(Object.entries(components).map(([key, { platform }]) => [key, platform]))
}

/**
 * How long Home Assistant may need after the discovery of a device until it has subscribed to all its topics, in
 * milliseconds: a second, and half a second for each zone with its dozen entities.
 */
export const subscribeMs = (zones: number): number => Math.min(1000 + 500 * zones, 10_000)

/** The topic on which Home Assistant says that it has started (`online`) or stopped. */
export function birthSubscription(prefix: string): Subscription {
  return { filter: `${prefix}/status`, qos: 1 }
}

/** Many devices receive the same birth message: each answers at a random moment within these seconds. */
export const birthJitterMs = (seconds: number): number => Math.random() * seconds * 1000

/**
 * Calls `repeat` a while after each birth message. A retained one is ignored: it arrives with every connection, on
 * which everything is sent anyway.
 */
export function createBirthListener(
  prefix: string,
  repeat: () => void,
  jitterMs: () => number,
): { handle(message: Incoming): void; close(): void } {
  let timer: NodeJS.Timeout | null = null
  return {
    handle({ topic, payload, isRetained }) {
      if (topic !== `${prefix}/status` || isRetained || timer || payload.toString() !== 'online') return
      timer = setTimeout(() => {
        timer = null
        repeat()
      }, jitterMs())
      timer.unref()
    },
    close() {
      if (timer) clearTimeout(timer)
    },
  }
}
