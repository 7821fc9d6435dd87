/** The result of a check: a verdict, the evidence, and one line that fixes the problem. */
import type { Config } from '../config/schema.js'
import { GapcamError, messageOf } from '../errors.js'
import type { ConnectOptions } from '../publish/mqtt.js'

/** `skip`: not checked, and the evidence says why. */
export type Verdict = 'ok' | 'warn' | 'fail' | 'skip'

/** The areas in the order in which each one needs the ones before. */
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
/** One of the areas. */
export type Area = (typeof areas)[number]

/** One finding. */
export interface Check {
  readonly area: Area
  readonly name: string
  readonly verdict: Verdict
  /** What was found, in words. */
  readonly evidence: string
  /** What the user can do; present with every `warn` and `fail`. */
  readonly fix?: string | undefined
}

/** Runs the checks of one area. */
export type Examination = (context: DoctorContext) => Promise<readonly Check[]>

/** What every examination gets. */
export interface DoctorContext {
  readonly config: Config
  /** How to reach the broker; null for none; a sentence where the configuration of the broker is unusable. */
  readonly broker: ConnectOptions | null | { readonly why: string }
  /** The state directory of the node. */
  readonly stateFolder: string
  /** The folder above /proc and /sys; '/' except in tests. */
  readonly root: string
  readonly signal: AbortSignal
}

/**
 * Functions that create checks of one area.
 *
 *     const { ok, fail } = checksOf('disk')
 *     return free > 0 ? ok('space', `${free} bytes free`) : fail('space', 'the disk is full', 'Free some space.')
 */
export function checksOf(area: Area): Record<Verdict, (name: string, evidence: string, fix?: string) => Check> {
  const say =
    (verdict: Verdict) =>
    (name: string, evidence: string, fix?: string): Check => ({ area, name, verdict, evidence, fix })
  return { ok: say('ok'), warn: say('warn'), fail: say('fail'), skip: say('skip') }
}

/** An error as a failed check: its sentence as evidence, its hint as the fix. */
export function failureOf(area: Area, name: string, error: unknown): Check {
  return checksOf(area).fail(
    name,
    messageOf(error),
    error instanceof GapcamError
      ? error.hint
      : 'This is a bug in gapcam. Please report it with scripts/board/report.mjs.',
  )
}

/** The exit status of the first area that fails, 0 if none does. Areas with status 0 never fail the command. */
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
