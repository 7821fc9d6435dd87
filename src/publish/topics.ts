/**
 * Every topic that gapcam publishes or listens to: one row for each, with its QoS and whether it is retained. A new
 * outgoing message is a row here and a function in payloads.ts. In docs/mqtt.md `R` is `<base>/<node>` and `C` is
 * `R/<camera>`; the topics of a configured zone lie below `C/<zone>`.
 */
import { GapcamError } from '../errors.js'

export interface TopicRow {
  /** Of the node, of each camera, of each zone, or of both. A camera's own zone has the camera's topic. */
  readonly of: 'node' | 'camera' | 'zone' | 'both'
  readonly name: string
  readonly qos: 0 | 1
  readonly isRetained: boolean
  /** Other clients publish it, and gapcam listens. */
  readonly isIncoming?: boolean
}

export const topicTable = {
  nodeStatus: { of: 'node', name: 'status', qos: 1, isRetained: true },
  info: { of: 'node', name: 'info', qos: 1, isRetained: true },
  health: { of: 'node', name: 'health', qos: 1, isRetained: true },
  model: { of: 'node', name: 'model', qos: 1, isRetained: true },
  bundle: { of: 'node', name: 'bundle', qos: 1, isRetained: true },
  /** A consumer says here that it has all events up to a number. */
  ack: { of: 'node', name: 'ack', qos: 1, isRetained: false, isIncoming: true },
  /** The topics of commands lie below it. */
  request: { of: 'node', name: 'request', qos: 1, isRetained: false, isIncoming: true },
  response: { of: 'node', name: 'response', qos: 1, isRetained: false },
  cameraStatus: { of: 'camera', name: 'status', qos: 1, isRetained: true },
  label: { of: 'zone', name: 'label', qos: 1, isRetained: true },
  state: { of: 'zone', name: 'state', qos: 1, isRetained: true },
  result: { of: 'zone', name: 'result', qos: 0, isRetained: false },
  event: { of: 'zone', name: 'event', qos: 1, isRetained: false },
  backlog: { of: 'zone', name: 'backlog', qos: 1, isRetained: false },
  image: { of: 'both', name: 'image', qos: 0, isRetained: false },
  heat: { of: 'zone', name: 'heat', qos: 0, isRetained: false },
  /** The labels of a segmenter's places. */
  mask: { of: 'zone', name: 'mask', qos: 0, isRetained: false },
  /** The best picture of a thing that came and went. */
  crop: { of: 'zone', name: 'crop', qos: 0, isRetained: false },
  enabled: { of: 'both', name: 'enabled', qos: 1, isRetained: true },
  threshold: { of: 'zone', name: 'threshold', qos: 1, isRetained: true },
  /** What a zone was taught, and whether it needs teaching. */
  teach: { of: 'zone', name: 'teach', qos: 1, isRetained: true },
  enabledSet: { of: 'both', name: 'enabled/set', qos: 1, isRetained: false, isIncoming: true },
  thresholdSet: { of: 'zone', name: 'threshold/set', qos: 1, isRetained: false, isIncoming: true },
} as const satisfies Record<string, TopicRow>

export type TopicName = keyof typeof topicTable
export type NodeTopic = { [K in TopicName]: (typeof topicTable)[K]['of'] extends 'node' ? K : never }[TopicName]
export type CameraTopic = Exclude<TopicName, NodeTopic>

/** What a node has topics for. */
export interface TopicPlaces {
  /** Ids of the cameras. */
  readonly cameras: readonly string[]
  /** Keys of the zones; a camera's own zone has the camera's id, another one `camera/zone`. */
  readonly zones: readonly string[]
}

/** The places that have a row's topic. */
export function placesOf({ of }: TopicRow, { cameras, zones }: TopicPlaces): readonly string[] {
  if (of === 'node') return []
  if (of === 'both') return [...new Set([...cameras, ...zones])]
  return of === 'camera' ? cameras : zones
}

/** A topic in full, with its row's flags. */
export interface Topic {
  readonly topic: string
  readonly qos: 0 | 1
  readonly isRetained: boolean
}

export interface Topics {
  readonly base: string
  /** Id of the node. */
  readonly id: string
  readonly root: string
  node(name: NodeTopic): Topic
  /** A topic of a camera, or of a zone by its key. */
  camera(name: CameraTopic, place: string): Topic
}

/** Names that a camera cannot have, because `R/<name>` is a topic of the node. */
const nodeNames: ReadonlySet<string> = new Set(
  Object.values(topicTable)
    .filter(({ of }) => of === 'node')
    .map(({ name }) => name),
)

/** Names that a zone cannot have, because `C/<name>` is a topic of the camera. */
const cameraNames: ReadonlySet<string> = new Set(
  Object.values(topicTable)
    .filter(({ of }) => of !== 'node')
    .map(({ name }) => name),
)

/**
 * The topics of one node. Throws CONFIG_INVALID for a base topic or an id that MQTT or Home Assistant would not accept.
 *
 *     createTopics('gapcam', 'dock1').camera('label', 'cam0')
 *     // { topic: 'gapcam/dock1/cam0/label', qos: 1, isRetained: true }
 */
export function createTopics(base: string, node: string): Topics {
  // A wildcard or NUL in a topic name ends the connection [MQTT-3.3.2-2], [MQTT-4.7.3-2]; topics with $ belong to the
  // broker.
  if (!/^[^#+\0$/][^#+\0]*$/.test(base) || base.endsWith('/'))
    throw invalid(`base topic ${JSON.stringify(base)} has #, + or NUL in it, $ at its start or / at an end`)
  const root = `${base}/${checkedId(node, 'node')}`
  return {
    base,
    id: node,
    root,
    node: (name) => ({ ...flagsOf(name), topic: `${root}/${topicTable[name].name}` }),
    camera(name, place) {
      const [camera = '', zone] = place.split(/\/(.*)/s)
      if (nodeNames.has(camera)) throw invalid(`camera id ${camera} is the name of a topic of the node`)
      if (zone !== undefined && cameraNames.has(zone))
        throw invalid(`zone id ${zone} is the name of a topic of the camera`)
      const path = zone === undefined ? '' : `/${checkedId(zone, 'zone')}`
      return { ...flagsOf(name), topic: `${root}/${checkedId(camera, 'camera')}${path}/${topicTable[name].name}` }
    },
  }
}

function flagsOf(name: TopicName): Pick<Topic, 'qos' | 'isRetained'> {
  const { qos, isRetained } = topicTable[name]
  return { qos, isRetained }
}

function checkedId(id: string, name: string): string {
  if (!/^[a-z0-9-]+$/.test(id))
    throw invalid(`${name} id ${JSON.stringify(id)} has other characters than a-z, 0-9 and -`)
  return id
}

function invalid(message: string): GapcamError {
  return new GapcamError('CONFIG_INVALID', message)
}
