/** `gapcam model install|list|wait|confirm|rollback|remove|shadow`: bundles on this board. A node that runs follows within seconds. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { installBundle } from '../bundle/install.js'
import { confirmed, rolledBack, type Entry, type Slot } from '../bundle/phases.js'
import { builtInName, type BundleStore } from '../bundle/store.js'
import { modelOptions } from '../config/model.js'
import { nearestOf } from '../config/nearest.js'
import { GapcamError } from '../errors.js'
import type { ShadowReport } from '../run/bundles/shadow.js'
import { storeOf, trustOf } from './bundle-store.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { waitOnProbation } from './model-wait.js'
import { wantsJson, writeJson, writeTable } from './output.js'

const shared = ['node', 'json', 'logLevel'] as const

/** Adds the commands to `model`. */
export function addModelInstall(model: Command): void {
  const install = model
    .command('install')
    .description('install a bundle: check it, try its pictures on this board, and let it serve on probation')
    .argument('<bundle>', 'the bundle')
    .option('--shadow', 'let it compute beside the model that serves first; models.shadow makes that the default')
    .option('--no-shadow', 'let it serve at once')
  addFlags(install, ['engine', 'threads', ...shared]).action(installFile)
  const list = model.command('list').description('list the installed bundles')
  addFlags(list, shared).action(listBundles)
  const change = (name: string, description: string, make: Change): void => {
    const command = model
      .command(name)
      .description(description)
      .argument('[name]', 'name of the bundle; default the only one that is installed')
      .option('--digest <digest>', 'only this bundle: nothing is done where another one serves')
    addFlags(command, shared).action((given: string | undefined, values: FlagValues) => apply(given, values, make))
  }
  const wait = model
    .command('wait')
    .description('wait while a bundle serves on probation; fails when it does not serve well, for updaters')
    .argument('[name]', 'name of the bundle; default the only one that is installed')
    .option('--digest <digest>', 'the bundle to wait for; default the one that serves')
    .option('--seconds <seconds>', 'how long it is to serve', '300')
    .option('--start-within <seconds>', 'how long a node has to start with it', '60')
  addFlags(wait, shared).action(waitFor)
  change('confirm', 'let a candidate serve, or end the probation of the bundle that serves', confirmed)
  change('rollback', 'go back to the bundle before', (entry, name) =>
    rolledBack(entry, name, name === builtInName, null),
  )
  change('remove', 'remove a bundle and the one before it', () => null)
  const shadow = model.command('shadow').description('show how a candidate compares with the model that serves')
  addFlags(shadow, shared).action(showShadow)
}

/** What a running node has written of its candidate; it writes once a minute and at its end. */
async function showShadow(values: FlagValues): Promise<void> {
  const { config } = configFrom(values)
  const store = storeOf(config)
  const inShadow = Object.entries(store.entries()).find(([, { phase }]) => phase === 'shadow')
  if (!inShadow)
    throw new GapcamError('BUNDLE_STATE', 'no bundle is in its shadow; gapcam model install --shadow begins one')
  const [name, { other }] = inShadow
  const text = await readFile(join(store.folder, 'shadow.json'), 'utf8').catch(() => null)
  const report = text === null ? null : (JSON.parse(text) as ShadowReport & { readonly digest: string })
  if (report === null || report.digest !== other?.digest)
    throw new GapcamError('BUNDLE_STATE', `${name} ${other?.version} has not been compared yet`, {
      hint: 'A running node compares it: start gapcam run, and wait a minute.',
    })
  if (wantsJson(config.json)) return writeJson({ name, version: other.version, ...report })
  const { compared, agreed, failed, servingMs, candidateMs, drift, changes, objection, elapsedMs } = report
  writeTable([
    ['candidate', `${name} ${other.version}`],
    ['compared', `${compared} pictures in ${Math.round(elapsedMs / 1000)} s, ${failed} failed`],
    ['agreement', compared === 0 ? '-' : `${((agreed / compared) * 100).toFixed(1)} %`],
    ['time', `${candidateMs.toFixed(1)} ms, the serving model ${servingMs.toFixed(1)} ms`],
    ['drift of the score', drift.toFixed(4)],
    ...changes.map(({ from, to, count }) => ['changed', `${from} -> ${to}: ${count}`]),
    ...(objection === null ? [] : [['waits', objection]]),
    ['pictures', join(store.folder, 'shadow')],
  ])
}

async function waitFor(given: string | undefined, values: FlagValues): Promise<void> {
  const { config } = configFrom(values)
  const store = storeOf(config)
  const name = nameAmong(given, store)
  const [seconds, startSeconds] = [secondsOf(values, 'seconds'), secondsOf(values, 'startWithin')]
  const digest = (values['digest'] as string | undefined) ?? store.entries()[name]?.serving?.digest ?? ''
  await waitOnProbation({ name, digest, seconds, startSeconds, entry: () => store.entries()[name] })
  if (wantsJson(config.json)) return writeJson({ name, digest, served: true })
  process.stdout.write(`${name} ${digest.slice(0, 12)} serves well\n`)
}

function secondsOf(values: FlagValues, key: 'seconds' | 'startWithin'): number {
  const seconds = Number(values[key])
  if (seconds >= 0 && seconds <= 86_400) return seconds
  const flag = key === 'seconds' ? '--seconds' : '--start-within'
  throw new GapcamError('USAGE', `${flag} must be from 0 to 86400 and is ${String(values[key])}`)
}

/** What a command makes of an entry. */
type Change = (entry: Entry, name: string) => Entry | null

async function installFile(bundle: string, values: FlagValues): Promise<void> {
  const { config } = configFrom(values)
  const {
    model: _model,
    labels: _labels,
    inputSize: _size,
    resize: _resize,
    ...engine
  } = modelOptions({
    ...config,
    model: '', // It may name the bundle that is to be installed.
  })
  const { manifest, digest, entry, verdict, rehearsal } = await installBundle(bundle, {
    store: storeOf(config),
    trust: trustOf(config),
    origin: 'local',
    isShadow: (values['shadow'] as boolean | undefined) ?? config.models.shadow !== undefined,
    engine,
  })
  if (verdict.warning !== null) process.stderr.write(`warning: ${verdict.warning}\n`)
  const { name, version } = manifest
  const { pictures, engine: used } = rehearsal
  if (wantsJson(config.json)) return writeJson({ name, version, digest, phase: entry.phase, pictures, engine: used })
  process.stdout.write(
    `${name} ${version} is installed: ${pictures} pictures have the expected scores on ${used}; ${phaseSentence(entry, name)}\n`,
  )
}

function phaseSentence({ phase, other }: Entry, name: string): string {
  if (phase === 'shadow') return 'it computes beside the model that serves; gapcam model confirm lets it serve'
  if (phase === 'settled') return 'it serves'
  const goesBackTo = other?.version ?? (name === builtInName ? 'the model that comes with gapcam' : null)
  const before = goesBackTo === null ? '' : `; faults bring ${goesBackTo} back`
  return `it serves on probation${before}; gapcam model confirm ends that`
}

function listBundles(values: FlagValues): void {
  const { config } = configFrom(values)
  const entries = Object.entries(storeOf(config).entries())
  if (wantsJson(config.json)) return writeJson(entries.map(([name, entry]) => ({ name, ...entry })))
  if (entries.length === 0) return void process.stdout.write('no bundle is installed\n')
  const shown = (slot: Slot): string => `${slot.version} ${slot.digest.slice(0, 12)}`
  writeTable([
    ['name', 'phase', 'serves', 'candidate', 'before', 'last fault'],
    ...entries.map(([name, { phase, serving, other, fault }]) => {
      const without = name === builtInName ? 'comes with gapcam' : '-'
      const [candidate, before] = phase === 'shadow' ? [other, null] : [null, other]
      const goesBack = before ? shown(before) : serving && phase !== 'shadow' ? without : '-'
      return [
        name,
        phase,
        serving ? shown(serving) : without,
        candidate ? shown(candidate) : '-',
        goesBack,
        fault ?? '-',
      ]
    }),
  ])
}

async function apply(given: string | undefined, values: FlagValues, change: Change): Promise<void> {
  const { config } = configFrom(values)
  const store = storeOf(config)
  const { name, entry } = await store.alone(async () => {
    const found = nameAmong(given, store)
    const before = store.entries()[found]!
    const next = changed(before, found, change, values['digest'] as string | undefined)
    await store.replace(found, next)
    return { name: found, entry: next }
  })
  if (wantsJson(config.json)) return writeJson({ name, ...entry })
  const now =
    entry === null
      ? 'is removed'
      : `${entry.serving?.version ?? 'that comes with gapcam'}: ${phaseSentence(entry, name)}`
  process.stdout.write(`${name} ${now}\n`)
}

/** With a digest an updater can ask twice: what is done already is no fault, and only that bundle is changed. */
function changed(before: Entry, name: string, change: Change, digest: string | undefined): Entry | null {
  if (digest === undefined) return change(before, name)
  const meant = before.phase === 'shadow' ? before.other : before.serving
  if (change !== confirmed) return meant?.digest === digest ? change(before, name) : before
  if (meant?.digest !== digest)
    throw new GapcamError('BUNDLE_STATE', `${name} ${digest.slice(0, 12)} does not serve any more`)
  return before.phase === 'settled' ? before : change(before, name)
}

function nameAmong(given: string | undefined, store: BundleStore): string {
  const names = Object.keys(store.entries())
  const [first] = names
  if (first === undefined) throw new GapcamError('BUNDLE_STATE', 'no bundle is installed')
  if (given === undefined && names.length === 1) return first
  if (given !== undefined && names.includes(given)) return given
  const nearest = given === undefined ? null : nearestOf(given, names)
  throw new GapcamError(
    'USAGE',
    given === undefined
      ? `name one of the bundles: ${names.join(', ')}`
      : `there is no bundle ${given}${nearest === null ? '' : `; did you mean ${nearest}?`}`,
  )
}
