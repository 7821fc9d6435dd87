/** Outboxes for tests, and how to read their entries. */
import { systemClock } from '../../../src/clock.js'
import type { DiskOptions, Outbox, OutboxEntry, OutboxOptions } from '../../../src/publish/outbox/outbox.js'
import { createMemoryOutbox, openOutbox } from '../../../src/publish/outbox/queue.js'
import { recordingLog, type LogLine } from '../fixture.js'

export type Tested = Outbox & { readonly lines: LogLine[] }

let boots = 0
const options = (more: Partial<OutboxOptions>): OutboxOptions & { lines: LogLine[] } => ({
  boot: `boot-${++boots}`,
  clock: systemClock,
  ...recordingLog(),
  ...more,
})

export function memoryOutbox(more: Partial<Omit<OutboxOptions, 'disk'>> = {}): Tested {
  const all = options(more)
  return Object.assign(createMemoryOutbox(all), { lines: all.lines })
}

export async function diskOutbox(
  disk: Partial<DiskOptions> & { readonly folder: string },
  more: Partial<OutboxOptions> = {},
): Promise<Tested> {
  const all = options({ ...more, disk: { maxBytes: 64 << 20, maxAgeMs: 7 * 86_400_000, retryMs: 20, ...disk } })
  return Object.assign(await openOutbox(all), { lines: all.lines })
}

export const add = (outbox: Outbox, camera = 'a', isLive = false): void =>
  outbox.add(camera, 'event', isLive, (seq) => JSON.stringify({ seq, camera }))

/** Takes the whole backlog, without confirming it. */
export async function takeAll(outbox: Outbox): Promise<OutboxEntry[]> {
  const entries: OutboxEntry[] = []
  for (;;) {
    const entry = outbox.takeBacklog()
    if (entry) entries.push(entry)
    else if (!outbox.isBusy) return entries
    else await new Promise(setImmediate)
  }
}

/** Numbers of events, `[from, to, missing]` of gaps. */
export const numbers = (entries: readonly OutboxEntry[]): unknown[] =>
  entries.map((entry) => (entry.kind === 'event' ? entry.seq : [entry.from, entry.to, entry.missing]))

export async function settled(outbox: Outbox): Promise<void> {
  while (outbox.isBusy) await new Promise(setImmediate)
}
