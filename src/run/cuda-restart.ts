/**
 * Gives a lost GPU back to a node: after an error that takes CUDA from the process, the run ends in good order, so that
 * whoever supervises gapcam starts it with a GPU. The CPU serves until then. A GPU that dies soon after every start does
 * not make the node flap: each restart in a row needs a longer run before it, and how many there were outlives the process.
 *
 * Waits are counted in the time of this run and not by the clock on the wall: boards without a battery start in the past.
 */
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../clock.js'
import type { Config } from '../config/schema.js'
import type { CudaFacts } from '../engine/engine.js'
import type { Logger } from '../log.js'
import { openStateFile } from '../state-file.js'

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs
/** How long a run must last before it ends for the first loss in a row, the second, …; the last is for all that follow. */
const runBeforeMs = [0, 10 * minuteMs, 60 * minuteMs, dayMs] as const

/** How many restarts count as in a row: none any more for a GPU that has served for a day. */
export function restartsInARow(restarts: number, servedMs: number): number {
  return servedMs >= dayMs ? 0 : restarts
}

/** When a run whose GPU was lost after `servedMs`, and which has `restarts` for that behind it, ends: milliseconds from its start. */
export function restartDueMs(restarts: number, servedMs: number): number {
  const inARow = restartsInARow(restarts, servedMs)
  return Math.max(servedMs, runBeforeMs[Math.min(inARow, runBeforeMs.length - 1)]!)
}

export interface CudaRestartOptions {
  readonly mode: Config['cudaRestart']
  /** Whether a service manager listens, which starts gapcam again. */
  readonly isSupervised: boolean
  /** CUDA was asked for by name: a start whose GPU has not come back serves nothing, where this run serves on the CPU. */
  readonly isDemanded: boolean
  /** Where the count is kept; null: nowhere, and then no run ends. */
  readonly folder: string | null
  readonly facts: () => CudaFacts | undefined
  /** Ends the run with the status for it; `why` completes "restarting, ". */
  readonly restart: (why: string) => void
  readonly clock: Clock
  readonly startedMs: number
  readonly log: Pick<Logger, 'warn'>
}

export interface CudaRestart {
  /** Looks whether CUDA was lost and whether it is time; for about once a second. */
  tick(): void
  /** For health: restarts in a row for a lost GPU, and when the next one is due where one is. */
  describe(): { readonly restarts: number; readonly restart_in_s?: number }
  close(): Promise<void>
}

const stateSchema = z.strictObject({ version: z.literal(1), restarts: z.int().min(0) })

export function createCudaRestart({
  mode,
  isSupervised,
  isDemanded,
  folder,
  facts,
  restart,
  clock,
  startedMs,
  log,
}: CudaRestartOptions): CudaRestart {
  const file = openStateFile({
    path: folder === null ? null : join(folder, 'cuda-restart.json'),
    schema: stateSchema,
    empty: { version: 1 as const, restarts: 0 },
    log,
  })
  const ranMs = (): number => clock.now() - startedMs
  /** How long the GPU has served; null while it does. */
  let servedMs: number | null = null
  /** Null: not planned. */
  let dueMs: number | null = null

  /** Why no run ends for a lost GPU here, or null. */
  function whyNot(): string | null {
    if (mode === 'always') return null
    if (mode === 'never') return 'cudaRestart is never'
    if (!isSupervised) return 'no service manager is there to start it again'
    return isDemanded
      ? 'with engine cuda a GPU that does not come back would leave nothing that serves (cudaRestart: always ends all the same)'
      : null
  }

  function onLost(lostMs: number): void {
    servedMs = lostMs
    const why = whyNot()
    if (why !== null)
      return log.warn({}, `CUDA is lost until gapcam is restarted, and gapcam does not end for it: ${why}`)
    const { restarts } = file.value
    dueMs = restartDueMs(restarts, lostMs)
    const waitMs = dueMs - lostMs
    if (waitMs > 0)
      log.warn(
        {},
        `CUDA is lost again after ${restarts} ${restarts === 1 ? 'restart' : 'restarts'} for it: the CPU serves, and gapcam ends in ${words(waitMs)} to be started with a GPU`,
      )
  }

  async function end(lost: number): Promise<void> {
    dueMs = null
    const restarts = restartsInARow(file.value.restarts, lost) + 1
    // Without the count the next start would know nothing of this one, and the node might flap for ever.
    if (await file.replace({ version: 1, restarts }))
      restart(`since CUDA is lost for this process: ${facts()?.lastFault ?? ''}`)
    else
      log.warn(
        {},
        'gapcam does not end for the lost CUDA, since it could not write down that it did: the CPU serves until a restart',
      )
  }

  return {
    tick() {
      if (servedMs === null && facts()?.restartWanted) onLost(ranMs())
      if (dueMs !== null && ranMs() >= dueMs) void end(servedMs!)
    },
    describe: () => ({
      restarts: restartsInARow(file.value.restarts, servedMs ?? ranMs()),
      ...(dueMs === null ? {} : { restart_in_s: Math.max(0, Math.round((dueMs - ranMs()) / 1000)) }),
    }),
    close: file.close,
  }
}

function words(ms: number): string {
  const minutes = Math.ceil(ms / minuteMs)
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`
}
