/** The outbox of a running gapcam: on disk, with its folder locked; it answers the questions of `gapcam outbox`. */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../../clock.js'
import type { Logger } from '../../log.js'
import { lockFolder, type Answer } from './lock.js'
import type { AckMode, Outbox } from './outbox.js'
import { openOutbox } from './queue.js'

export interface DurableOptions {
  readonly folder: string
  readonly maxBytes: number
  readonly maxAgeMs: number
  readonly ack: AckMode
  readonly log: Pick<Logger, 'info' | 'warn' | 'debug'>
  readonly clock: Clock
  /** Whether the wall clock has been set; default: it has not. */
  readonly isClockSynced?: (() => boolean) | undefined
}

/** Limits of the events that wait in memory while the disk fails. */
const memory = { maxEvents: 10_000, maxBytes: 4 << 20 }
const progressEveryMs = 500

/**
 * Opens it. Never rejects: a folder that cannot be used, or that another process has locked, gives a degraded outbox,
 * whose `stats()` say why.
 *
 *     const outbox = await openDurableOutbox({ folder, maxBytes: 64 << 20, maxAgeMs: 7 * 86_400_000, ack: 'puback', log, clock })
 *     const publisher = createPublisher({ broker, node: 'dock1', cameras: ['cam0'], log, outbox })
 */
export async function openDurableOutbox({
  folder,
  maxBytes,
  maxAgeMs,
  ack,
  log,
  clock,
  isClockSynced,
}: DurableOptions): Promise<Outbox> {
  let outbox: Outbox | null = null
  const answer: Answer = (question, write) => (outbox ? answerFor(outbox, question, write) : Promise.resolve())
  const lock = (): Promise<() => Promise<void>> => lockFolder(folder, answer)
  const disk = { folder, maxBytes, maxAgeMs, lock, isClockSynced }
  outbox = await openOutbox({ boot: randomUUID(), clock, log, ack, memory, disk })
  return outbox
}

async function answerFor(outbox: Outbox, question: unknown, write: (line: unknown) => void): Promise<void> {
  const { command } = (typeof question === 'object' && question !== null ? question : {}) as { command?: unknown }
  if (command === 'status')
    write({ pid: process.pid, boot: outbox.boot, seq: outbox.seq, ack: outbox.ack, ...outbox.stats() })
  else if (command === 'clear') write({ cleared: await outbox.clear() })
  else if (command === 'save') await outbox.save()
  else if (command === 'drain') {
    for (let { queued } = outbox.stats(); ; { queued } = outbox.stats()) {
      write({ queued })
      if (queued === 0) return
      await new Promise((resolve) => setTimeout(resolve, progressEveryMs))
    }
  }
}
