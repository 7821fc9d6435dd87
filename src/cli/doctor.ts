/** `gapcam doctor [SOURCE]`: checks everything that gapcam depends on, and prints the evidence and the fix of each problem. */
import type { Command } from 'commander'
import { stateDirectory } from '../config/state-directory.js'
import { examine, exitStatusOf, type Check, type DoctorContext, type Verdict } from '../doctor/doctor.js'
import { GapcamError, messageOf } from '../errors.js'
import { connectionOf } from '../run/connection.js'
import { addCameraFlags, addFlags, camerasFrom, configFrom, type FlagValues } from './flags.js'
import { writeJson } from './output.js'
import { untilSignal } from './signals.js'

/** Registers the command. */
export function doctorCommand(program: Command): void {
  const command = program
    .command('doctor')
    .description('find problems of this machine, its cameras, model and broker, and say how to fix them')
    .argument('[source]', 'camera URI, picture, folder or video')
  addCameraFlags(
    addFlags(command, ['model', 'labels', 'engine', 'threads', 'inputSize', 'mqtt.broker', 'node', 'json']),
  ).action(async (source: string | undefined, values: FlagValues) => {
    await untilSignal(({ signal }) => doctor(source, values, signal))
  })
}

async function doctor(source: string | undefined, values: FlagValues, signal: AbortSignal): Promise<void> {
  const isJson = values['json'] === true
  const write = isJson ? (): void => undefined : createWriter()
  const context = contextOf(source, values, signal)
  if ('area' in context) {
    write([context])
    return finish([context], isJson)
  }
  finish(await examine(context, write), isJson)
}

/** What to examine. If the configuration is invalid, that is the only finding, because the other checks depend on it. */
function contextOf(source: string | undefined, values: FlagValues, signal: AbortSignal): DoctorContext | Check {
  try {
    const { config: read } = configFrom(values)
    const config = { ...read, cameras: [...camerasFrom(read.cameras, source, values)] }
    const broker = brokerOf(() => (config.mqtt.broker === 'embedded' ? null : connectionOf(config)))
    return {
      config,
      broker,
      stateFolder: stateDirectory(config),
      root: '/',
      signal,
    }
  } catch (error) {
    if (!(error instanceof GapcamError)) throw error
    return { area: 'configuration', name: 'configuration', verdict: 'fail', evidence: error.message, fix: error.hint }
  }
}

function brokerOf(read: () => DoctorContext['broker']): DoctorContext['broker'] {
  try {
    return read()
  } catch (error) {
    return { why: messageOf(error) }
  }
}

function finish(checks: readonly Check[], isJson: boolean): void {
  const status = exitStatusOf(checks)
  if (isJson) writeJson({ status, checks })
  else {
    const count = (verdict: Verdict): number => checks.filter((check) => check.verdict === verdict).length
    process.stdout.write(
      `\n${count('ok')} ok, ${count('warn')} warnings, ${count('fail')} failures, ${count('skip')} skipped\n`,
    )
  }
  if (status !== 0) process.exitCode = status
}

/** Writes each area under its heading as soon as it was examined. */
function createWriter(): (checks: readonly Check[]) => void {
  const isColored = process.stdout.isTTY && process.env['NO_COLOR'] === undefined
  const colors: Readonly<Record<Verdict, number>> = { ok: 32, warn: 33, fail: 31, skip: 90 }
  const paint = (verdict: Verdict): string =>
    isColored ? `\u001b[${colors[verdict]}m${verdict.padEnd(4)}\u001b[0m` : verdict.padEnd(4)
  let last = ''
  return (checks) => {
    for (const { area, name, verdict, evidence, fix } of checks) {
      if (area !== last) process.stdout.write(`${last === '' ? '' : '\n'}${area}\n`)
      last = area
      process.stdout.write(
        `  ${paint(verdict)}  ${name}: ${evidence}\n${fix === undefined ? '' : `        -> ${fix}\n`}`,
      )
    }
  }
}
