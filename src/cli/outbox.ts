/** `gapcam outbox status|list|drain|clear`: shows or handles the events that wait for the broker, even while gapcam runs. */
import type { Command } from 'commander'
import { systemClock } from '../clock.js'
import { outboxOptions } from '../config/outbox.js'
import type { Config } from '../config/schema.js'
import { GapcamError } from '../errors.js'
import { createLogger } from '../log.js'
import { acknowledging, entryMessages } from '../publish/entries.js'
import { createLink } from '../publish/link.js'
import { openDurableOutbox } from '../publish/outbox/durable.js'
import { ask } from '../publish/outbox/lock.js'
import { peek } from '../publish/outbox/peek.js'
import { createSender } from '../publish/sender.js'
import { createTopics } from '../publish/topics.js'
import { connectionOf } from '../run/connection.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { untilSignal, type Stop } from './signals.js'

const sharedFlags = ['node', 'mqtt.broker', 'json', 'logLevel']

/** Registers the command. */
export function outboxCommand(program: Command): void {
  const outbox = program.command('outbox').description('show or handle the events that wait for the broker')
  const add = (
    name: string,
    description: string,
    action: (config: Config, values: FlagValues) => Promise<void>,
  ): Command =>
    addFlags(outbox.command(name).description(description), sharedFlags).action((values: FlagValues) =>
      action(configFrom(values).config, values),
    )
  add('status', 'print how many events wait, and how much disk space they take', status)
  add('list', 'print the events that wait, oldest first, one JSON object per line', list).option(
    '--limit <n>',
    'maximum number of events',
  )
  add('drain', 'send all events that wait, or wait until the running gapcam has sent them', drain)
  add('clear', 'discard all events that wait; numbering goes on', clear)
}

async function status(config: Config): Promise<void> {
  const { folder } = outboxOptions(config)
  let shown: Record<string, unknown> | null = null
  if (
    !(await ask(folder, { command: 'status' }, (line) => {
      shown = line as Record<string, unknown>
    }))
  ) {
    const snapshot = await peek(folder)
    shown = snapshot && {
      state: 'ok',
      queued: snapshot.queued,
      bytes: snapshot.bytes,
      seq: snapshot.seq,
      lost: snapshot.ledger.lost,
      boots: snapshot.ledger.boots.length,
    }
  }
  const fields = { folder, ...(shown ?? { state: 'none', queued: 0 }) }
  if (wantsJson(config.json)) writeJson(fields)
  else writeTable(Object.entries(fields).map(([name, value]) => [name, String(value)]))
}

async function list(config: Config, values: FlagValues): Promise<void> {
  const { folder } = outboxOptions(config)
  const limit = values['limit'] === undefined ? Infinity : Number(values['limit'])
  if (!(limit >= 0)) throw new GapcamError('USAGE', `--limit: ${String(values['limit'])} is not a number of 0 or more`)
  await ask(folder, { command: 'save' }, () => undefined)
  const snapshot = await peek(folder)
  for (const { from, to, missing } of snapshot?.ledger.gaps ?? []) writeJson({ event_type: 'gap', from, to, missing })
  let count = 0
  for await (const { camera, payload } of snapshot?.events() ?? []) {
    if (count++ >= limit) break
    writeJson({ camera, ...(JSON.parse(payload) as object) })
  }
}

async function clear(config: Config): Promise<void> {
  const { folder } = outboxOptions(config)
  let cleared: number | null = null
  if (
    !(await ask(folder, { command: 'clear' }, (line) => {
      ;({ cleared } = line as { cleared: number })
    }))
  ) {
    const outbox = await openDurableOutbox({
      ...outboxOptions(config),
      log: createLogger(config.logLevel),
      clock: systemClock,
    })
    try {
      requireDisk(outbox.stats())
      cleared = await outbox.clear()
    } finally {
      await outbox.close()
    }
  }
  process.stderr.write(`${cleared ?? 0} events discarded\n`)
}

function requireDisk({ state, reason }: { readonly state: string; readonly reason?: string | undefined }): void {
  if (state !== 'ok') throw new GapcamError('OUTBOX_UNUSABLE', `the outbox cannot be used: ${reason ?? state}`)
}

async function drain(config: Config): Promise<void> {
  const tell = ({ queued }: { readonly queued: number }): void => {
    process.stderr.write(`${queued} events wait\n`)
  }
  if (await ask(outboxOptions(config).folder, { command: 'drain' }, (line) => tell(line as { queued: number }))) return
  await untilSignal((stop) => drainAlone(config, stop))
}

/** Sends the backlog from this process, because no gapcam runs. */
async function drainAlone(config: Config, stop: Stop): Promise<void> {
  const connect = config.mqtt.broker === 'embedded' ? null : connectionOf(config)
  if (!connect)
    throw new GapcamError(
      'USAGE',
      `the events cannot be sent: mqtt.broker is ${config.mqtt.broker}, and no gapcam is running`,
      { hint: 'Name the broker with --broker.' },
    )
  const log = createLogger(config.logLevel)
  const outbox = await openDurableOutbox({ ...outboxOptions(config), log, clock: systemClock })
  const { node, mqtt } = config
  const topics = createTopics(mqtt.base, node)
  const stamp = { boot: outbox.boot, isClockSynced: false }
  const sender = createSender({
    outbox,
    log,
    clock: systemClock,
    messageOf: entryMessages(topics, config.cameras[0]?.id ?? 'cam0', () => ({ ...stamp, wallMs: systemClock.wall() })),
  })
  const acks = acknowledging(topics, outbox, log)
  const link = createLink({
    connect,
    clientId: connect.clientId ?? `gapcam-${node}`,
    will: { ...topics.node('nodeStatus'), payload: 'offline' },
    log,
    clock: systemClock,
    onUp: (connection) => sender.attach(connection),
    onDown: () => sender.detach(),
    subscriptions: acks.subscriptions,
    onMessage: acks.take,
  })
  try {
    requireDisk(outbox.stats())
    outbox.listen({ onReady: () => sender.pump(), onNumbered: () => undefined })
    const { queued } = outbox.stats()
    link.start()
    while (outbox.stats().queued > 0 && !stop.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 50))
    process.stderr.write(`${queued - outbox.stats().queued} events sent, ${outbox.stats().queued} wait\n`)
  } finally {
    await link.close(() => sender.drained(), 2000)
    await outbox.close()
  }
}
