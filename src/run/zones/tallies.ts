/** Keeps the time that each zone has spent in its states over restarts: one file in the state folder. */
import { join } from 'node:path'
import { z } from 'zod'
import { keptDurationsSchema, type KeptDurations } from '../../decision/durations.js'
import type { Logger } from '../../log.js'
import { openStateFile } from '../../state-file.js'
import type { KeptTallies } from '../../zone/answer.js'

const schema = z.strictObject({ version: z.literal(1), zones: z.record(z.string(), keptDurationsSchema) })

export interface Tallies {
  /** The tallies of a zone, by its key. */
  of(key: string): KeptTallies
  /** The zone is gone. */
  drop(key: string): void
  close(): Promise<void>
}

/** A zone that stays in its state is written this seldom, for the sake of SD cards; after a kill so much is missing at most. */
const seldomMs = 60_000

/** Opens the file; null keeps nothing. */
export function openTallies(folder: string | null, log: Pick<Logger, 'warn'>): Tallies {
  const file = openStateFile<z.output<typeof schema>>({
    path: folder === null ? null : join(folder, 'tallies.json'),
    schema,
    empty: { version: 1, zones: {} },
    log,
  })
  const zones = new Map<string, KeptDurations>(Object.entries(file.value.zones))
  let writtenMs = performance.now()
  const write = (): void => {
    writtenMs = performance.now()
    void file.replace({ version: 1, zones: Object.fromEntries(zones) })
  }
  return {
    of: (key) => ({
      kept: zones.get(key) ?? null,
      keep(tallies, isUrgent) {
        zones.set(key, tallies)
        if (isUrgent || performance.now() - writtenMs >= seldomMs) write()
      },
    }),
    drop(key) {
      if (zones.delete(key)) write()
    },
    async close() {
      if (zones.size > 0) write()
      await file.close()
    },
  }
}
