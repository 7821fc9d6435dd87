/**
 * `gapcam once [SOURCE]`: one look of every zone, for batteries and cron. It prints one JSON object, and its exit status says
 * what went wrong: with a camera, with a model, or with the broker.
 */
import type { Command } from 'commander'
import { z } from 'zod'
import { duration } from '../config/duration.js'
import { exitStatus, GapcamError } from '../errors.js'
import { createLogger } from '../log.js'
import type { OnceResult } from '../run/once/once.js'
import type { AnyZone } from '../zone/missing.js'
import { addCameraFlags, addFlags, camerasFrom, configFrom, type FlagValues } from './flags.js'
import { holdDeadline } from './once-deadline.js'
import { writeJson } from './output.js'

/** Registers the command. */
export function onceCommand(program: Command): void {
  const command = program
    .command('once')
    .description('look once, publish, and end; for batteries and cron')
    .argument('[source]', 'camera URI, picture, folder or video')
  addCameraFlags(
    addFlags(command, ['model', 'labels', 'engine', 'threads', 'policy.threshold', 'mqtt.broker', 'node', 'logLevel']),
  )
    .option('--light <chip/line>', 'GPIO line that is high while the pictures are taken, such as gpiochip0/17')
    .option('--settle <time>', 'longest time to wait until the exposure has settled', '3s')
    .option('--next <time>', 'when it will run again, such as 15m; default: as the triggers of the zones say')
    .option('--deadline <time>', 'end after this time, whatever hangs', '20s')
    .option('--verbose', 'print when each stage ended')
    .action(async (source: string | undefined, values: FlagValues) => {
      await lookAndPrint(source, values)
    })
}

/** Time that is kept for closing when the deadline comes, milliseconds. */
const closingMs = 1000

async function lookAndPrint(source: string | undefined, values: FlagValues): Promise<void> {
  const deadlineMs = timeFrom(values, 'deadline', 2000)
  const hold = holdDeadline(deadlineMs)
  try {
    await lookWithin(deadlineMs, source, values)
  } finally {
    hold.end()
  }
}

async function lookWithin(deadlineMs: number, source: string | undefined, values: FlagValues): Promise<void> {
  const { config, warnings } = configFrom(values)
  const log = createLogger(config.logLevel)
  for (const warning of warnings) log.warn(warning)
  const { lookOnce } = await import('../run/once/once.js')
  const result = await lookOnce({
    config: { ...config, cameras: [...camerasFrom(config.cameras, source, values)] },
    log,
    deadlineMs: Math.max(1, Math.round(deadlineMs - closingMs - performance.now())),
    settleMs: timeFrom(values, 'settle', 0),
    nextMs: values['next'] === undefined ? null : timeFrom(values, 'next', 1000),
    light: lightFrom(values),
  })
  writeJson(shown(config.node, result))
  if (values['verbose'] === true) writeStages(result)
  process.exitCode = statusOf(result)
  for (const fault of result.faults) process.stderr.write(`gapcam: ${fault.message}\n${fault.hint}\n`)
  if (result.isDelivered === false && result.queued > 0)
    process.stderr.write(
      `gapcam: the broker has not acknowledged everything; ${result.queued} events wait for the next time\n`,
    )
  else if (result.isDelivered === false && result.lost === 0)
    process.stderr.write('gapcam: the broker has not acknowledged everything\n')
  if (result.lost > 0)
    process.stderr.write(
      `gapcam: ${result.lost} events are lost: the broker refuses them, or they could be neither delivered nor kept\n`,
    )
}

function timeFrom(values: FlagValues, name: string, leastMs: number): number {
  const text = String(values[name])
  const read = duration(leastMs).safeParse(text)
  if (read.success) return read.data
  throw new GapcamError('USAGE', `--${name}: ${text} ${z.treeifyError(read.error).errors[0]}`)
}

function lightFrom({ light }: FlagValues): { readonly chip: string; readonly line: number } | null {
  if (light === undefined) return null
  const [, chip, line] = /^([a-zA-Z0-9_.-]+)\/(\d{1,4})$/.exec(String(light)) ?? []
  if (chip === undefined)
    throw new GapcamError('USAGE', `--light: ${String(light)} is not a chip and a line, such as gpiochip0/17`)
  return { chip, line: Number(line) }
}

function statusOf({ faults, isDelivered, lost }: OnceResult): number {
  const [fault] = faults
  if (fault) return fault.exitStatus
  return isDelivered === false || lost > 0 ? exitStatus.broker : exitStatus.done
}

function shown(
  node: string,
  { zones, faults, isDelivered, queued, lost, nextWallMs }: OnceResult,
): Record<string, unknown> {
  return {
    node,
    ts: new Date().toISOString(),
    ...(nextWallMs === null ? {} : { next: new Date(nextWallMs).toISOString() }),
    zones: zones.map(shownZone),
    faults: faults.map(({ code, message }) => ({ code, message })),
    delivered: isDelivered,
    queued,
    lost,
  }
}

function shownZone({ definition: { camera, zone }, decision }: AnyZone): Record<string, unknown> {
  const { label, score, prev, reason, detail, top } = decision
  const rounded = (value: number): number => Math.round(value * 1e4) / 1e4
  return {
    camera,
    ...(zone === null ? {} : { zone }),
    label,
    score: rounded(score),
    prev,
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
    top: top.map((each) => ({ label: each.label, score: rounded(each.score) })),
  }
}

/** Milliseconds since the start of the process at which each stage ended. */
function writeStages({ stages }: OnceResult): void {
  for (const { name, endMs } of stages) process.stderr.write(`${name.padEnd(12)} ${endMs.toFixed(0).padStart(6)} ms\n`)
}
