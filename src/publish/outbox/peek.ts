/** Reads an outbox's folder without changing it, also while another process uses it. */
import { join } from 'node:path'
import { realFiles, type OutboxFiles } from './files.js'
import type { Ledger } from './ledger.js'
import { headBytes, type EventRecord } from './record.js'
import { eventsIn, nameOf, scan } from './scan.js'

export interface Glance {
  readonly ledger: Ledger
  /** The last number given. */
  readonly seq: number
  /** Events that are not done. */
  readonly queued: number
  readonly bytes: number
  readonly segments: number
  /** The events that are not done, in order. */
  events(): AsyncGenerator<EventRecord>
}

/** Null where there is no outbox. Rejects with OUTBOX_NEWER, or with the file system's error. */
export async function peek(folder: string, files: OutboxFiles = realFiles): Promise<Glance | null> {
  const found = await scan(folder, files).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (!found) return null
  const { segments, ledger, lastSeq } = found
  return {
    ledger,
    seq: lastSeq,
    queued: lastSeq - ledger.done.count,
    segments: segments.length,
    bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
    async *events() {
      for (const segment of segments) {
        // A segment that is gone by now is done.
        const data = await files.read(join(folder, nameOf(segment.index))).catch(() => Buffer.alloc(0))
        for (const event of eventsIn(data, headBytes, segment)) if (!ledger.done.has(event.seq)) yield event
      }
    },
  }
}
