/** A rollout on disk, so that it goes on where it stopped: after a signal, a power cut, or a pause. */
import { z } from 'zod'

const progress = z.strictObject({
  state: z.enum(['waiting', 'ordered', 'watching', 'confirming', 'done', 'failed']),
  /** Wall time, milliseconds. */
  sinceMs: z.number(),
  reason: z.string().optional(),
})

export const recordSchema = z.strictObject({
  version: z.literal(1),
  target: z.strictObject({ name: z.string(), version: z.string(), digest: z.string() }),
  /** In their order. */
  groups: z.array(z.string()),
  /** By id; a node that is not here waits. */
  nodes: z.record(z.string(), progress),
  outcome: z.enum(['unfinished', 'done']),
})

/** How far a node is. */
export type Progress = z.output<typeof progress>
export type RolloutRecord = z.output<typeof recordSchema>
export type Target = RolloutRecord['target']

/** For the next run: it looks again at what was ordered, because the answers are lost. */
export function resumed(record: RolloutRecord, isRetrying: boolean): RolloutRecord {
  const nodes = Object.entries(record.nodes).flatMap(([id, progress]): [string, Progress][] => {
    if (progress.state === 'done' || (progress.state === 'failed' && !isRetrying)) return [[id, progress]]
    return []
  })
  return { ...record, nodes: Object.fromEntries(nodes) }
}
