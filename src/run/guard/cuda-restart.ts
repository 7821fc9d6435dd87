/**
 * Gets a lost GPU back: after an error that takes CUDA from the process, the run ends cleanly and the service manager
 * starts gapcam again with the GPU. The CPU serves until then. A GPU that fails soon after every start does not make the
 * node flap: each further restart in a row needs a longer run before it, and their number is kept on disk.
 *
 * Waits are counted from the start of the run, not by the wall clock: boards without a battery start in the past.
 */
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../../clock.js'
import type { Config } from '../../config/schema.js'
import type { CudaFacts } from '../../engine/engine.js'
import type { Logger } from '../../log.js'
import { openStateFile, type StateFile } from '../../state-file.js'

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs
/** How long a run must last before it ends for the first loss in a row, the second, and so on; the last entry holds for all further ones. */
const runBeforeMs = [0, 10 * minuteMs, 60 * minuteMs, dayMs] as const

/** How many restarts count as in a row: none once a GPU has served for a day. */
export function restartsInARow(restarts: number, servedMs: number): number {
  return servedMs >= dayMs ? 0 : restarts
}

/** When a run ends that lost its GPU after `servedMs` and follows `restarts` such restarts: milliseconds from its start. */
export function restartDueMs(restarts: number, servedMs: number): number {
  const inARow = restartsInARow(restarts, servedMs)
  return Math.max(servedMs, runBeforeMs[Math.min(inARow, runBeforeMs.length - 1)]!)
}

export interface CudaRestartOptions {
  readonly mode: Config['cudaRestart']
  /** Whether a service manager is there to start gapcam again. */
  readonly isSupervised: boolean
  /** CUDA was configured by name: a start without the GPU would fail, while this run continues on the CPU. */
  readonly isDemanded: boolean
  /** Where the count is kept. Null: nowhere, and then no run ends for a lost GPU. */
  readonly folder: string | null
  readonly facts: () => CudaFacts | undefined
  /** Ends the run for a restart; `why` completes "restarting, ". */
  readonly restart: (why: string) => void
  readonly clock: Clock
  readonly startedMs: number
  readonly log: Pick<Logger, 'warn'>
}

export interface CudaRestart {
  /** Checks whether CUDA was lost and whether the restart is due. Call it about once a second. */
  tick(): void
  /** For health: restarts in a row for a lost GPU, and when the next one is due if one is planned. */
  describe(): { readonly restarts: number; readonly restart_in_s?: number }
  close(): Promise<void>
}

const stateSchema = z.strictObject({ version: z.literal(1), restarts: z.int().min(0) })

/** Opens the count of restarts and decides from then on. */
export function createCudaRestart(options: CudaRestartOptions): CudaRestart {
  return new LostGpu(options)
}

class LostGpu implements CudaRestart {
  readonly #options: CudaRestartOptions
  readonly #file: StateFile<z.output<typeof stateSchema>>
  /** How long the GPU had served when it was lost; null while it serves. */
  #servedMs: number | null = null
  /** Null: not planned. */
  #dueMs: number | null = null

  constructor(options: CudaRestartOptions) {
    const { folder, log } = options
    this.#options = options
    this.#file = openStateFile({
      path: folder === null ? null : join(folder, 'cuda-restart.json'),
      schema: stateSchema,
      empty: { version: 1 as const, restarts: 0 },
      log,
    })
  }

  tick(): void {
    if (this.#servedMs === null && this.#options.facts()?.restartWanted) this.#onLost(this.#ranMs)
    if (this.#dueMs !== null && this.#ranMs >= this.#dueMs) void this.#end(this.#servedMs!)
  }

  describe(): { readonly restarts: number; readonly restart_in_s?: number } {
    const [ranMs, dueMs] = [this.#ranMs, this.#dueMs]
    return {
      restarts: restartsInARow(this.#file.value.restarts, this.#servedMs ?? ranMs),
      ...(dueMs === null ? {} : { restart_in_s: Math.max(0, Math.round((dueMs - ranMs) / 1000)) }),
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  get #ranMs(): number {
    return this.#options.clock.now() - this.#options.startedMs
  }

  #onLost(lostMs: number): void {
    const { log } = this.#options
    this.#servedMs = lostMs
    const why = this.#whyNot()
    if (why !== null)
      return log.warn({}, `CUDA is lost until gapcam starts again, and gapcam does not restart for it: ${why}`)
    const { restarts } = this.#file.value
    this.#dueMs = restartDueMs(restarts, lostMs)
    const waitMs = this.#dueMs - lostMs
    if (waitMs > 0)
      log.warn(
        {},
        `CUDA is lost again after ${restarts} ${restarts === 1 ? 'restart' : 'restarts'}: the CPU serves, and gapcam restarts in ${inWords(waitMs)} to get the GPU back`,
      )
  }

  /** Why this run does not end for a lost GPU; null where it does. */
  #whyNot(): string | null {
    const { mode, isSupervised, isDemanded } = this.#options
    if (mode === 'always') return null
    if (mode === 'never') return 'cudaRestart is never'
    if (!isSupervised) return 'there is no service manager to start it again'
    return isDemanded
      ? 'with engine: cuda nothing would serve if the GPU did not come back (cudaRestart: always restarts nevertheless)'
      : null
  }

  async #end(lostMs: number): Promise<void> {
    const { restart, facts, log } = this.#options
    this.#dueMs = null
    const restarts = restartsInARow(this.#file.value.restarts, lostMs) + 1
    // Without the count on disk the next start would know nothing of this restart, and the node could flap without end.
    if (await this.#file.replace({ version: 1, restarts }))
      restart(`since CUDA is lost for this process: ${facts()?.lastFault ?? ''}`)
    else
      log.warn(
        {},
        'gapcam does not restart for the lost CUDA, because the restart could not be recorded on disk: the CPU serves until gapcam is restarted',
      )
  }
}

function inWords(ms: number): string {
  const minutes = Math.ceil(ms / minuteMs)
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`
}
