/** What a check says: a verdict, what it was seen by, and one line that mends it. */
import type { Config } from '../config/schema.js'
import { GapcamError, messageOf } from '../errors.js'
import type { ConnectOptions } from '../publish/mqtt.js'

/** `skip`: not looked at, and the evidence says why. */
export type Verdict = 'ok' | 'warn' | 'fail' | 'skip'

/** In the order in which one needs the other. */
export const areas = [
  'configuration',
  'program',
  'disk',
  'clock',
  'board',
  'model',
  'camera',
  'broker',
  'home assistant',
] as const
export type Area = (typeof areas)[number]

export interface Check {
  readonly area: Area
  readonly name: string
  readonly verdict: Verdict
  /** What was seen, in words. */
  readonly evidence: string
  /** What to do about it; with every `warn` and `fail`. */
  readonly fix?: string
}

/** What an area finds; asked one after the other. */
export type Examination = (context: DoctorContext) => Promise<readonly Check[]>

export interface DoctorContext {
  readonly config: Config
  /** How the broker is reached; null for none. A sentence where the configuration of it cannot be used. */
  readonly broker: ConnectOptions | null | { readonly why: string }
  /** Where the state is kept. */
  readonly stateFolder: string
  /** Where /proc and /sys are read from; '/' but in tests. */
  readonly root: string
  readonly signal: AbortSignal
}

/** Checks of one area, written shortly. */
export function checksOf(area: Area): Record<Verdict, (name: string, evidence: string, fix?: string) => Check> {
  const say =
    (verdict: Verdict) =>
    (name: string, evidence: string, fix?: string): Check => ({
      area,
      name,
      verdict,
      evidence,
      ...(fix === undefined ? {} : { fix }),
    })
  return { ok: say('ok'), warn: say('warn'), fail: say('fail'), skip: say('skip') }
}

/** An error as a failed check: its sentence, and the hint of the one table. */
export function failureOf(area: Area, name: string, error: unknown): Check {
  return checksOf(area).fail(
    name,
    messageOf(error),
    error instanceof GapcamError ? error.hint : 'Run it again with GAPCAM_LOG_LEVEL=debug and report what it says.',
  )
}

/** The exit status of the first area that fails, in the order in which one needs the other. */
export function exitStatusOf(checks: readonly Check[]): number {
  const statuses: Readonly<Record<Area, number>> = {
    configuration: 2,
    program: 2,
    disk: 2,
    clock: 0,
    board: 0,
    model: 4,
    camera: 3,
    broker: 5,
    'home assistant': 0,
  }
  const failed = new Set(checks.filter(({ verdict }) => verdict === 'fail').map(({ area }) => area))
  return (
    areas
      .filter((area) => failed.has(area))
      .map((area) => statuses[area])
      .find((status) => status !== 0) ?? 0
  )
}
