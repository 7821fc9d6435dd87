/** `gapcam teach NAME --state LABEL=DIR ...`: a classifier for a user's own states from folders of pictures. */
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { picturesIn } from '../camera/pictures.js'
import { modelOptions } from '../config/model.js'
import { stateDirectory } from '../config/state-directory.js'
import { unknownLabel } from '../decision/decision.js'
import { fileFaultOf, GapcamError, writeFaultOf } from '../errors.js'
import { makeFolder } from '../folder.js'
import { teach, type Taught } from '../teach/teach.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { startProgressBar } from './progress-bar.js'

/** Names that later commands take. */
const reservedNames = ['fit', 'test', 'list', 'undo', 'export', 'import', 'remove', unknownLabel]

/** More pictures of a state make fitting slow and hardly better; they are taken evenly from the folder. */
const mostPictures = 100

/** Registers the command. */
export function teachCommand(program: Command): void {
  const command = program
    .command('teach')
    .description('teach a model your own states from folders of pictures')
    .argument('<name>', 'name of the taught model: letters, digits, - and _')
    .requiredOption('--state <label=dir>', 'a state and a folder with its pictures; give two or more', collect)
  addFlags(command, ['model', 'inputSize', 'threads', 'json', 'logLevel'])
    .option('--none <dir>', 'pictures that are none of the states and must be called unknown')
    .option('-o, --output <file>', 'the ONNX file to write; default NAME.onnx in the state directory')
    .action(async (name: string, values: FlagValues) => {
      if (!/^[A-Za-z0-9_-]{1,64}$/.test(name) || reservedNames.includes(name))
        throw new GapcamError('USAGE', `${name} cannot be the name of a taught model`, {
          hint: `Use up to 64 letters, digits, - and _; reserved are ${reservedNames.join(', ')}.`,
        })
      await teachFolders(name, values)
    })
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

async function teachFolders(name: string, values: FlagValues): Promise<void> {
  const { config } = configFrom(values)
  const states = await statesOf(values['state'] as unknown as readonly string[])
  const none = values['none'] === undefined ? [] : await picturesOf(values['none'] as string)
  const { model, ...engine } = modelOptions(config)
  const progress = startProgressBar('pictures', [...states.values()].flat().length)
  let taught: Taught
  try {
    taught = await teach({
      model: model as string,
      states,
      none,
      engine: { threads: engine.threads, inputSize: engine.inputSize },
      onPicture: (done) => progress.update(done),
      onBroken: ({ message }) => process.stderr.write(`${message}\n`),
    })
  } finally {
    progress.stop()
  }
  const output = (values['output'] as string | undefined) ?? join(stateDirectory(config), 'taught', `${name}.onnx`)
  await write(output, taught.bytes)
  if (wantsJson(values['json'] as boolean | undefined)) writeJson(asJson(name, output, taught))
  else print(output, taught)
}

/** The pictures of each state. Rejects with USAGE for states that cannot be taught. */
async function statesOf(given: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const states = new Map<string, string[]>()
  for (const text of given) {
    const at = text.indexOf('=')
    const label = text.slice(0, Math.max(at, 0)).trim()
    checkLabel(text, label)
    states.set(label, [...(states.get(label) ?? []), ...(await picturesOf(text.slice(at + 1)))])
  }
  if (states.size < 2)
    throw new GapcamError('USAGE', `one state cannot be told from anything: ${[...states.keys()].join()}`, {
      hint: 'Give --state at least twice, with pictures of each state.',
    })
  await checkDuplicates(states)
  return new Map([...states].map(([label, files]) => [label, evenly(files)]))
}

function checkLabel(text: string, label: string): void {
  const isControl = [...label].some((character) => character.charCodeAt(0) < 32)
  if (label === '' || label.length > 64 || isControl || label === unknownLabel)
    throw new GapcamError('USAGE', `--state: expected LABEL=DIR but received ${JSON.stringify(text)}`, {
      hint: `A label has 1 to 64 characters, no control characters, and is not ${unknownLabel}.`,
    })
}

async function picturesOf(folder: string): Promise<readonly string[]> {
  const files = await picturesIn(folder).catch((error: unknown) => {
    throw new GapcamError('PICTURE_INVALID', `${folder}: ${fileFaultOf(error)}`)
  })
  if (files.length === 0) throw new GapcamError('PICTURE_INVALID', `${folder}: there are no pictures`)
  return files
}

/** The same picture under two states is a mistake that nothing later would find. */
async function checkDuplicates(states: ReadonlyMap<string, readonly string[]>): Promise<void> {
  const known = new Map<string, { readonly label: string; readonly file: string }>()
  for (const [label, files] of states)
    for (const file of files) {
      const bytes = await readFile(file).catch(() => null) // teaching tells of it
      if (!bytes) continue
      const digest = createHash('sha256').update(bytes).digest('hex')
      const other = known.get(digest)
      if (other && other.label !== label)
        throw new GapcamError('USAGE', `${file} and ${other.file} are the same picture under two states`, {
          hint: 'Remove it from one of the folders.',
        })
      known.set(digest, { label, file })
    }
}

const evenly = (files: readonly string[]): readonly string[] =>
  files.length <= mostPictures
    ? files
    : Array.from({ length: mostPictures }, (_, i) => files[Math.floor((i * files.length) / mostPictures)]!)

async function write(output: string, bytes: Uint8Array): Promise<void> {
  try {
    await makeFolder(join(output, '..'))
    await writeFile(output, bytes)
  } catch (error) {
    throw new GapcamError('USAGE', `${output} cannot be written: ${writeFaultOf(error)}`)
  }
}

function asJson(name: string, output: string, { report, files, head }: Taught): Record<string, unknown> {
  return {
    name,
    output,
    ...report,
    doubts: report.doubts.map(({ picture, ...doubt }) => ({ file: files[picture], ...doubt })),
    novelty: head.limits,
  }
}

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`

function print(output: string, { report, files, head }: Taught): void {
  const { pictures, accuracy, interval, confusion, weakest, doubts } = report
  writeTable([
    ['state', 'pictures', 'right when left out'],
    ...Object.entries(pictures).map(([state, number]) => [state, number, confusion[state]?.[state] ?? '-']),
  ])
  const lines = [
    accuracy === null || interval === null
      ? 'Teach at least two pictures of each state: with one, nothing tells how good the model is.'
      : `${percent(accuracy)} of the pictures are right when left out (95 % interval ${percent(interval[0])} to ${percent(interval[1])})`,
    ...(weakest === null ? [] : [`more pictures of ${weakest} would help most`]),
    ...doubts.map(
      ({ picture, taught, called, score }) =>
        `${files[picture]}: taught as ${taught}, looks like ${called} (${percent(score)}); check its state`,
    ),
    head.limits
      ? `${unknownLabel} beyond a distance of ${head.limits.distance.toFixed(3)}`
      : `no picture is called ${unknownLabel} yet: that needs two pictures of each state`,
    `${output}: ready for gapcam classify --model and for a camera`,
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
