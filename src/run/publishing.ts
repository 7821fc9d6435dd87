/** The MQTT half of a node: what it announces, the outbox and the publisher, and where incoming messages go. */
import { systemClock } from '../clock.js'
import { outboxOptions } from '../config/outbox.js'
import type { CameraConfig, Config } from '../config/schema.js'
import type { Logger } from '../log.js'
import { birthJitterMs, birthSubscription, createBirthListener, subscribeMs } from '../publish/announcement.js'
import type { EmbeddedBroker } from '../publish/broker.js'
import type { ClockSync } from '../publish/clock-sync.js'
import type { Incoming, Message } from '../publish/mqtt.js'
import { openDurableOutbox } from '../publish/outbox/durable.js'
import { createPublisher, type Publisher } from '../publish/publisher.js'
import type { PublisherOptions } from '../publish/publisher-options.js'
import { openOutputs, type Outputs } from '../outputs/outputs.js'
import { createRequests, requestSubscriptions, type Requests } from '../publish/requests.js'
import type { Topics } from '../publish/topics.js'
import { commandTable, type Commands } from './commands/commands.js'
import { connectionOf } from './connection.js'
import type { Inbox } from './commands/inbox.js'
import { placesIn, type ZonedCamera } from '../zone/definition.js'

export interface PublishingParts {
  readonly config: Config
  readonly cameras: readonly ZonedCamera[]
  readonly broker: EmbeddedBroker | null
  readonly topics: Topics
  readonly clockSync: ClockSync | null
  /** Retained messages that go first on every connection. */
  readonly announcement: readonly Message[]
  /** Takes what comes in; absent: nothing is subscribed to. */
  readonly inbox?: Inbox | undefined
  /** What is published goes to them too, also where no broker is used. */
  readonly outputs: Outputs
  /** For a node that looks only once. */
  readonly once?: PublisherOptions['once']
  readonly log: Logger
}

/** Home Assistant's discovery prefix; null where the node is not announced. */
export function discoveryPrefix({ homeassistant, homeassistantPrefix }: Config): string | null {
  return homeassistant ? homeassistantPrefix : null
}

/** Opens the outputs of the configuration; `gapcam once` has no servers. Rejects with CONFIG_INVALID and PORT_IN_USE. */
export function openNodeOutputs(
  parts: Pick<PublishingParts, 'config' | 'cameras' | 'clockSync' | 'log'>,
  hasServers: boolean,
): Promise<Outputs> {
  const { config, cameras, clockSync, log } = parts
  const isClockSynced = (): boolean => clockSync?.isSynced() ?? false
  return openOutputs({ config, zones: placesIn(cameras).zones, isClockSynced, hasServers, log })
}

/** Opens the outbox and a publisher that owns it, and starts to connect. Rejects with CONFIG_INVALID. */
export async function openPublisher(parts: PublishingParts): Promise<Publisher> {
  const { config, cameras, broker, topics, clockSync, announcement, inbox, outputs, once, log } = parts
  const { mqtt, outbox: outboxConfig, node } = config
  const places = placesIn(cameras)
  const prefix = discoveryPrefix(config)
  const connection = broker ? { url: broker.url, protocol: '3.1.1' as const } : connectionOf(config)
  const isClockSynced = (): boolean => clockSync?.isSynced() ?? false
  const outbox =
    mqtt.broker === 'none'
      ? null
      : await openDurableOutbox({ ...outboxOptions(config), log, clock: systemClock, isClockSynced })
  try {
    const publisher = createPublisher({
      outbox: outbox ?? undefined,
      durableResults: outboxConfig.results,
      isClockSynced,
      first: announcement,
      holdEventsMs: prefix === null ? undefined : subscribeMs(places.zones.length),
      ...(inbox ? incoming(inbox, topics, places.cameras, config.groups, prefix) : {}),
      once,
      broker: connection,
      node,
      ...places,
      baseTopic: mqtt.base,
      stateEveryMs: mqtt.stateEveryMs,
      resultEveryMs: mqtt.resultEveryMs >= 0 ? mqtt.resultEveryMs : undefined,
      log,
    })
    await publisher.start()
    return withOutputs(publisher, outputs)
  } catch (error) {
    await outbox?.close()
    throw error
  }
}

/** A publisher that tells the outputs too. */
function withOutputs(publisher: Publisher, { zones, event, health }: Outputs): Publisher {
  return {
    ...publisher,
    event(zone, type, decision, prediction) {
      publisher.event(zone, type, decision, prediction)
      event(zone, type, decision, prediction)
    },
    settled(zone, decision, prediction) {
      publisher.settled(zone, decision, prediction)
      zones.settled(zone, decision, prediction)
    },
    addZone(key) {
      publisher.addZone(key)
      zones.add(key)
    },
    removeZone(key) {
      publisher.removeZone(key)
      zones.remove(key)
    },
    cameraStatus(camera, status) {
      publisher.cameraStatus(camera, status)
      zones.cameraStatus(camera, status)
    },
    health(fields) {
      const figures = health()
      publisher.health(figures ? { ...fields, outputs: figures } : fields)
    },
  }
}

/** Says everything again, at a random moment, when Home Assistant has started; null where the node is not announced. */
export function openBirth(config: Config, inbox: Inbox, publisher: Publisher): { close(): void } | null {
  const prefix = discoveryPrefix(config)
  if (prefix === null) return null
  const birth = createBirthListener(
    prefix,
    () => publisher.repeat(),
    () => birthJitterMs(config.mqtt.birthJitterS),
  )
  inbox.listen((message) => birth.handle(message))
  return birth
}

/** What to subscribe to, and where it goes. */
function incoming(
  inbox: Inbox,
  topics: Topics,
  cameras: readonly string[],
  groups: readonly string[],
  prefix: string | null,
) {
  return {
    subscriptions: [
      ...requestSubscriptions(topics, cameras, groups),
      ...(prefix === null ? [] : [birthSubscription(prefix)]),
    ],
    onMessage: (message: Incoming): void => inbox.take(message),
  }
}

export interface RequestParts {
  readonly cameras: readonly CameraConfig[]
  readonly topics: Topics
  readonly groups: readonly string[]
  readonly commands: Commands
  readonly publisher: Publisher
  readonly outputs: Outputs
  readonly log: Logger
}

/** The ways of commands from MQTT, and of switches from the outputs' clients, to the one door for commands. */
export function openRequests({ cameras, topics, groups, commands, publisher, outputs, log }: RequestParts): Requests {
  outputs.useSwitch(async (place, value) => {
    const [camera, zone] = place.split('/')
    const { status } = await commands.execute({ kind: 'enabled', camera, zone, value }, 'modbus')
    return status === 'ok'
  })
  return createRequests({
    topics,
    groups,
    cameras: cameras.map(({ id }) => id),
    commands: commandTable,
    execute: (command) => commands.execute(command, 'mqtt'),
    send: publisher.sendNow,
    log,
    clock: systemClock,
  })
}
