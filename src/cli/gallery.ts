/** `gapcam gallery`: names with a few pictures each, told by the nearest neighbour: enrol, match, merge, rename, forget, calibrate. */
import { readFile, stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { picturesIn } from '../camera/pictures.js'
import { modelOptions } from '../config/model.js'
import type { Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import { unknownLabel } from '../decision/decision.js'
import { fileFaultOf, GapcamError } from '../errors.js'
import { Gallery } from '../gallery/gallery.js'
import { galleryFault, type GalleryRecord } from '../gallery/record.js'
import { galleriesIn, GalleryStore } from '../gallery/store.js'
import { addFlags, configFrom, positiveFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson, writeTable } from './output.js'

/** Registers the command. */
export function galleryCommand(program: Command): void {
  const command = program
    .command('gallery')
    .description('enrol names with a few pictures each, and tell who or which one it is')
  const sub = (usage: string, description: string): Command =>
    addFlags(command.command(usage).description(description), ['threads', 'node', 'json'])
  sub('enrol <gallery> <name> <pictures...>', 'enrol pictures, or folders of them, under a name')
    .option('--model <file>', "the network of a new gallery; default the node's")
    .action((name: string, person: string, paths: string[], values: FlagValues) =>
      change(name, values, async (gallery) => gallery.enrol(person, await bytesOf(paths))),
    )
  sub('list [gallery]', 'list the galleries, or the names of one').action(list)
  sub('match <gallery> <pictures...>', 'say which name each picture shows').action(match)
  sub('merge <gallery> <from> <into>', 'join two names that are the same').action(
    (name: string, from: string, into: string, values: FlagValues) =>
      change(name, values, (gallery) => gallery.merge(from, into)),
  )
  sub('rename <gallery> <from> <to>', 'give a name another spelling').action(
    (name: string, from: string, to: string, values: FlagValues) =>
      change(name, values, (gallery) => gallery.rename(from, to)),
  )
  sub('forget <gallery> [name]', 'delete a name, or all of a gallery, from this device').action(forget)
  sub('calibrate <gallery>', 'find the threshold again')
    .option('--impostors <dir>', 'pictures that show none of the names')
    .option('--rate <share>', 'share of impostors that may pass')
    .action((name: string, values: FlagValues) =>
      change(name, values, async (gallery) => {
        const folder = values['impostors'] as string | undefined
        const rate = values['rate'] === undefined ? undefined : positiveFrom(values, 'rate', 0.5)
        return gallery.calibrate(folder === undefined ? null : await bytesOf([folder]), rate)
      }),
    )
  sub('export <gallery> <file>', 'write the model with its vectors to a file').action(
    (name: string, file: string, values: FlagValues) => change(name, values, (gallery) => gallery.export(file)),
  )
}

async function opened<T>(
  name: string,
  values: FlagValues,
  use: (gallery: Gallery, config: Config) => Promise<T>,
): Promise<T> {
  const fault = galleryFault(name)
  if (fault !== null) throw new GapcamError('USAGE', `${name} cannot be the name of a gallery: ${fault}`)
  const { config } = configFrom(values)
  const { model, threads } = modelOptions(config)
  const options = { model: (values['model'] as string | undefined) ?? model, engine: { threads } }
  const gallery = new Gallery(stateDirectory(config), name, options)
  try {
    return await use(gallery, config)
  } finally {
    await gallery.close()
  }
}

function change(name: string, values: FlagValues, act: (gallery: Gallery) => Promise<GalleryRecord>): Promise<void> {
  return opened(name, values, async (gallery, config) => {
    const record = await act(gallery)
    if (wantsJson(config.json)) writeJson(asJson(name, record))
    else print(name, record)
  })
}

async function list(name: string | undefined, values: FlagValues): Promise<void> {
  if (name !== undefined) return change(name, values, (gallery) => gallery.record())
  const { config } = configFrom(values)
  const folder = stateDirectory(config)
  const all: { readonly gallery: string; readonly names: number; readonly pictures: number }[] = []
  for (const gallery of await galleriesIn(folder)) {
    const record = await new GalleryStore(folder, gallery).record()
    const pictures = record?.names.reduce((sum, each) => sum + each.pictures.length, 0) ?? 0
    all.push({ gallery, names: record?.names.length ?? 0, pictures })
  }
  if (wantsJson(config.json)) writeJson({ galleries: all })
  else
    writeTable([
      ['gallery', 'names', 'pictures'],
      ...all.map((each) => [each.gallery, each.names, each.pictures] as const),
    ])
}

function match(name: string, paths: readonly string[], values: FlagValues): Promise<void> {
  return opened(name, values, async (gallery, config) => {
    for (const file of await filesOf(paths)) {
      const { is, nearest } = await gallery.match(await readFile(file), file)
      const near = nearest
        .slice(0, 3)
        .map(({ name: each, cosine }) => ({ name: each, cosine: Number(cosine.toFixed(4)) }))
      if (wantsJson(config.json)) writeJson({ file, label: is ?? unknownLabel, nearest: near })
      else {
        const names = near.map(({ name: each, cosine }) => `${each} ${cosine.toFixed(3)}`).join(', ')
        process.stdout.write(`${file}: ${is ?? unknownLabel} (${names})\n`)
      }
    }
  })
}

/** Where pictures of a person may also lie; gapcam cannot tell who is on them. */
const elsewhere =
  'collected, reports and recordings of the state directory may hold pictures too: see docs/galleries.md'

function forget(name: string, person: string | undefined, values: FlagValues): Promise<void> {
  return opened(name, values, async (gallery, config) => {
    const left =
      person === undefined
        ? ((await gallery.store.record().catch(() => null))?.left ?? [])
        : await gallery.forget(person)
    if (person === undefined) await gallery.remove()
    if (wantsJson(config.json)) return writeJson({ gallery: name, forgotten: person ?? null, left, elsewhere })
    const lines = [
      `${person ?? `gallery ${name}`} is deleted from this device: pictures, vectors and models`,
      ...left.map(({ atMs, what }) => `left the device on ${new Date(atMs).toISOString()}: ${what}`),
      elsewhere,
    ]
    process.stdout.write(`${lines.join('\n')}\n`)
  })
}

async function filesOf(paths: readonly string[]): Promise<readonly string[]> {
  const files: string[] = []
  for (const path of paths) {
    const found = await stat(path).catch((error: unknown) => {
      throw new GapcamError('PICTURE_INVALID', `${path}: ${fileFaultOf(error)}`)
    })
    files.push(...(found.isDirectory() ? await picturesIn(path) : [path]))
  }
  if (files.length === 0) throw new GapcamError('PICTURE_INVALID', `${paths.join(', ')}: there are no pictures`)
  return files
}

async function bytesOf(paths: readonly string[]): Promise<readonly Uint8Array[]> {
  const all: Uint8Array[] = []
  for (const file of await filesOf(paths)) all.push(await readFile(file))
  return all
}

function asJson(gallery: string, { names, calibration, left, model }: GalleryRecord): Record<string, unknown> {
  const counts = Object.fromEntries(names.map(({ name, pictures }) => [name, pictures.length]))
  return { gallery, model: model.path, names: counts, calibration, left }
}

function print(gallery: string, { names, calibration }: GalleryRecord): void {
  writeTable([['name', 'pictures'], ...names.map(({ name, pictures }) => [name, pictures.length] as const)])
  if (calibration === null) return
  const { threshold, impostors, accepted, genuine, rejected } = calibration
  const lines = [
    `${unknownLabel} below a cosine of ${threshold.toFixed(3)}`,
    `${accepted} of ${impostors} impostors pass, ${rejected} of ${genuine} pictures of the names do not`,
    `model: ${gallery} makes a zone answer with these names`,
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
