/** `gapcam backup FILE` and `gapcam restore FILE`: a node's memory in one file, for a new board in the old one's place. */
import { existsSync, readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { parse } from 'yaml'
import { backupBytes, readBackup, type BackupFiles } from '../backup/file.js'
import { hasGalleries, lastEventIn, restoredFiles, restoreState, stateFiles } from '../backup/state.js'
import type { LoadedConfig } from '../config/config.js'
import { sentenceOf } from '../config/issues.js'
import { configSchema, type Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import { fileFaultOf, GapcamError, writeFaultOf } from '../errors.js'
import { writeWhole } from '../state-file.js'
import { version } from '../version.js'
import { storeOf } from './bundle-store.js'
import { exportedYaml } from './config-settings.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson } from './output.js'

const configFile = 'gapcam.yaml'
const noOverrides = { version: 2, cameras: {}, values: {}, zones: {} } as const

/** Registers `gapcam backup`. */
export function backupCommand(program: Command): void {
  const backup = program
    .command('backup')
    .description('write configuration, settings, zones and taught heads to a file; without secrets')
    .argument('<file>', 'where the backup goes')
    .option('--galleries', 'with the galleries, encrypted by a passphrase')
    .option('--passphrase-file <file>', 'file whose first line is the passphrase; - reads it from stdin')
  addFlags(backup, ['node', 'json', 'logLevel']).action(makeBackup)
}

/** Registers `gapcam restore`. */
export function restoreCommand(program: Command): void {
  program
    .command('restore')
    .description('put a backup into the place of a node on this board')
    .argument('<file>', 'the backup')
    .option('--output <file>', 'where the configuration goes', configFile)
    .option('--passphrase-file <file>', 'file whose first line is the passphrase; - reads it from stdin')
    .option('--no-galleries', 'leave out the galleries of the backup')
    .option('--replace', 'put aside a configuration and a state that are there')
    .option('--json', 'print one JSON object')
    .action(putBackup)
}

async function makeBackup(file: string, values: FlagValues): Promise<void> {
  const loaded = configFrom(values)
  const { config } = loaded
  const folder = stateDirectory(config)
  if (values['galleries'] !== true && values['passphraseFile'] !== undefined)
    throw new GapcamError('USAGE', '--passphrase-file is for --galleries, which is not given')
  const yaml = exportedYaml(forAnyBoard(loaded), noOverrides)
  const files = new Map([
    [configFile, new TextEncoder().encode(yaml)],
    ...(await stateFiles(folder, values['galleries'] === true ? passphraseOf(values) : null)),
  ])
  const bundles = installedIn(config)
  const about = { gapcam: version, node: config.node, madeAt: new Date().toISOString(), bundles }
  const lastEvent = await lastEventIn(folder)
  const bytes = await backupBytes({ ...about, lastEvent }, files)
  await writeWhole(file, bytes).catch((error: unknown) => {
    throw new GapcamError('BACKUP_NOT_KEPT', `${file} cannot be written: ${writeFaultOf(error)}`, { cause: error })
  })
  const notes = notesIn(yaml)
  if (wantsJson(config.json))
    return writeJson({ file, bytes: bytes.length, node: config.node, files: files.size, lastEvent, notes })
  for (const note of notes) process.stderr.write(`${note}\n`)
  process.stdout.write(`${file}: ${config.node}, ${files.size} files, ${(bytes.length / 1e6).toFixed(1)} MB\n`)
}

/** The node's id may come from the name of the board, and the place of the state from its environment: both differ there. */
function forAnyBoard({ origins, ...loaded }: LoadedConfig): LoadedConfig {
  const moved = new Map([...origins, ['node', 'file'] as const])
  if (origins.get('stateDir') === 'environment') moved.delete('stateDir')
  return { ...loaded, origins: moved }
}

/** The comments that say what a configuration lacks. */
const notesIn = (yaml: string): readonly string[] =>
  yaml.split('\n').flatMap((line) => (line.startsWith('# ') ? [line.slice(2)] : []))

function installedIn(config: Config): { name: string; version: string; digest: string }[] {
  return Object.entries(storeOf(config).entries()).flatMap(([name, { serving }]) =>
    serving ? [{ name, version: serving.version, digest: serving.digest }] : [],
  )
}

function passphraseOf(values: FlagValues): string {
  const file = values['passphraseFile']
  if (file === undefined)
    throw new GapcamError('USAGE', 'galleries need a passphrase: --passphrase-file FILE, or - for stdin')
  let text: string
  try {
    text = readFileSync(file === '-' ? 0 : String(file), 'utf8')
  } catch (error) {
    throw new GapcamError('USAGE', `--passphrase-file ${String(file)}: ${fileFaultOf(error)}`)
  }
  const passphrase = text.split(/\r?\n/, 1)[0]!
  if (passphrase.length < 8)
    throw new GapcamError('USAGE', 'the passphrase has fewer than 8 characters; galleries hold what people look like')
  return passphrase
}

async function putBackup(file: string, values: FlagValues): Promise<void> {
  const { head, files } = await readBackup(file)
  const wantsGalleries = values['galleries'] !== false && hasGalleries(files)
  if (wantsGalleries && values['passphraseFile'] === undefined)
    throw new GapcamError('USAGE', `backup ${file} holds galleries: give --passphrase-file, or --no-galleries`)
  const state = await restoredFiles(files, wantsGalleries ? passphraseOf(values) : null)
  const [output, replaces] = [String(values['output']), values['replace'] === true]
  if (existsSync(output) && !replaces)
    throw new GapcamError('BACKUP_REFUSED', `there is a configuration ${output} already`, {
      hint: 'gapcam restore --output names another place, and --replace writes over it.',
    })
  const yaml = configurationIn(files, file)
  const folder = stateDirectory({ node: head.node, stateDir: stateDirOf(yaml, file) })
  await restoreState(folder, { files: state, lastEvent: head.lastEvent, replaces })
  await writeWhole(output, yaml).catch((error: unknown) => {
    throw new GapcamError('BACKUP_NOT_KEPT', `${output} cannot be written: ${writeFaultOf(error)}`, { cause: error })
  })
  const { node, lastEvent, bundles } = head
  tell({ file: output, folder, node, lastEvent, bundles, notes: notesIn(yaml) }, values)
}

function configurationIn(files: BackupFiles, file: string): string {
  const bytes = files.get(configFile)
  if (!bytes) throw new GapcamError('BACKUP_INVALID', `backup ${file}: it holds no ${configFile}`)
  return new TextDecoder().decode(bytes)
}

/** Checks the configuration before anything is written: a later version may have made it. */
function stateDirOf(yaml: string, file: string): string | undefined {
  const result = configSchema.safeParse(parse(yaml))
  if (!result.success)
    throw new GapcamError('BACKUP_INVALID', `backup ${file}: ${sentenceOf(result.error, new Map())}`, {
      hint: 'Update gapcam on this board to the version that made the backup.',
    })
  return process.env['GAPCAM_STATE_DIR'] ?? result.data.stateDir
}

interface Restored {
  readonly file: string
  readonly folder: string
  readonly node: string
  readonly lastEvent: number | null
  readonly bundles: readonly { readonly name: string; readonly version: string }[]
  readonly notes: readonly string[]
}

function tell(restored: Restored, values: FlagValues): void {
  if (wantsJson(values['json'] === true)) return writeJson({ ...restored })
  const { file, folder, node, bundles, notes } = restored
  for (const note of notes) process.stderr.write(`${note}\n`)
  for (const { name, version: wanted } of bundles)
    process.stderr.write(`the bundle ${name} ${wanted} served; a backup holds no bundles: gapcam model install\n`)
  process.stdout.write(`${node}: configuration in ${file}, state in ${folder}\n`)
}
