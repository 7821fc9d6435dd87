/**
 * A record of what this node has ever left on a broker: retained topics, and the components of its devices. It is
 * written before the broker gets them. A later run uses it to remove what it does not have any more (a camera, the
 * discovery), and `gapcam mqtt clear` to remove everything, even after a SIGKILL.
 */
import { join } from 'node:path'
import { z } from 'zod'
import type { Logger } from '../log.js'
import { openStateFile } from '../state-file.js'

const publishedSchema = z.strictObject({
  version: z.literal(1),
  /** Retained topics, oldest first. */
  topics: z.array(z.string()),
  /** By discovery topic: each component's platform by its key. */
  devices: z.record(z.string(), z.record(z.string(), z.string())),
})

export type PublishedEntry = z.output<typeof publishedSchema>

export interface PublishedTopics {
  readonly entry: PublishedEntry
  /** Adds what the node has from now on to the record; resolves when it is on disk, or cannot be written. */
  add(topics: readonly string[], devices: PublishedEntry['devices']): Promise<void>
  /** To be called after a topic was removed from the broker. One that the node has again stays in the record. */
  remove(topic: string): void
  /** To be called after everything was removed. */
  clear(): Promise<void>
  close(): Promise<void>
}

/** Limit of the record: cameras and zones come and go. */
const maxTopics = 2000
/** Limit of the components of one device, those of former zones included: Home Assistant gets them in one message. */
const maxComponents = 1000
const empty: PublishedEntry = { version: 1, topics: [], devices: {} }

/** Opens the record in a node's state folder; null keeps it in memory only. */
export function openPublishedTopics(folder: string | null, log: Pick<Logger, 'warn'>): PublishedTopics {
  const file = openStateFile<PublishedEntry>({
    path: folder === null ? null : join(folder, 'published.json'),
    schema: publishedSchema,
    empty,
    log,
    // It changes with cameras and zones only, and a new zone waits for it.
    everyMs: 200,
  })
  /** What the node has now. */
  let live: ReadonlySet<string> = new Set()
  return {
    get entry() {
      return file.value
    },
    async add(topics, devices) {
      live = new Set(topics)
      const merged = { ...file.value.devices }
      for (const [topic, components] of Object.entries(devices)) merged[topic] = withFormer(merged[topic], components)
      const former = file.value.topics.filter((topic) => !live.has(topic))
      const next = {
        version: 1 as const,
        topics: [...former, ...live].slice(-maxTopics),
        devices: merged,
      }
      if (JSON.stringify(next) !== JSON.stringify(file.value)) await file.replace(next)
    },
    remove(topic) {
      if (live.has(topic)) return
      const { [topic]: _removed, ...devices } = file.value.devices
      void file.replace({ version: 1, topics: file.value.topics.filter((other) => other !== topic), devices })
    },
    async clear() {
      await file.replace(empty)
    },
    close: file.close,
  }
}

type Components = PublishedEntry['devices'][string]

/** The components that a device has, behind those that it once had. */
function withFormer(former: Components | undefined, components: Components): Components {
  const others = Object.entries(former ?? {}).filter(([key]) => !(key in components))
  return Object.fromEntries([...others, ...Object.entries(components)].slice(-maxComponents))
}
