/** The commands and how one is run. Each command has a file; this one loads it, runs it, and turns errors into sentences and exit statuses. */
import { Command, CommanderError } from 'commander'
import { exitStatus, GapcamError, messageOf } from '../errors.js'
import { forJournal, isJournal } from '../log.js'
import { redact } from '../secrets.js'
import { version } from '../version.js'
import { keepHeapSmall } from './memory.js'
import { onOutputFault } from './output.js'

type Register = (program: Command) => void

/** The commands in the order of the help. A command's file is loaded when it is used, since most need few of the packages. */
const commands: Readonly<Record<string, () => Promise<Register>>> = {
  run: async () => (await import('./run.js')).runCommand,
  once: async () => (await import('./once.js')).onceCommand,
  classify: async () => (await import('./classify.js')).classifyCommand,
  bench: async () => (await import('./bench.js')).benchCommand,
  cameras: async () => (await import('./cameras.js')).camerasCommand,
  eval: async () => (await import('./eval.js')).evalCommand,
  teach: async () => (await import('./teach.js')).teachCommand,
  review: async () => (await import('./review.js')).reviewCommand,
  gallery: async () => (await import('./gallery.js')).galleryCommand,
  quantize: async () => (await import('./quantize.js')).quantizeCommand,
  model: async () => (await import('./model.js')).modelCommand,
  record: async () => (await import('./record.js')).recordCommand,
  replay: async () => (await import('./replay.js')).replayCommand,
  tune: async () => (await import('./tune.js')).tuneCommand,
  mqtt: async () => (await import('./mqtt.js')).mqttCommand,
  watch: async () => (await import('./watch.js')).watchCommand,
  fleet: async () => (await import('./fleet.js')).fleetCommand,
  collect: async () => (await import('./collect.js')).collectCommand,
  config: async () => (await import('./config.js')).configCommand,
  doctor: async () => (await import('./doctor.js')).doctorCommand,
  profile: async () => (await import('./profile.js')).profileCommand,
  outbox: async () => (await import('./outbox.js')).outboxCommand,
  service: async () => (await import('./service.js')).serviceCommand,
  backup: async () => (await import('./backup.js')).backupCommand,
  restore: async () => (await import('./backup.js')).restoreCommand,
  completion: async () => {
    const { completionCommand } = await import('./completion.js')
    return (program) => completionCommand(program, createProgram)
  },
}

/** The program with the command `named`; with all commands if there is none of this name. Also used to generate the README. */
export async function createProgram(named?: string): Promise<Command> {
  const program = new Command('gapcam')
    .description('Turns a camera into an image classifier that speaks MQTT.')
    .version(version)
    .showSuggestionAfterError()
    .showHelpAfterError('gapcam --help lists the commands; gapcam COMMAND --help lists its arguments and flags.')
    .exitOverride()
  const known = named !== undefined && Object.hasOwn(commands, named) ? [commands[named]!] : Object.values(commands)
  for (const register of await Promise.all(known.map((load) => load()))) register(program)
  for (const command of program.commands) command.exitOverride()
  return program
}

/**
 * Loads the code for a command line (without node and script) and resolves with a function that runs it. That function sets
 * the exit status and never rejects. It installs the signal handlers before it returns its promise.
 *
 *     const run = await load(['classify', 'cat.jpg'])
 *     await run()
 */
export async function load(args: readonly string[]): Promise<() => Promise<void>> {
  if (args[0] === 'run') keepHeapSmall()
  const program = await createProgram(args[0])
  return async () => {
    onOutputFault((error) => {
      const status = report(error)
      process.exitCode ||= status
    })
    try {
      await program.parseAsync(args, { from: 'user' })
    } catch (error) {
      const status = report(error)
      if (status !== exitStatus.done) process.exitCode = status
    }
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
  return exitStatus.unforeseen
}

function complain(text: string): void {
  process.stderr.write(redact(isJournal() ? forJournal('error', text) : text))
}
