/** `gapcam fleet status|rollout|pause|rollback`: looks at all nodes of a broker, and brings groups of them to another bundle. */
import { InvalidArgumentError, type Command } from 'commander'
import { group } from '../config/groups.js'
import type { Config } from '../config/schema.js'
import type { FleetNode } from '../fleet/census.js'
import { allowance, countsOf, stagesOf } from '../fleet/rollout.js'
import { openFleet, type FleetSession } from '../fleet/session.js'
import { GapcamError } from '../errors.js'
import { createLogger } from '../log.js'
import { otherConnection } from '../run/connection.js'
import { openRecord, pauseRollout, rollBack, rollOut, targetOf, type FleetRecord } from './fleet-rollout.js'
import { addFlags, configFrom, positiveFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { untilSignal } from './signals.js'

const sharedFlags = ['mqtt.broker', 'json', 'logLevel']

/** Registers the command. */
export function fleetCommand(program: Command): void {
  const fleet = program.command('fleet').description('look at all nodes of a broker, or roll a bundle out over groups')
  addFlags(fleet.command('status').description('print every node: groups, version, model, bundle'), sharedFlags)
    .option('--group <name>', 'only nodes of this group', groupFrom)
    .action((values: FlagValues) => within(values, (config, session) => status(config, session, values)))
  addFlags(
    fleet
      .command('rollout')
      .description('bring groups to a bundle, one group after the other; shows the plan, and acts with --yes')
      .argument(
        '[bundle]',
        'the bundle; the nodes take it from their models.sources. Default: go on with the last one',
      ),
    sharedFlags,
  )
    .option('--group <name>', 'the first group', groupFrom)
    .option('--then <name>', 'the next group; may be repeated', (text: string, before: string[] = []) => [
      ...before,
      groupFrom(text),
    ])
    .option('--max-failures <n|n%>', 'failures that a group may have before everything stops', '0')
    .option('--min-done <n%>', 'share of a group that must be done before the next one begins', '90%')
    .option('--parallel <n>', 'nodes that are changed at once', '20')
    .option('--watch <seconds>', 'how long a node must serve the bundle before it is confirmed', '300')
    .option('--order-timeout <seconds>', 'how long an order may stay without effect', '300')
    .option('--retry', 'try nodes again that have failed')
    .option('--yes', 'act')
    .action((bundle: string | undefined, values: FlagValues) =>
      within(values, async (config, session, signal) => {
        const record = openRecord(config)
        const target = bundle === undefined ? null : await targetOf(bundle)
        const groups = groupsFrom(values)
        const options = {
          allowed: allowedFrom(values),
          minDone: shareFrom(values),
          parallel: Math.floor(positiveFrom(values, 'parallel', 10_000)),
          watchMs: Number(values['watch']) * 1000,
          orderMs: positiveFrom(values, 'orderTimeout') * 1000,
        }
        record.begin({ target, groups, isRetrying: values['retry'] === true })
        if (values['yes'] !== true) return plan(config, session, record)
        await rollOut({ session, record, options, signal, isJson: wantsJson(config.json) })
      }),
    )
  addFlags(fleet.command('pause').description('let a rollout that runs on this machine stop after what is under way'), [
    'logLevel',
  ]).action((values: FlagValues) => pauseRollout(configFrom(values).config))
  addFlags(
    fleet.command('rollback').description('order nodes of a group that have the bundle of the last rollout back'),
    sharedFlags,
  )
    .requiredOption('--group <name>', 'the group', groupFrom)
    .option('--yes', 'act')
    .action((values: FlagValues) =>
      within(values, (config, session, signal) =>
        rollBack({
          ...{ session, signal, record: openRecord(config), group: String(values['group']) },
          isReal: values['yes'] === true,
          isJson: wantsJson(config.json),
        }),
      ),
    )
}

/** Runs a command on an open session. */
function within(
  values: FlagValues,
  work: (config: Config, session: FleetSession, signal: AbortSignal) => Promise<void> | void,
): Promise<void> {
  return untilSignal(async ({ signal }) => {
    const { config } = configFrom(values)
    const log = createLogger(values['logLevel'] === undefined ? 'warn' : config.logLevel)
    const session = await openFleet(otherConnection(config), config.mqtt.base, log, signal)
    try {
      await work(config, session, signal)
    } finally {
      await session.close()
    }
  })
}

function groupFrom(text: string): string {
  const { error } = group.safeParse(text)
  const message = error?.issues[0]?.message
  if (message !== undefined) throw new InvalidArgumentError(`${message[0]!.toUpperCase()}${message.slice(1)}.`)
  return text
}

function groupsFrom(values: FlagValues): readonly string[] {
  return [values['group'], ...((values['then'] ?? []) as string[])].filter((name) => name !== undefined).map(String)
}

function allowedFrom(values: FlagValues): (size: number) => number {
  const allowed = allowance(String(values['maxFailures']))
  if (!allowed) throw new GapcamError('USAGE', `--max-failures: ${String(values['maxFailures'])} is not like 3 or 1%`)
  return allowed
}

function shareFrom(values: FlagValues): number {
  const share = Number(/^(\d+(?:\.\d+)?)%$/.exec(String(values['minDone']))?.[1] ?? NaN) / 100
  if (!(share >= 0 && share <= 1))
    throw new GapcamError('USAGE', `--min-done: ${String(values['minDone'])} is not a share such as 90%`)
  return share
}

/** A line of `status`. */
function rowOf({ id, groups, isOnline, isTwin, version, model, queued, bundles }: FleetNode): Record<string, unknown> {
  const [[name, bundle] = ['', undefined]] = bundles
  return {
    node: id,
    groups,
    status: isTwin ? 'two devices' : isOnline ? 'online' : 'offline',
    version,
    model,
    bundle: bundle?.installed ? `${name} ${bundle.version}` : '',
    state: bundle?.state ?? '',
    fault: bundle?.fault ?? '',
    queued,
  }
}

function status({ json }: Config, { census }: FleetSession, values: FlagValues): void {
  const nodes = census
    .nodes()
    .filter(({ groups }) => values['group'] === undefined || groups.includes(String(values['group'])))
  const rows = nodes.map(rowOf)
  const names = ['node', 'groups', 'status', 'version', 'model', 'bundle', 'state', 'fault', 'queued']
  if (wantsJson(json)) for (const row of rows) writeJson(row)
  else if (rows.length > 0) writeTable([names, ...rows.map((row) => names.map((name) => String(row[name])))])
  const online = nodes.filter(({ isOnline }) => isOnline).length
  const where = values['group'] === undefined ? 'on this broker' : `in group ${String(values['group'])}`
  process.stderr.write(nodes.length === 0 ? `there is no node ${where}\n` : `${nodes.length} nodes, ${online} online\n`)
}

/** What a rollout would do. */
function plan({ json }: Config, { census }: FleetSession, { value }: FleetRecord): void {
  const nodes = census.nodes()
  const counts = countsOf(value, nodes)
  const { name, version, digest } = value.target
  const has = (group: string): number =>
    stagesOf(value.groups, nodes)
      .get(group)!
      .filter(({ bundles }) => bundles.get(name)?.installed === digest).length
  if (wantsJson(json)) {
    for (const count of counts) writeJson({ plan: true, ...count, installed: has(count.group) })
    return
  }
  writeTable([
    ['group', 'nodes', 'offline', 'have it', 'done', 'failed'],
    ...counts.map(({ group, nodes: all, offline, done, failed }) => [group, all, offline, has(group), done, failed]),
  ])
  process.stderr.write(`${name} ${version} (${digest.slice(0, 12)}): nothing is changed yet; --yes acts\n`)
}
