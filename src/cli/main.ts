#!/usr/bin/env node
/** The command line: one file a command, one place where errors become sentences and exit statuses. */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import { exitStatus, GapcamError, messageOf } from '../errors.js'
import { forJournal, isJournal } from '../log.js'
import { version } from '../runtime.js'
import { redact } from '../secrets.js'
import { benchCommand } from './bench.js'
import { camerasCommand } from './cameras.js'
import { classifyCommand } from './classify.js'
import { configCommand } from './config.js'
import { doctorCommand } from './doctor.js'
import { evalCommand } from './eval.js'
import { modelCommand } from './model.js'
import { mqttCommand } from './mqtt.js'
import { onOutputFault } from './output.js'
import { outboxCommand } from './outbox.js'
import { profileCommand } from './profile.js'
import { recordCommand } from './record.js'
import { replayCommand } from './replay.js'
import { runCommand } from './run.js'
import { serviceCommand } from './service.js'
import { tuneCommand } from './tune.js'
import { watchCommand } from './watch.js'

function createProgram(): Command {
  const program = new Command('gapcam')
    .description('Turns a camera into an image classifier that speaks MQTT.')
    .version(version)
    .showSuggestionAfterError()
    .exitOverride()
  for (const register of [runCommand, classifyCommand, benchCommand, camerasCommand, evalCommand, modelCommand, recordCommand, replayCommand, tuneCommand, mqttCommand, watchCommand, configCommand, doctorCommand, profileCommand, outboxCommand, serviceCommand]) register(program)
  for (const command of program.commands) command.exitOverride()
  return program
}

/** Runs a command line (without node and script) and sets the exit status; never rejects. */
export async function main(args: readonly string[]): Promise<void> {
  onOutputFault((error) => {
    const status = report(error)
    process.exitCode ||= status
  })
  try {
    await createProgram().parseAsync(args, { from: 'user' })
  } catch (error) {
    const status = report(error)
    if (status !== exitStatus.done) process.exitCode = status
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.done : exitStatus.usage
  if (error instanceof GapcamError) {
    complain(`gapcam: ${error.message}\n${error.hint}\n`)
    return error.exitStatus
  }
  complain(`gapcam: ${messageOf(error)}\n`)
  if (process.env['GAPCAM_LOG_LEVEL'] === 'debug' && error instanceof Error) complain(`${error.stack ?? ''}\n`)
  return 1
}

function complain(text: string): void {
  process.stderr.write(redact(isJournal() ? forJournal('error', text) : text))
}

// Run only as a program: scripts/start.mjs imports `main` instead.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await main(process.argv.slice(2))
