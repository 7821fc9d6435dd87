/** The acting half of `gapcam fleet`: a rollout with its record on disk, its pause, and the way back. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { readBundleHead } from '../bundle/archive.js'
import type { Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import { exitStatus, fileFaultOf, GapcamError } from '../errors.js'
import { recordSchema, resumed, type RolloutRecord, type Target } from '../fleet/record.js'
import { countsOf, tick, type GroupCount, type RolloutOptions, type Verdict } from '../fleet/rollout.js'
import type { FleetSession } from '../fleet/session.js'
import { writeWhole } from '../state-file.js'
import { writeJson, writeTable } from './output.js'

/** The rollout of this machine's user. */
export interface FleetRecord {
  readonly value: RolloutRecord
  /** Begins a rollout, or goes on with the one on disk. Throws USAGE where neither is possible. */
  begin(wanted: {
    readonly target: Target | null
    readonly groups: readonly string[]
    readonly isRetrying: boolean
  }): void
  /** Resolves when it is on disk. */
  keep(value: RolloutRecord): Promise<void>
  takePause(): boolean
}

const folderOf = (config: Config): string => join(stateDirectory(config), 'fleet')

/** Opens the record. Throws USAGE for one that cannot be read. */
export function openRecord(config: Config): FleetRecord {
  const folder = folderOf(config)
  const file = join(folder, 'rollout.json')
  const paused = join(folder, 'paused')
  let value = read(file)
  return {
    get value() {
      if (!value) throw new GapcamError('USAGE', 'there is no rollout yet: name a bundle and a group')
      return value
    },
    begin({ target, groups, isRetrying }) {
      rmSync(paused, { force: true })
      const isSame = value !== null && (target === null || target.digest === value.target.digest)
      if (value?.outcome === 'unfinished' && !isSame)
        throw new GapcamError(
          'USAGE',
          `the rollout of ${value.target.name} ${value.target.version} is not finished: go on with it, or remove ${file}`,
        )
      if (isSame && value)
        value = resumed({ ...value, groups: groups.length > 0 ? [...groups] : value.groups }, isRetrying)
      else {
        if (target === null || groups.length === 0)
          throw new GapcamError('USAGE', 'a rollout needs a bundle and --group NAME')
        value = { version: 1, target, groups: [...groups], nodes: {}, outcome: 'unfinished' }
      }
    },
    async keep(next) {
      value = next
      await writeWhole(file, `${JSON.stringify(next)}\n`)
    },
    takePause() {
      const isPaused = existsSync(paused)
      rmSync(paused, { force: true })
      return isPaused
    },
  }
}

function read(file: string): RolloutRecord | null {
  try {
    return recordSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new GapcamError('USAGE', `${file} cannot be read: ${fileFaultOf(error)}; remove it to begin anew`)
  }
}

/** What a bundle file is. */
export async function targetOf(file: string): Promise<Target> {
  const { manifest, digest } = await readBundleHead(file)
  return { name: manifest.name, version: manifest.version, digest }
}

/** Asks a rollout to stop after what is under way. */
export function pauseRollout(config: Config): void {
  const folder = folderOf(config)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'paused'), '')
  process.stderr.write('the rollout stops after what is under way; gapcam fleet rollout --yes goes on\n')
}

interface RollOut {
  readonly session: FleetSession
  readonly record: FleetRecord
  readonly options: RolloutOptions
  readonly signal: AbortSignal
  readonly isJson: boolean
}

const tickMs = 250

/** Acts until the rollout is done, stops, is paused, or the signal comes. The exit status is 4 where it stops. */
export async function rollOut({ session, record, options, signal, isJson }: RollOut): Promise<void> {
  const show = isJson ? lines() : table()
  let verdict: Verdict = { kind: 'going' }
  let isPaused = false
  for (
    ;
    verdict.kind === 'going' && !signal.aborted;
    await wait(tickMs, undefined, { signal }).catch(() => undefined)
  ) {
    if (!session.isConnected()) continue
    const nodes = session.census.nodes()
    isPaused ||= record.takePause()
    const now = { ...options, parallel: isPaused ? 0 : options.parallel }
    const { orders, ...next } = tick(record.value, nodes, (node) => session.orders.answerOf(node), Date.now(), now)
    // On disk before it is said: after a kill an order is given again, which does no harm.
    if (JSON.stringify(next.record) !== JSON.stringify(record.value)) await record.keep(next.record)
    const { name, digest } = next.record.target
    for (const { node, kind } of orders)
      session.orders.send(node, kind, kind === 'model_install' ? { name, digest } : { name })
    verdict = next.verdict
    const counts = countsOf(next.record, nodes)
    show(counts, next.record)
    if (isPaused && counts.every(({ busy }) => busy === 0)) break
  }
  const repeats = [...session.orders.repeating]
  if (repeats.length > 0)
    process.stderr.write(`these nodes answered one order twice, which counts once: ${repeats.join(', ')}\n`)
  if (verdict.kind === 'stopped') {
    process.stderr.write(`the rollout stops. ${verdict.sentence}\n`)
    for (const [id, { state, reason }] of Object.entries(record.value.nodes))
      if (state === 'failed') process.stderr.write(`  ${id}: ${reason}\n`)
    process.exitCode = exitStatus.model
  } else if (verdict.kind === 'done') process.stderr.write('the rollout is done\n')
  else process.stderr.write('the rollout waits; gapcam fleet rollout --yes goes on\n')
}

type Show = (counts: readonly GroupCount[], record: RolloutRecord) => void

/** A line for each node that moved on. */
function lines(): Show {
  let before: RolloutRecord['nodes'] = {}
  return (_, { nodes }) => {
    for (const [node, progress] of Object.entries(nodes)) {
      if (before[node]?.state === progress.state) continue
      const { state, reason } = progress
      writeJson({ node, state, ...(reason === undefined ? {} : { reason }) })
    }
    before = nodes
  }
}

/** A table that is drawn over itself. */
function table(): Show {
  let drawn = 0
  let last = ''
  return (counts) => {
    const now = JSON.stringify(counts)
    if (now === last) return
    last = now
    if (drawn > 0) process.stdout.write(`\u001b[${drawn}A\u001b[J`)
    const rows = counts.map(({ group, nodes, done, busy, failed, offline, waiting }) => [
      ...[group, nodes, done, busy, failed, offline, waiting],
    ])
    writeTable([['group', 'nodes', 'done', 'busy', 'failed', 'offline', 'waiting'], ...rows])
    drawn = rows.length + 1
  }
}

interface RollBack {
  readonly session: FleetSession
  readonly record: FleetRecord
  readonly group: string
  readonly isReal: boolean
  readonly isJson: boolean
  readonly signal: AbortSignal
}

const rollbackMs = 60_000

/** Orders every node of the group that has the bundle back, and waits until it has left it. */
export async function rollBack({ session, record, group, isReal, isJson, signal }: RollBack): Promise<void> {
  const { name, version, digest } = record.value.target
  const having = (): string[] =>
    session.census
      .nodes()
      .filter(({ groups, bundles }) => {
        const bundle = bundles.get(name)
        return groups.includes(group) && (bundle?.installed === digest || bundle?.candidate === digest)
      })
      .map(({ id }) => id)
  const nodes = having()
  if (!isReal) {
    for (const node of nodes) isJson ? writeJson({ node, has: version }) : process.stdout.write(`${node}\n`)
    process.stderr.write(
      `${nodes.length} nodes of ${group} have ${name} ${version}; nothing is changed yet; --yes acts\n`,
    )
    return
  }
  for (const node of nodes) session.orders.send(node, 'model_rollback', { name })
  const endMs = performance.now() + rollbackMs
  const waiting = (): string[] => having().filter((node) => session.orders.answerOf(node)?.isOk !== false)
  while (waiting().length > 0 && performance.now() < endMs && !signal.aborted)
    await wait(tickMs, undefined, { signal }).catch(() => undefined)
  const left = having()
  for (const node of nodes) {
    const answer = session.orders.answerOf(node)
    const error = answer?.isOk === false ? answer.error : 'no answer'
    if (isJson) writeJson({ node, isBack: !left.includes(node), ...(left.includes(node) ? { error } : {}) })
    else if (left.includes(node)) process.stderr.write(`${node}: ${error}\n`)
  }
  process.stderr.write(`${nodes.length - left.length} of ${nodes.length} nodes went back\n`)
  if (left.length > 0) process.exitCode = exitStatus.model
}
