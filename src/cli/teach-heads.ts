/** The heads that are kept in the state directory: `gapcam teach test|list|undo|export|import|remove`. */
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Config } from '../config/schema.js'
import { modelOptions } from '../config/model.js'
import { unknownLabel } from '../decision/decision.js'
import { stateDirectory } from '../config/state-directory.js'
import { fileFaultOf, GapcamError, isOfOnePicture, writeFaultOf } from '../errors.js'
import { makeFolder } from '../folder.js'
import { isPicture } from '../camera/pictures.js'
import { keptClip } from '../pixels/clip.js'
import { writeWhole } from '../state-file.js'
import { headFolder, headsIn } from '../teach/names.js'
import { removeHead } from '../teach/store.js'
import { openTaughtHead, type TaughtHead } from '../teach/taught-head.js'
import type { Seen, Shown } from '../teach/looks.js'
import { openTeacher, type Teacher } from '../teach/teacher.js'
import { tryHead } from '../teach/trial.js'
import { zipOf, type ZippedFile } from '../teach/zip.js'
import { ordinaryIn } from '../run/teaching/models.js'
import { readShown } from './clip-files.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { startProgressBar } from './progress-bar.js'
import type { StateFiles } from './teach-folders.js'

/** The state directory of the node, which has its heads. */
const folderOf = (config: Config): string => stateDirectory(config)

/** Opens the network of the configuration, and closes it after the work. */
export async function withTeacher<T>(config: Config, work: (teacher: Teacher) => Promise<T>): Promise<T> {
  const { model, threads, inputSize } = modelOptions(config)
  const teacher = await openTeacher({ model, engine: { threads, inputSize }, ordinary: ordinaryIn(folderOf(config)) })
  try {
    return await work(teacher)
  } finally {
    await teacher.close()
  }
}

/** Opens a head that was taught before. Rejects with USAGE where there is none. */
export async function knownHead(config: Config, name: string): Promise<TaughtHead> {
  const head = await openTaughtHead(folderOf(config), name)
  if (head.record.revision > 0) return head
  const known = await headsIn(folderOf(config))
  throw new GapcamError('USAGE', `there is no taught head ${name}`, {
    hint: known.length === 0 ? 'gapcam teach NAME --state ... teaches one.' : `There are: ${known.join(', ')}.`,
  })
}

/** Pictures and clips of folders, and how the network takes clips; null: it takes pictures. */
interface GivenPictures {
  readonly states: StateFiles
  readonly none: readonly string[]
  readonly clip: Teacher['clip']
}

/** Reads what is taught. A network over clips cannot be taught a picture: rejects with USAGE then. */
export async function readTaught(file: string, clip: Teacher['clip']): Promise<Shown> {
  try {
    return await readShown(file, clip)
  } catch (error) {
    if (!clip || !isPicture(file) || !isOfOnePicture(error)) throw error
    throw new GapcamError('USAGE', error.message, {
      hint: 'Give each clip as a folder of its frames, a recording, a video or an animated picture; see docs/teach.md.',
    })
  }
}

/** Replaces the pictures of a head by those of folders; a file that cannot be read is told and left out. */
export async function replacePictures(
  head: TaughtHead,
  { states, none, clip }: GivenPictures,
  onBroken: (error: GapcamError) => void,
): Promise<void> {
  const given = [...[...states].map(([state, files]) => [state, files] as const), [null, none] as const]
  const pictures: { readonly state: string | null; readonly bytes: Uint8Array }[] = []
  for (const [state, files] of given) {
    let count = 0
    for (const file of files) {
      try {
        const shown = await readTaught(file, clip)
        pictures.push({ state, bytes: 'data' in shown ? await readFile(file) : await keptClip(shown) })
        count++
      } catch (error) {
        if (!isOfOnePicture(error)) throw error
        onBroken(error)
      }
    }
    if (count === 0 && state !== null)
      throw new GapcamError('PICTURE_INVALID', `state ${state}: none of its pictures can be read`)
  }
  await head.replace(pictures)
}

/** Writes the head beside its folder, as one ONNX model that other programs take. */
export async function writeModel(config: Config, head: TaughtHead, teacher: Teacher): Promise<string> {
  const file = `${headFolder(folderOf(config), head.store.name)}.onnx`
  try {
    await writeWhole(file, await head.exported(teacher))
  } catch (error) {
    if (error instanceof GapcamError) throw error
    throw new GapcamError('HEAD_NOT_WRITTEN', `${file} cannot be written: ${writeFaultOf(error)}`)
  }
  return file
}

/** `gapcam teach list`. */
export async function listHeads(config: Config): Promise<void> {
  const heads = await Promise.all((await headsIn(folderOf(config))).map((name) => describe(config, name)))
  if (wantsJson(config.json)) return writeJson(heads)
  if (heads.length === 0) return void process.stdout.write('no head was taught yet\n')
  writeTable([
    ['name', 'states', 'pictures', 'right when left out', 'network'],
    ...heads.map(({ name, states, pictures, accuracy, model, fault }) => [
      name,
      fault ?? states.join(', '),
      pictures,
      accuracy === null ? '-' : `${(accuracy * 100).toFixed(0)} %`,
      model ?? '-',
    ]),
  ])
}

interface Described {
  readonly name: string
  readonly states: readonly string[]
  readonly pictures: number
  readonly accuracy: number | null
  readonly model: string | null
  readonly fault: string | null
}

async function describe(config: Config, name: string): Promise<Described> {
  try {
    const { states, pictures, served } = (await openTaughtHead(folderOf(config), name)).record
    const { accuracy = null } = served?.report ?? {}
    return { name, states, pictures: pictures.length, accuracy, model: served?.model.name ?? null, fault: null }
  } catch (error) {
    if (!(error instanceof GapcamError)) throw error
    return { name, states: [], pictures: 0, accuracy: null, model: null, fault: error.message }
  }
}

/**
 * `gapcam teach test NAME`: what the head calls pictures whose states are known, and those of `none`, which must be unknown.
 * A file that cannot be read is told and left out.
 */
export async function testHead(
  config: Config,
  name: string,
  given: Omit<GivenPictures, 'clip'>,
  onBroken: (error: GapcamError) => void,
): Promise<void> {
  const head = await knownHead(config, name)
  const { served } = head.record
  if (!served) throw new GapcamError('USAGE', `head ${name} has not been fitted yet`)
  const strange = [...given.states.keys()].find((state) => !served.states.includes(state))
  if (strange !== undefined)
    throw new GapcamError('USAGE', `head ${name} has no state ${strange}`, {
      hint: `It has: ${served.states.join(', ')}. Pictures of none of them are given with --none.`,
    })
  const states = new Map([...given.states, ...(given.none.length > 0 ? [[unknownLabel, given.none] as const] : [])])
  const called = new Map<string, Map<string, number>>()
  const progress = startProgressBar('pictures', [...states.values()].flat().length)
  await withTeacher(config, async (teacher) => {
    await head.exported(teacher) // refuses another network with the reason
    let done = 0
    const look = async (file: string): Promise<Seen | null> => {
      try {
        return await teacher.glanceAt(await readTaught(file, teacher.clip))
      } catch (error) {
        if (!isOfOnePicture(error)) throw error
        onBroken(error)
        return null
      } finally {
        progress.update(++done)
      }
    }
    for (const [state, files] of states) {
      const counts = new Map<string, number>()
      called.set(state, counts)
      const seen: Seen[] = []
      for (const file of files) {
        const one = await look(file)
        if (one) seen.push(one)
      }
      if (seen.length === 0)
        throw new GapcamError('PICTURE_INVALID', `state ${state}: none of its pictures can be read`)
      for (const { label } of await tryHead(head.store.headFile(served.head), teacher.parts, seen))
        counts.set(label, (counts.get(label) ?? 0) + 1)
    }
  }).finally(() => progress.stop())
  printTest(config, name, called)
}

function printTest(config: Config, name: string, called: ReadonlyMap<string, ReadonlyMap<string, number>>): void {
  const sum = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((a, b) => a + b, 0)
  const all = [...called.values()].reduce((total, counts) => total + sum(counts), 0)
  const right = [...called].reduce((total, [state, counts]) => total + (counts.get(state) ?? 0), 0)
  const confusion = Object.fromEntries([...called].map(([state, counts]) => [state, Object.fromEntries(counts)]))
  if (wantsJson(config.json)) return writeJson({ name, pictures: all, right, accuracy: right / all, confusion })
  writeTable([
    ['state', 'pictures', 'right', 'called'],
    ...[...called].map(([state, counts]) => [
      state,
      sum(counts),
      counts.get(state) ?? 0,
      [...counts].map(([label, number]) => `${label} ${number}`).join(', '),
    ]),
  ])
  process.stdout.write(`${((right / all) * 100).toFixed(1)} % of ${all} pictures are right\n`)
}

/** `gapcam teach undo NAME`. */
export async function undoHead(config: Config, name: string): Promise<void> {
  const head = await knownHead(config, name)
  await head.undo()
  const { states, pictures } = head.record
  process.stdout.write(`head ${name} is as it was before: ${states.join(', ')}, ${pictures.length} pictures\n`)
}

/** `gapcam teach remove NAME`: the head with all its pictures. */
export async function removeKnown(config: Config, name: string): Promise<void> {
  if (!(await headsIn(folderOf(config))).includes(name)) await knownHead(config, name)
  await removeHead(folderOf(config), name)
  process.stdout.write(`head ${name} and its pictures are removed\n`)
}

/** `gapcam teach export NAME`: as a model, as an archive, or as a folder of pictures and the model. */
export async function exportHead(config: Config, name: string, output: string): Promise<void> {
  const head = await knownHead(config, name)
  const model = await withTeacher(config, (teacher) => head.exported(teacher))
  try {
    if (output.endsWith('.onnx')) await written(output, model)
    else {
      const files: readonly ZippedFile[] = [{ name: `${name}.onnx`, bytes: model }, ...(await head.files())]
      if (output.endsWith('.zip')) await written(output, zipOf(files))
      else for (const file of files) await written(join(output, file.name), file.bytes)
    }
  } catch (error) {
    if (error instanceof GapcamError) throw error
    throw new GapcamError('OUTPUT_NOT_WRITTEN', `${output} cannot be written: ${fileFaultOf(error)}`)
  }
  process.stdout.write(`${output}\n`)
}

async function written(file: string, bytes: Uint8Array): Promise<void> {
  await makeFolder(dirname(file))
  await writeFile(file, bytes)
}
