/**
 * `gapcam mqtt test|discover|clear`: tests a broker, prints the messages that announce this node to Home Assistant, or removes
 * everything that this node has left on the broker.
 */
import type { Command } from 'commander'
import { openClassifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import type { Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import { describeDevice } from '../run/device.js'
import { exitStatus, GapcamError } from '../errors.js'
import { createBoardReader } from '../board.js'
import { createLogger } from '../log.js'
import { announce, retainedTopics } from '../publish/announcement.js'
import { openPublishedTopics } from '../publish/published.js'
import type { Incoming } from '../publish/mqtt.js'
import { createTopics, topicTable } from '../publish/topics.js'
import { version } from '../version.js'
import { placesIn } from '../zone/definition.js'
import { otherConnection } from '../run/connection.js'
import { addFlags, camerasFrom, configFrom, type FlagValues } from './flags.js'
import { testBroker } from './mqtt-test.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { visitBroker, untilQuiet } from '../publish/visit.js'
import { untilSignal } from './signals.js'

const brokerFlags = ['mqtt.broker', 'node', 'json', 'logLevel']

/** Registers the command. */
export function mqttCommand(program: Command): void {
  const mqtt = program.command('mqtt').description('test a broker, print what is announced, or remove everything')
  addFlags(
    mqtt
      .command('test')
      .description('connect, send a message on every topic and wait for it; the exit status is 5 if one fails'),
    brokerFlags,
  ).action((values: FlagValues) =>
    untilSignal(async ({ signal }) => {
      const config = configOf(values)
      const checks = await testBroker({ config, connect: otherConnection(config), signal })
      if (wantsJson(config.json)) for (const check of checks) writeJson(check)
      else
        writeTable([
          ['check', 'result', ''],
          ...checks.map(({ check, result, detail }) => [check, result === 'failed' ? 'FAILED' : result, detail]),
        ])
      if (checks.some(({ result }) => result === 'failed')) process.exitCode = exitStatus.broker
    }),
  )
  addFlags(mqtt.command('discover').description('print the messages that announce this node to Home Assistant'), [
    'model',
    'labels',
    'engine',
    ...brokerFlags,
  ]).action((values: FlagValues) => discover(configOf(values)))
  addFlags(
    mqtt.command('clear').description('remove every retained message that this node has left on the broker'),
    brokerFlags,
  )
    .option('--force', 'even while a gapcam of this node is online')
    .action((values: FlagValues) =>
      untilSignal(({ signal }) => clear(configOf(values), values['force'] === true, signal)),
    )
}

/** The configuration as `gapcam run` uses it: with cam0 if no camera is configured. */
function configOf(values: FlagValues): Config {
  const { config } = configFrom(values)
  return { ...config, cameras: [...camerasFrom(config.cameras, undefined, {})] }
}

async function discover(config: Config): Promise<void> {
  const log = createLogger(config.logLevel)
  const classifier = await openClassifier({ ...modelOptions(config), threads: 1, heat: config.heat })
  try {
    const { facts, model } = await describeDevice({
      node: config.node,
      cameras: config.cameras.map(({ id }) => id),
      version,
      classifier,
      board: createBoardReader(),
    })
    // In memory only: this command changes nothing, and earlier runs do not matter.
    const messages = await announce({
      facts,
      model,
      topics: createTopics(config.mqtt.base, config.node),
      prefix: config.homeassistant ? config.homeassistantPrefix : null,
      retainsImages: config.mqtt.retainImages,
      published: openPublishedTopics(null, log),
    })
    for (const { topic, payload } of messages) {
      const content = JSON.parse(String(payload)) as unknown
      if (wantsJson(config.json)) writeJson({ topic, payload: content })
      else process.stdout.write(`${topic}\n${JSON.stringify(content, null, 2)}\n`)
    }
  } finally {
    await classifier.close()
  }
}

/** All retained messages have arrived after this long without another one. */
const quietMs = 1000
const mostMs = 20_000

async function clear(config: Config, isForced: boolean, signal: AbortSignal): Promise<void> {
  const topics = createTopics(config.mqtt.base, config.node)
  const prefix = `${config.homeassistantPrefix}/device/`
  const kept = new Map<string, string>()
  let lastMs = performance.now()
  const take = ({ topic, payload, isRetained }: Incoming): void => {
    if (!isRetained) return
    kept.set(topic, payload.toString('utf8'))
    lastMs = performance.now()
  }
  const connection = await visitBroker({
    connect: otherConnection(config),
    clientId: `gapcam-clear-${process.pid}`,
    onMessage: take,
    signal,
  })
  const published = openPublishedTopics(stateDirectory(config), createLogger(config.logLevel))
  try {
    const refusals = await connection.subscribe([
      { filter: `${topics.root}/#`, qos: 1 },
      { filter: `${prefix}+/config`, qos: 1 },
    ])
    for (const { filter, reason } of refusals)
      process.stderr.write(
        `the broker refuses to show ${filter} (${reason}), so only messages that this machine remembers are removed there\n`,
      )
    lastMs = performance.now()
    await untilQuiet(() => lastMs, quietMs, mostMs)
    if (kept.get(topics.node('nodeStatus').topic) === 'online' && !isForced) {
      throw new GapcamError('USAGE', `a gapcam is online as ${config.node} and would publish everything again`, {
        hint: 'Stop it first, or use --force.',
      })
    }
    const ours = new Set(published.entry.topics)
    for (const [topic, payload] of kept)
      if (isOurTopic(topic, topics.root) || isOurDevice(topic, payload, prefix, config.node)) ours.add(topic)
    for (const topic of retainedTopics(topics, placesIn(config.cameras), true)) ours.add(topic)
    const refused: string[] = []
    for (const topic of ours)
      if ((await connection.publish({ topic, payload: '', qos: 1, isRetained: true })) !== 'sent') refused.push(topic)
    if (refused.length > 0)
      throw new GapcamError('BROKER_REFUSED', `the broker did not accept an empty message on ${refused.join(', ')}`)
    await published.clear()
    const cleared = [...kept.keys()].filter((topic) => ours.has(topic)).sort()
    const others = [...kept.keys()].filter((topic) => topic.startsWith(`${topics.root}/`) && !ours.has(topic)).sort()
    if (wantsJson(config.json)) writeJson({ cleared, others })
    else
      process.stdout.write(
        `${cleared.length === 0 ? 'nothing was retained' : cleared.map((topic) => `cleared  ${topic}`).join('\n')}\n${others.map((topic) => `left     ${topic} (not gapcam's)\n`).join('')}`,
      )
  } finally {
    await published.close()
    await connection.close(1000)
  }
}

/** Whether a topic belongs to this node or to any camera or zone that it may once have had. */
function isOurTopic(topic: string, root: string): boolean {
  const rest = topic.startsWith(`${root}/`) ? topic.slice(root.length + 1) : ''
  return Object.values(topicTable).some(
    (row) =>
      !('isIncoming' in row) &&
      (row.of === 'node'
        ? rest === row.name
        : rest.endsWith(`/${row.name}`) && /^[a-z0-9-]+(\/[a-z0-9-]+)?$/.test(rest.slice(0, -row.name.length - 1))),
  )
}

/** Whether a message is a discovery message of this node or of one of its cameras. */
function isOurDevice(topic: string, payload: string, prefix: string, node: string): boolean {
  if (!topic.startsWith(prefix)) return false
  const id = topic.slice(prefix.length).split('/')[0]!
  if (id !== `gapcam_${node}` && !id.startsWith(`gapcam_${node}_`)) return false
  try {
    return (JSON.parse(payload) as { origin?: { name?: unknown } }).origin?.name === 'gapcam'
  } catch {
    return false
  }
}
