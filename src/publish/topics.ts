/**
 * Every topic that gapcam publishes or listens to: one row for each, with its QoS and whether it is retained. A new
 * outgoing message is a row here and a function in payloads.ts. In docs/mqtt.md `R` is `<base>/<node>` and `C` is
 * `R/<camera>`.
 */
import { GapcamError } from '../errors.js'

export interface TopicRow {
  /** Of the node, or of each camera. */
  readonly of: 'node' | 'camera'
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
  /** A consumer says here that it has all events up to a number. */
  ack: { of: 'node', name: 'ack', qos: 1, isRetained: false, isIncoming: true },
  /** The topics of commands lie below it. */
  request: { of: 'node', name: 'request', qos: 1, isRetained: false, isIncoming: true },
  response: { of: 'node', name: 'response', qos: 1, isRetained: false },
  cameraStatus: { of: 'camera', name: 'status', qos: 1, isRetained: true },
  label: { of: 'camera', name: 'label', qos: 1, isRetained: true },
  state: { of: 'camera', name: 'state', qos: 1, isRetained: true },
  result: { of: 'camera', name: 'result', qos: 0, isRetained: false },
  event: { of: 'camera', name: 'event', qos: 1, isRetained: false },
  backlog: { of: 'camera', name: 'backlog', qos: 1, isRetained: false },
  image: { of: 'camera', name: 'image', qos: 0, isRetained: false },
  heat: { of: 'camera', name: 'heat', qos: 0, isRetained: false },
  enabled: { of: 'camera', name: 'enabled', qos: 1, isRetained: true },
  threshold: { of: 'camera', name: 'threshold', qos: 1, isRetained: true },
  enabledSet: { of: 'camera', name: 'enabled/set', qos: 1, isRetained: false, isIncoming: true },
  thresholdSet: { of: 'camera', name: 'threshold/set', qos: 1, isRetained: false, isIncoming: true },
} as const satisfies Record<string, TopicRow>

export type TopicName = keyof typeof topicTable
export type NodeTopic = { [K in TopicName]: (typeof topicTable)[K]['of'] extends 'node' ? K : never }[TopicName]
export type CameraTopic = Exclude<TopicName, NodeTopic>

/** A topic in full, with its row's flags. */
export interface Topic {
  readonly topic: string
  readonly qos: 0 | 1
  readonly isRetained: boolean
}

export interface Topics {
  readonly root: string
  node(name: NodeTopic): Topic
  camera(name: CameraTopic, camera: string): Topic
}

/** Names that a camera cannot have, because `R/<name>` is a topic of the node. */
const nodeNames: ReadonlySet<string> = new Set(
  Object.values(topicTable)
    .filter(({ of }) => of === 'node')
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
    root,
    node: (name) => ({ ...flagsOf(name), topic: `${root}/${topicTable[name].name}` }),
    camera(name, camera) {
      if (nodeNames.has(camera)) throw invalid(`camera id ${camera} is the name of a topic of the node`)
      return { ...flagsOf(name), topic: `${root}/${checkedId(camera, 'camera')}/${topicTable[name].name}` }
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
