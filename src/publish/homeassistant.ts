/**
 * The device as Home Assistant's MQTT discovery wants it: one retained message a device, pure data in and out. What is
 * said here was tried with a real Home Assistant (docs/home-assistant.md): one wrong key and it drops the whole device.
 */
import { unknownLabel } from '../decision/decision.js'
import type { Topics } from './topics.js'

/** What there is to announce; what a board or a build does not have is left out, never null. */
export interface DeviceFacts {
  readonly node: string
  readonly cameras: readonly string[]
  readonly version: string
  /** Every label of the model. */
  readonly labels: readonly string[]
  /** What the board is called. */
  readonly board?: string
  /** Fields that R/health has on this board. */
  readonly health: {
    readonly hasTemperature: boolean
    readonly hasUndervoltage: boolean
    readonly hasThrottling: boolean
  }
  /** Whether C/heat has pictures. */
  readonly hasHeat: boolean
  /** Where the page is, with scheme; absent while it is on loopback. */
  readonly pageUrl?: string
}

type Component = Readonly<Record<string, unknown>> & { readonly platform: string }

export interface DiscoveryMessage {
  readonly topic: string
  /** One object of the device's identity and its components by key. */
  readonly payload: {
    readonly device: Readonly<Record<string, unknown>>
    readonly components: Readonly<Record<string, Component>>
    readonly [more: string]: unknown
  }
}

/**
 * Labels as options give automations a list to choose from. Beyond these bounds the sensor is plain text: Home
 * Assistant writes the whole list into every complaint, the frontend loads it with the page, and brokers bound packets.
 */
const maxOptions = 255
const maxOptionBytes = 8192
/** The longest text state. */
const maxStateLength = 255
/** What Python's str.strip() removes: Home Assistant strips what a template renders. */
const pythonSpace = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+'
const outerSpace = new RegExp(`^${pythonSpace}|${pythonSpace}$`, 'g')

/** A label as the state that Home Assistant makes of it by `labelTemplate`; `None` would mean unknown there. */
export function stateOf(label: string): string {
  const strip = (text: string): string => text.replace(outerSpace, '')
  const text = strip([...strip(label)].slice(0, maxStateLength).join(''))
  return text === 'None' ? 'none' : text
}

const labelTemplate = `{% set label = (value_json.label|trim)[:${maxStateLength}]|trim %}{{ 'none' if label == 'None' else label }}`

/** The discovery messages of a node: one device with everything, or the node and one device a camera where there are several. */
export function discoveryOf(facts: DeviceFacts, topics: Topics, prefix: string): DiscoveryMessage[] {
  const { node, cameras, version } = facts
  const shared = {
    origin: { name: 'gapcam', sw_version: version },
    availability: [{ topic: topics.node('nodeStatus').topic }],
    qos: 1,
  }
  const device = (identifier: string, name: string, more: Readonly<Record<string, unknown>> = {}) => ({
    identifiers: [identifier],
    name,
    manufacturer: 'gapcam',
    sw_version: version,
    ...more,
    ...(facts.board === undefined ? {} : { model: facts.board.slice(0, maxStateLength) }),
    ...(facts.pageUrl === undefined ? {} : { configuration_url: facts.pageUrl }),
  })
  const message = (
    id: string,
    name: string,
    components: Readonly<Record<string, Component>>,
    more = {},
  ): DiscoveryMessage => ({
    topic: `${prefix}/device/${id}/config`,
    payload: { device: device(id, name, more), ...shared, components },
  })
  const root = `gapcam_${node}`
  const [only, ...others] = cameras
  if (only !== undefined && others.length === 0) {
    return [
      message(root, titleOf(node), {
        ...cameraComponents(facts, topics, only, slug(node)),
        ...nodeComponents(facts, topics),
      }),
    ]
  }
  return [
    message(root, titleOf(node), nodeComponents(facts, topics)),
    ...cameras.map((camera) =>
      message(
        `${root}_${camera}`,
        `${titleOf(node)} ${titleOf(camera)}`,
        cameraComponents(facts, topics, camera, `${slug(node)}_${slug(camera)}`),
        { via_device: root },
      ),
    ),
  ]
}

/** What every entity has: an id for ever, and the entity id that it gets at its first discovery (old releases know only `object_id`). */
function entity(
  platform: string,
  uniqueId: string,
  objectId: string,
  name: string,
  more: Readonly<Record<string, unknown>>,
): Component {
  return {
    platform,
    unique_id: uniqueId,
    default_entity_id: `${platform}.${objectId}`,
    object_id: objectId,
    name,
    ...more,
  }
}

function cameraComponents(
  { node, labels, hasHeat }: DeviceFacts,
  topics: Topics,
  camera: string,
  prefix: string,
): Record<string, Component> {
  const topic = (name: Parameters<Topics['camera']>[0]): string => topics.camera(name, camera).topic
  const make = (platform: string, key: string, name: string, more: Readonly<Record<string, unknown>>): Component =>
    entity(platform, `gapcam_${node}_${camera}_${key}`, `${prefix}_${key}`, name, more)
  // Without a picture there is no answer; a switch and a threshold there still are.
  const seen = {
    availability: [
      { topic: topics.node('nodeStatus').topic },
      { topic: topic('cameraStatus'), value_template: "{{ 'online' if value == 'online' else 'offline' }}" },
    ],
    availability_mode: 'all',
  }
  return {
    label: make('sensor', 'label', 'Label', {
      ...optionsOf(labels),
      ...seen,
      icon: 'mdi:tag-text-outline',
      state_topic: topic('state'),
      value_template: labelTemplate,
      json_attributes_topic: topic('state'),
      json_attributes_template:
        "{{ {'score': value_json.score, 'top': value_json.top, 'reason': value_json.reason|default('')}|tojson }}",
    }),
    score: make('sensor', 'score', 'Score', {
      ...seen,
      icon: 'mdi:percent-outline',
      unit_of_measurement: '%',
      state_class: 'measurement',
      suggested_display_precision: 1,
      state_topic: topic('state'),
      value_template: '{{ (value_json.score*100)|round(1) }}',
    }),
    camera_ok: make('binary_sensor', 'camera_ok', 'Camera', {
      device_class: 'connectivity',
      entity_category: 'diagnostic',
      state_topic: topic('cameraStatus'),
      value_template: "{{ 'ON' if value == 'online' else 'OFF' }}",
    }),
    problem: make('binary_sensor', 'problem', 'View', {
      ...seen,
      device_class: 'problem',
      entity_category: 'diagnostic',
      state_topic: topic('state'),
      value_template: "{{ 'OFF' if value_json.problem|default('none') == 'none' else 'ON' }}",
      json_attributes_topic: topic('state'),
      json_attributes_template: "{{ {'problem': value_json.problem|default('none')}|tojson }}",
    }),
    snapshot: make('image', 'snapshot', 'Snapshot', {
      ...seen,
      image_topic: topic('image'),
      content_type: 'image/jpeg',
    }),
    take_snapshot: make('button', 'take_snapshot', 'Take snapshot', {
      ...seen,
      icon: 'mdi:camera-outline',
      command_topic: `${topics.node('request').topic}/snapshot`,
      payload_press: JSON.stringify({ camera }),
    }),
    ...(hasHeat
      ? {
          heat: make('camera', 'heat', 'Heat map', { ...seen, topic: topic('heat') }),
          take_heat: make('button', 'take_heat', 'Take heat map', {
            ...seen,
            icon: 'mdi:blur',
            command_topic: `${topics.node('request').topic}/heat`,
            payload_press: JSON.stringify({ camera }),
          }),
        }
      : {}),
    event: make('event', 'event', 'Event', {
      icon: 'mdi:bell-outline',
      state_topic: topic('event'),
      event_types: [
        'label_changed',
        'low_confidence',
        'camera_lost',
        'camera_recovered',
        'model_changed',
        'lens_problem',
        'lens_cleared',
      ],
      value_template:
        "{{ {'event_type': value_json.event_type, 'label': value_json.label, 'prev': value_json.prev, 'score': value_json.score, 'reason': value_json.reason|default(''), 'problem': value_json.problem|default('none'), 'looking_elsewhere': value_json.looking_elsewhere|default(false), 'id': value_json.id, 'ts': value_json.ts}|tojson }}",
    }),
    enabled: make('switch', 'enabled', 'Enabled', {
      icon: 'mdi:cctv',
      state_topic: topic('enabled'),
      command_topic: topic('enabledSet'),
    }),
    threshold: make('number', 'threshold', 'Threshold', {
      min: 0,
      max: 1,
      step: 0.01,
      mode: 'slider',
      icon: 'mdi:tune-vertical',
      entity_category: 'config',
      state_topic: topic('threshold'),
      command_topic: topic('thresholdSet'),
    }),
  }
}

function nodeComponents({ node, health }: DeviceFacts, topics: Topics): Record<string, Component> {
  const make = (platform: string, key: string, name: string, more: Readonly<Record<string, unknown>>): Component =>
    entity(platform, `gapcam_${node}_${key}`, `${slug(node)}_${key}`, name, more)
  const diagnostic = { entity_category: 'diagnostic', state_topic: topics.node('health').topic }
  const problem = (field: string) => ({
    ...diagnostic,
    device_class: 'problem',
    value_template: `{{ 'ON' if value_json.${field}|default(false) else 'OFF' }}`,
  })
  return {
    model: make('update', 'model', 'Model', {
      entity_category: 'diagnostic',
      state_topic: topics.node('model').topic,
      command_topic: `${topics.node('request').topic}/model_install`,
      payload_install: 'latest',
    }),
    fps: make('sensor', 'fps', 'Frame rate', {
      ...diagnostic,
      icon: 'mdi:filmstrip',
      unit_of_measurement: 'fps',
      state_class: 'measurement',
      value_template: '{{ value_json.fps }}',
    }),
    infer: make('sensor', 'infer', 'Inference time', {
      ...diagnostic,
      device_class: 'duration',
      unit_of_measurement: 'ms',
      state_class: 'measurement',
      value_template: '{{ value_json.infer_ms.p50 }}',
    }),
    // A reading that fails leaves the field out; an empty state is no state, and the last value stays.
    ...(health.hasTemperature
      ? {
          temp: make('sensor', 'temp', 'Temperature', {
            ...diagnostic,
            device_class: 'temperature',
            unit_of_measurement: '°C',
            state_class: 'measurement',
            value_template: "{{ value_json.soc_c|default('') }}",
          }),
        }
      : {}),
    ...(health.hasUndervoltage
      ? { undervoltage: make('binary_sensor', 'undervoltage', 'Undervoltage', problem('undervoltage')) }
      : {}),
    ...(health.hasThrottling
      ? { throttled: make('binary_sensor', 'throttled', 'Throttled', problem('throttled')) }
      : {}),
    restart: make('button', 'restart', 'Restart', {
      device_class: 'restart',
      entity_category: 'config',
      command_topic: `${topics.node('request').topic}/restart`,
    }),
  }
}

/** The labels as an enumeration, where they are few and short enough. */
function optionsOf(labels: readonly string[]): Readonly<Record<string, unknown>> {
  const options = [...new Set([...labels.map(stateOf), unknownLabel])].filter((option) => option !== '')
  const fits = options.length <= maxOptions && Buffer.byteLength(JSON.stringify(options)) <= maxOptionBytes
  return fits ? { device_class: 'enum', options } : {}
}

/** An id as a name for people: `loading-dock` is Loading Dock. */
function titleOf(id: string): string {
  const words = id
    .split('-')
    .filter((word) => word !== '')
    .map((word) => word[0]!.toUpperCase() + word.slice(1))
  return words.length === 0 ? id : words.join(' ')
}

/** An id within an entity id, which has no hyphens. */
function slug(id: string): string {
  return id.replaceAll('-', '_').replace(/^_+|_+$/g, '') || 'gapcam'
}
