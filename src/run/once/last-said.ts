/** Keeps what each zone said when gapcam looked once, so that the next time goes on from there: one file in the state folder. */
import { join } from 'node:path'
import { z } from 'zod'
import { undecided, type Decision, type UnknownReason } from '../../decision/decision.js'
import { systemClock } from '../../clock.js'
import type { Logger } from '../../log.js'
import { openStateFile } from '../../state-file.js'

const said = z.strictObject({
  label: z.string(),
  prev: z.string(),
  reason: z.string().optional(),
  /** Wall time, milliseconds. */
  sinceMs: z.number(),
})
const schema = z.strictObject({ version: z.literal(1), zones: z.record(z.string(), said) })

export interface LastSaid {
  /** What a zone said the last time; null: nothing, or a label that its model does not have. */
  of(key: string, labels: readonly string[]): Decision | null
  /** What it says now. */
  keep(key: string, decision: Decision): void
  close(): Promise<void>
}

/** Opens the file. */
export function openLastSaid(folder: string, log: Pick<Logger, 'warn'>): LastSaid {
  const file = openStateFile<z.output<typeof schema>>({
    path: join(folder, 'last-said.json'),
    schema,
    empty: { version: 1, zones: {} },
    log,
  })
  return {
    of(key, labels) {
      const last = file.value.zones[key]
      if (!last) return null
      const { label, prev, reason, sinceMs } = last
      const index = reason === undefined ? labels.indexOf(label) : null
      if (index === -1) return null
      const agoMs = Math.max(0, systemClock.wall() - sinceMs)
      const bare = { ...undecided(systemClock.now() - agoMs), label, prev, index }
      return reason === undefined ? withoutReason(bare) : { ...bare, reason: reason as UnknownReason }
    },
    keep(key, { label, prev, reason, sinceMs }) {
      const agoMs = systemClock.now() - sinceMs
      const now = { label, prev, sinceMs: Math.round(systemClock.wall() - agoMs) }
      const zones = { ...file.value.zones, [key]: reason === undefined ? now : { ...now, reason } }
      void file.replace({ version: 1, zones })
    },
    close: file.close,
  }
}

function withoutReason({ reason: _, ...decision }: Decision): Decision {
  return decision
}
