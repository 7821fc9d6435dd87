/** `gapcam watch`: shows the topics of a node, as a table on a terminal, or as one JSON object per message in a pipe. */
import type { Command } from 'commander'
import { setTimeout as wait } from 'node:timers/promises'
import type { Config } from '../config/schema.js'
import { GapcamError, printable } from '../errors.js'
import type { Connection, Incoming } from '../publish/mqtt.js'
import { createTopics } from '../publish/topics.js'
import { otherConnection } from '../run/connection.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson } from './output.js'
import { visitBroker } from '../publish/visit.js'
import { untilSignal, type Stop } from './signals.js'

/** Registers the command. */
export function watchCommand(program: Command): void {
  addFlags(program.command('watch').description('show the messages of a node as they arrive'), [
    'mqtt.broker',
    'node',
    'json',
  ])
    .option('--all', 'show all nodes below the base topic')
    .action(async (values: FlagValues) => {
      const { config } = configFrom(values)
      await untilSignal((stop) => watch(config, values['all'] === true, stop))
    })
}

const drawEveryMs = 250
const retryMs = 1000

async function watch(config: Config, isAll: boolean, stop: Stop): Promise<void> {
  const filter = `${isAll ? config.mqtt.base : createTopics(config.mqtt.base, config.node).root}/#`
  const view = wantsJson(config.json) ? lines() : table(filter)
  const connect = (): Promise<Connection> =>
    visitBroker({
      connect: otherConnection(config),
      clientId: `gapcam-watch-${process.pid}`,
      onMessage: view.take,
      signal: stop.signal,
    })
  const drawing = setInterval(view.draw, drawEveryMs)
  try {
    // A broker that is missing at the start is an error. Later the command waits for it to come back.
    for (
      let connection: Connection | null = await connect();
      !stop.signal.aborted;
      connection = await connect().catch(() => null)
    ) {
      if (connection) await watchUntilLost(connection, filter, stop)
      if (!stop.signal.aborted) await wait(retryMs, undefined, { signal: stop.signal }).catch(() => undefined)
    }
  } finally {
    clearInterval(drawing)
    view.draw()
  }
}

/** Subscribes, and resolves when the connection is lost. */
async function watchUntilLost(connection: Connection, filter: string, stop: Stop): Promise<void> {
  const end = (): void => void connection.close(1000)
  stop.signal.addEventListener('abort', end, { once: true })
  if (stop.signal.aborted) end()
  const [refusal] = await connection.subscribe([{ filter, qos: 1 }])
  if (refusal) {
    await connection.close(1000)
    throw new GapcamError('BROKER_REFUSED', `the broker refuses the subscription to ${filter}: ${refusal.reason}`)
  }
  const { kind, message } = await connection.lost
  stop.signal.removeEventListener('abort', end)
  if (kind !== 'closed') process.stderr.write(`the connection is lost: ${message}; connecting again\n`)
}

interface View {
  readonly take: (message: Incoming) => void
  readonly draw: () => void
}

function lines(): View {
  return {
    take: ({ topic, payload, isRetained }) =>
      writeJson({ ts: new Date().toISOString(), topic, retained: isRetained, ...contentOf(payload) }),
    draw: () => undefined,
  }
}

/** A JSON payload as its value, text as text, other bytes as their number. */
function contentOf(payload: Buffer): Record<string, unknown> {
  const text = payload.toString('utf8')
  if (!Buffer.from(text, 'utf8').equals(payload)) return { bytes: payload.length }
  try {
    return { payload: JSON.parse(text) as unknown }
  } catch {
    return { payload: text }
  }
}

interface Row {
  readonly text: string
  readonly atMs: number
}

/** A table that redraws itself in place. Lines are cut at the width of the terminal. */
function table(filter: string): View {
  const rows = new Map<string, Row>()
  let drawn = 0
  let drawnSecond = 0
  let isChanged = true
  return {
    take({ topic, payload }) {
      const content = contentOf(payload)
      const text = 'bytes' in content ? `${payload.length} bytes` : printable(payload.toString('utf8'))
      rows.set(topic, { text, atMs: performance.now() })
      isChanged = true
    },
    draw() {
      const second = Math.floor(performance.now() / 1000)
      if (!isChanged && (second === drawnSecond || rows.size === 0)) return
      ;[isChanged, drawnSecond] = [false, second]
      // Some terminals report a size of 0.
      const [columns, height] = [process.stdout.columns || 80, process.stdout.rows || 24]
      const width = Math.max(...[...rows.keys()].map((topic) => topic.length), 5)
      const shown = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, height - 2)
      const text = [
        `${'topic'.padEnd(width)}    age  value  (${filter})`,
        ...shown.map(([topic, { text, atMs }]) => `${topic.padEnd(width)}  ${ageOf(atMs).padStart(5)}  ${text}`),
      ]
      const clear = drawn > 0 ? `\u001b[${drawn}A\u001b[J` : ''
      drawn = text.length
      process.stdout.write(`${clear}${text.map((line) => line.slice(0, columns - 1)).join('\n')}\n`)
    },
  }
}

function ageOf(atMs: number): string {
  const seconds = Math.floor((performance.now() - atMs) / 1000)
  return seconds < 60
    ? `${seconds} s`
    : seconds < 3600
      ? `${Math.floor(seconds / 60)} min`
      : `${Math.floor(seconds / 3600)} h`
}
