/** `gapcam teach`: a classifier for a user's own states from folders of pictures, and the heads that were taught before. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { modelOptions } from '../config/model.js'
import type { Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import { unknownLabel } from '../decision/decision.js'
import type { NoveltyLimits } from '../decision/novelty.js'
import { GapcamError } from '../errors.js'
import { readHead } from '../teach/head-file.js'
import { nameFault } from '../teach/names.js'
import type { KeptLesson } from '../teach/record.js'
import type { Report } from '../teach/report.js'
import { openTaughtHead, type TaughtHead } from '../teach/taught-head.js'
import { teach } from '../teach/teach.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { askNode } from './node-request.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { startProgressBar } from './progress-bar.js'
import { exportedIn, picturesOf, statesOf, writeOutput, type StateFiles } from './teach-folders.js'
import * as heads from './teach-heads.js'

const ownFlags = ['model', 'inputSize', 'threads', 'json', 'logLevel', 'node']
const nameText = 'name of the taught head: letters, digits, - and _'
const stateText = 'a state and a folder with its pictures or clips; give two or more'
const noneText = 'pictures that are none of the states and must be called unknown'
const zoneText = 'let the head answer for this zone of the running node: camera/zone, or a camera'

/** Registers the command. */
export function teachCommand(program: Command): void {
  const command = program
    .command('teach')
    .description('teach a model your own states from folders of pictures or clips')
    .argument('<name>', nameText)
  const taught = (made: Command): Command =>
    addFlags(made.option('--state <label=dir>', stateText, collect), [...ownFlags, 'mqtt.broker'])
      .option('--none <dir>', noneText)
      .option('-o, --output <file>', 'write one ONNX file; default: keep the head in the state directory')
      .option('--zone <zone>', zoneText)
      .action(teachNamed)
  taught(command)
  taught(
    command
      .command('fit')
      .description('the same; without --state fit the kept pictures again')
      .argument('<name>', nameText),
  )
  headCommands(command)
}

/** Flags that `gapcam teach` has too are read by it, whatever follows: the values of both are wanted. */
const valuesOf = (command: Command): FlagValues => command.optsWithGlobals<FlagValues>()

function headCommands(command: Command): void {
  const add = (name: string, description: string): Command =>
    addFlags(command.command(name).description(description), [...ownFlags, 'mqtt.broker'])
  const named = (name: string, description: string): Command => add(name, description).argument('<name>', nameText)
  add('list', 'list the heads that were taught').action((_: FlagValues, own: Command) =>
    heads.listHeads(configFrom(valuesOf(own)).config),
  )
  named('test', 'try a head on pictures whose states are known')
    .option('--state <label=dir>', stateText, collect)
    .option('--none <dir>', noneText)
    .action(async (name: string, _: FlagValues, own: Command) => {
      const values = valuesOf(own)
      const given = { states: await statesOf(givenStates(values)), none: await noneOf(values) }
      await heads.testHead(configFrom(values).config, name, given, tell)
    })
  named('undo', 'take the last change back; the head before serves')
    .option('--zone <zone>', zoneText)
    .action(async (name: string, _: FlagValues, own: Command) => {
      const values = valuesOf(own)
      const { config } = configFrom(values)
      await heads.undoHead(config, name)
      await tellNode(config, name, values)
    })
  named('export', 'write a head as FILE.onnx, as FILE.zip with its pictures, or into a folder')
    .option('-o, --output <file>', 'FILE.onnx, FILE.zip or a folder; default NAME.onnx')
    .action(async (name: string, _: FlagValues, own: Command) => {
      const values = valuesOf(own)
      const output = (values['output'] as string | undefined) ?? `${name}.onnx`
      await heads.exportHead(configFrom(values).config, name, output)
    })
  named('import', 'teach the pictures of an exported folder')
    .argument('<folder>', 'a folder with a folder of pictures for each state')
    .option('--zone <zone>', zoneText)
    .action(async (name: string, folder: string, _: FlagValues, own: Command) => {
      const values = valuesOf(own)
      checkName(name)
      await teachKept(name, configFrom(values).config, values, await exportedIn(folder))
    })
  add('novelty', 'write a model that was not taught here with an eye for what is unlike its usual pictures')
    .argument('<folder>', 'ordinary pictures of the camera')
    .option('-o, --output <file>', 'the ONNX file to write')
    .action(async (folder: string, _: FlagValues, own: Command) => {
      const { addNovelty } = await import('./teach-novelty.js')
      const values = valuesOf(own)
      const output = values['output'] as string | undefined
      if (output === undefined) throw new GapcamError('USAGE', 'the model needs a file: give -o FILE.onnx')
      await addNovelty(configFrom(values).config, folder, output)
    })
  named('remove', 'remove a head with all its pictures').action(async (name: string, _: FlagValues, own: Command) => {
    await heads.removeKnown(configFrom(valuesOf(own)).config, name)
  })
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

const givenStates = (values: FlagValues): readonly string[] =>
  (values['state'] as unknown as readonly string[] | undefined) ?? []

interface Given {
  /** Null: the pictures that are kept. */
  readonly states: StateFiles | null
  readonly none: readonly string[]
}

function checkName(name: string): void {
  const fault = nameFault(name)
  if (fault !== null)
    throw new GapcamError('USAGE', `${name} cannot be the name of a taught model`, { hint: `${fault}.` })
}

const noneOf = async (values: FlagValues): Promise<readonly string[]> =>
  values['none'] === undefined ? [] : picturesOf(values['none'] as string)

async function teachNamed(name: string, _: FlagValues, command: Command): Promise<void> {
  const values = valuesOf(command)
  checkName(name)
  const { config } = configFrom(values)
  const isAgain = command.name() === 'fit' && givenStates(values).length === 0
  const states = isAgain ? null : await statesOf(givenStates(values))
  const none = await noneOf(values)
  const output = values['output'] as string | undefined
  if (output !== undefined && states && values['zone'] !== undefined)
    throw new GapcamError('USAGE', '--zone needs a head that is kept, and -o keeps none', {
      hint: `Leave -o out; gapcam teach export ${name} -o ${output} writes the file then.`,
    })
  if (output !== undefined && states) await teachFile(name, config, { states, none, output })
  else await teachKept(name, config, values, { states, none })
}

/** Folders to one ONNX file; nothing is kept. */
async function teachFile(
  name: string,
  config: Config,
  { states, none, output }: { readonly states: StateFiles; readonly none: readonly string[]; readonly output: string },
): Promise<void> {
  const { model, threads, inputSize } = modelOptions(config)
  const progress = startProgressBar('pictures', [...states.values()].flat().length)
  const taught = await teach({
    model,
    states,
    none,
    engine: { threads, inputSize },
    read: heads.readTaught,
    onPicture: (done) => progress.update(done),
    onBroken: tell,
  }).finally(() => progress.stop())
  await writeOutput(output, taught.bytes)
  const doubts = taught.report.doubts.map(({ picture, ...doubt }) => ({ file: taught.files[picture]!, ...doubt }))
  report(config, { name, output, report: taught.report, noun: taught.noun, doubts, novelty: taught.head.limits })
}

/** Keeps the pictures and the head in the state directory. */
async function teachKept(name: string, config: Config, values: FlagValues, { states, none }: Given): Promise<void> {
  const head = states ? await openTaughtHead(stateDirectory(config), name) : await heads.knownHead(config, name)
  const output = values['output'] as string | undefined
  const { lesson, novelty, file } = await heads.withTeacher(config, async (teacher) => {
    if (states) await heads.replacePictures(head, { states, none, clip: teacher.clip }, tell)
    const progress = startProgressBar('pictures', head.record.pictures.length)
    const fitted = await head.fit(teacher, (done) => progress.update(done)).finally(() => progress.stop())
    const written = await heads.writeModel(config, head, teacher)
    if (output !== undefined) await writeOutput(output, await head.exported(teacher))
    const { limits } = (await readHead(head.store.headFile(fitted.head), teacher.parts)).head
    return { lesson: fitted, novelty: limits, file: output ?? written }
  })
  report(config, { name, output: file, novelty, ...keptReport(head, lesson) })
  await tellNode(config, name, values)
}

function keptReport(
  head: TaughtHead,
  { report: kept, model }: KeptLesson,
): Omit<Reported, 'name' | 'output' | 'novelty'> {
  const doubts = kept.doubts.map(({ id, ...doubt }) => ({ file: join(head.store.folder, 'pictures', id), ...doubt }))
  return { report: { ...kept, doubts: [] }, noun: model.clip ? 'clips' : 'pictures', doubts }
}

/** A running node lets the head answer for a zone. */
async function tellNode(config: Config, name: string, values: FlagValues): Promise<void> {
  const zone = values['zone'] as string | undefined
  if (zone === undefined) return
  await askNode(config, 'teach_fit', { zone, head: name })
  process.stderr.write(`zone ${zone} of node ${config.node} uses head ${name} now\n`)
}

const tell = ({ message }: GapcamError): void => void process.stderr.write(`${message}\n`)

interface Reported {
  readonly name: string
  readonly output: string
  readonly report: Report
  readonly noun: 'pictures' | 'clips'
  readonly doubts: readonly {
    readonly file: string
    readonly taught: string
    readonly called: string
    readonly score: number
  }[]
  /** Limits of what is known; null where a state has one picture. */
  readonly novelty: NoveltyLimits | null
}

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`

function report(config: Config, reported: Reported): void {
  const { name, output, report: told, noun, doubts, novelty } = reported
  if (wantsJson(config.json)) return writeJson({ name, output, ...told, doubts, novelty })
  const { pictures, accuracy, interval, confusion, advice } = told
  writeTable([
    ['state', noun, 'right when left out'],
    ...Object.entries(pictures).map(([state, number]) => [state, number, confusion[state]?.[state] ?? '-']),
  ])
  const lines = [
    accuracy === null || interval === null
      ? `Teach at least two ${noun} of each state: with one, nothing tells how good the model is.`
      : `${percent(accuracy)} of the ${noun} are right when left out (95 % interval ${percent(interval[0])} to ${percent(interval[1])})`,
    advice,
    ...doubts.map(
      ({ file, taught, called, score }) =>
        `${file}: taught as ${taught}, looks like ${called} (${percent(score)}); check its state`,
    ),
    novelty === null
      ? `nothing is called ${unknownLabel} yet: that needs two ${noun} of each state`
      : `what is like none of these ${noun} is ${unknownLabel}`,
    `${output}: ready for gapcam classify --model and for a camera`,
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
