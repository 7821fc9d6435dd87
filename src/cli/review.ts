/** `gapcam review`: pictures that are worth a label, exported to folders named by label, imported from such folders, and forgotten. */
import type { Command } from 'commander'
import type { Moved } from '../collector/review.js'
import { GapcamError } from '../errors.js'
import { openReview } from '../run/teaching/reviewing.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson, writeTable } from './output.js'

/** Registers the command. */
export function reviewCommand(program: Command): void {
  const command = program
    .command('review')
    .description('list, export, import and forget pictures that are worth a label')
  addFlags(command.command('list', { isDefault: true }).description('how many pictures there are, by label'), [
    'node',
    'json',
  ]).action(list)
  addFlags(
    command
      .command('export')
      .description('copy labelled pictures to FOLDER/LABEL/')
      .argument('<folder>', 'folder to write to'),
    ['node', 'json'],
  ).action((folder: string, values: FlagValues) => move(values, (review) => review.export(folder), 'exported'))
  addFlags(
    command.command('import').description('take in pictures from FOLDER/LABEL/').argument('<folder>', 'folder to read'),
    ['node', 'json'],
  ).action((folder: string, values: FlagValues) => move(values, (review) => review.import(folder), 'imported'))
  addFlags(
    command
      .command('forget')
      .description('delete all pictures for review')
      .option('--label <label>', 'only those with this label'),
    ['node', 'json'],
  ).action(forget)
}

type Open = ReturnType<typeof openReview>

async function list(values: FlagValues): Promise<void> {
  const { config } = configFrom(values)
  const { review, store } = openReview(config)
  const kept = await review.list()
  const counts = new Map<string | null, number>()
  for (const { label } of kept) counts.set(label, (counts.get(label) ?? 0) + 1)
  const bytes = await store.bytes()
  if (wantsJson(config.json)) {
    const { null: without = 0, ...labels } = Object.fromEntries([...counts].map(([label, n]) => [String(label), n]))
    return writeJson({ folder: store.folder, pictures: kept.length, without, labels, bytes, maxBytes: store.maxBytes })
  }
  writeTable([
    ['label', 'pictures'],
    ...[...counts].map(([label, count]) => [label ?? '(none yet)', count] as const),
    ['all', kept.length],
  ])
  process.stdout.write(`${store.folder}: ${(bytes / 1e6).toFixed(1)} of ${(store.maxBytes / 1e6).toFixed(1)} MB\n`)
}

async function move(values: FlagValues, act: (review: Open['review']) => Promise<Moved>, verb: string): Promise<void> {
  const { config } = configFrom(values)
  const moved = await act(openReview(config).review)
  for (const file of moved.broken) process.stderr.write(`${file}: it is no picture that can be read; left out\n`)
  if (moved.broken.length > 0) process.exitCode = 3
  if (wantsJson(config.json)) writeJson({ ...moved })
  else process.stdout.write(`${moved.pictures} pictures of ${moved.labels} labels ${verb}\n`)
}

async function forget(values: FlagValues): Promise<void> {
  const { config } = configFrom(values)
  const { review } = openReview(config)
  const wanted = values['label'] as string | undefined
  const names = (await review.list())
    .filter(({ label }) => wanted === undefined || label === wanted)
    .map(({ name }) => name)
  if (wanted !== undefined && names.length === 0)
    throw new GapcamError('USAGE', `--label: no picture has the label ${wanted}`, {
      hint: 'gapcam review lists the labels.',
    })
  await review.discard(names)
  if (wantsJson(config.json)) writeJson({ forgotten: names.length })
  else process.stdout.write(`${names.length} pictures forgotten\n`)
}
