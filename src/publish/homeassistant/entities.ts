/** Home Assistant's entities, as components of a discovery message: those of a camera, of its zones, and of the node. */
import { eventTypes, unknownLabel } from '../../decision/decision.js'
import { buttonOf, type Place } from './button.js'
import { foundEntities } from './found-entities.js'
import type { DeviceFacts, ZoneFacts } from './device.js'
import type { Entities, Entity, Fields, Make } from './entity.js'
import { labelSlugs, slug } from './slugs.js'
import { labelTemplate, optionsOf } from './states.js'
import { teachEntities } from './teach-entities.js'
import type { CameraTopic, Topics } from '../topics.js'

/**
 * Makes entities of one device. Each has an id that never changes, and the entity id for its first discovery (old
 * releases know only `object_id`).
 */
function maker(uniquePrefix: string, objectPrefix: string): Make {
  return (platform, key, name, fields) => ({
    platform,
    unique_id: `${uniquePrefix}_${key}`,
    default_entity_id: `${platform}.${objectPrefix}_${key}`,
    object_id: `${objectPrefix}_${key}`,
    name,
    ...fields,
  })
}

/** The entities of a camera and its own question; `prefix` begins their entity ids. */
export function cameraEntities(facts: DeviceFacts, topics: Topics, camera: string, prefix: string): Entities {
  const { node, labels, hasHeat, withoutOwn = [] } = facts
  const make = maker(`gapcam_${node}_${camera}`, prefix)
  const topic = (name: CameraTopic): string => topics.camera(name, camera).topic
  const seen = seenOf(topics, camera)
  const place = { camera, request: topics.node('request').topic }
  const ofDevice = {
    camera_ok: cameraEntity(make, topic),
    ...snapshotEntities(make, topic, seen, place),
    enabled: enabledEntity(make, topic),
  }
  if (withoutOwn.includes(camera)) return ofDevice
  return {
    ...labelEntities(make, topic('state'), labels, seen),
    ...foundEntities(facts, make, topic, seen, place),
    camera_ok: ofDevice.camera_ok,
    problem: problemEntity(make, topic, seen),
    ...snapshotEntities(make, topic, seen, place),
    ...(hasHeat ? heatEntities(make, topic, seen, place) : {}),
    event: eventEntity(make, topic),
    enabled: ofDevice.enabled,
    threshold: thresholdEntity(make, topic),
  }
}

/**
 * The entities of a zone in its camera's device. `prefix` begins their entity ids, `slug` is the zone's part of them. Their
 * keys and ids begin with `zone`, as no other entity's do.
 */
export function zoneEntities(
  { node }: DeviceFacts,
  topics: Topics,
  facts: ZoneFacts,
  { prefix, slug: own }: { readonly prefix: string; readonly slug: string },
): Entities {
  const { camera, id, name, labels, hasHeat, taught } = facts
  const bare = maker(`gapcam_${node}_${camera}_zone_${id}`, `${prefix}_${own}`)
  const make: Make = (platform, key, title, fields) =>
    bare(platform, key, key === 'label' ? name : `${name} ${title.toLowerCase()}`, fields)
  const topic = (which: CameraTopic): string => topics.camera(which, `${camera}/${id}`).topic
  const seen = seenOf(topics, camera)
  const place = { camera, zone: id, request: topics.node('request').topic }
  const entities = {
    ...labelEntities(make, topic('state'), labels, seen),
    ...foundEntities(facts, make, topic, seen, place),
    ...snapshotEntities(make, topic, seen, place),
    ...(hasHeat ? heatEntities(make, topic, seen, place) : {}),
    time: timeEntity(make, topic('state'), seen),
    ...talliesEntities(make, topic('state'), labels, seen),
    event: eventEntity(make, topic),
    enabled: { ...enabledEntity(make, topic), icon: 'mdi:select-search' },
    threshold: thresholdEntity(make, topic),
    ...(taught ? teachEntities(make, topic('teach'), { ...place, states: taught }) : {}),
  }
  return Object.fromEntries(Object.entries(entities).map(([key, entity]) => [`zone_${id}_${key}`, entity]))
}

/** For what has no value without a camera. Events, switches and thresholds stay available. */
function seenOf(topics: Topics, camera: string): Fields {
  return {
    availability: [
      { topic: topics.node('nodeStatus').topic },
      {
        topic: topics.camera('cameraStatus', camera).topic,
        value_template: "{{ 'online' if value == 'online' else 'offline' }}",
      },
    ],
    availability_mode: 'all',
  }
}

function labelEntities(make: Make, state: string, labels: readonly string[], seen: Fields): Entities {
  return {
    label: make('sensor', 'label', 'Label', {
      ...optionsOf(labels),
      ...seen,
      icon: 'mdi:tag-text-outline',
      state_topic: state,
      value_template: labelTemplate,
      json_attributes_topic: state,
      json_attributes_template:
        "{{ {'score': value_json.score, 'top': value_json.top, 'reason': value_json.reason|default('')}|tojson }}",
    }),
    score: make('sensor', 'score', 'Score', {
      ...seen,
      icon: 'mdi:percent-outline',
      unit_of_measurement: '%',
      state_class: 'measurement',
      suggested_display_precision: 1,
      state_topic: state,
      value_template: '{{ (value_json.score*100)|round(1) }}',
    }),
  }
}

function cameraEntity(make: Make, topic: (name: CameraTopic) => string): Entity {
  return make('binary_sensor', 'camera_ok', 'Camera', {
    device_class: 'connectivity',
    entity_category: 'diagnostic',
    state_topic: topic('cameraStatus'),
    value_template: "{{ 'ON' if value == 'online' else 'OFF' }}",
  })
}

function problemEntity(make: Make, topic: (name: CameraTopic) => string, seen: Fields): Entity {
  return make('binary_sensor', 'problem', 'View', {
    ...seen,
    device_class: 'problem',
    entity_category: 'diagnostic',
    state_topic: topic('state'),
    value_template: "{{ 'OFF' if value_json.problem|default('none') == 'none' else 'ON' }}",
    json_attributes_topic: topic('state'),
    json_attributes_template: "{{ {'problem': value_json.problem|default('none')}|tojson }}",
  })
}

function snapshotEntities(make: Make, topic: (name: CameraTopic) => string, seen: Fields, place: Place): Entities {
  return {
    snapshot: make('image', 'snapshot', 'Snapshot', {
      ...seen,
      image_topic: topic('image'),
      content_type: 'image/jpeg',
    }),
    take_snapshot: buttonOf(make, seen, place)('take_snapshot', 'Take snapshot', 'mdi:camera-outline', 'snapshot'),
  }
}

function heatEntities(make: Make, topic: (name: CameraTopic) => string, seen: Fields, place: Place): Entities {
  return {
    heat: make('camera', 'heat', 'Heat map', { ...seen, topic: topic('heat') }),
    take_heat: buttonOf(make, seen, place)('take_heat', 'Take heat map', 'mdi:blur', 'heat'),
  }
}

const eventFields = [
  "'event_type': value_json.event_type",
  "'label': value_json.label",
  "'prev': value_json.prev",
  "'score': value_json.score",
  "'reason': value_json.reason|default('')",
  "'problem': value_json.problem|default('none')",
  "'visit': value_json.visit|default({})",
  "'looking_elsewhere': value_json.looking_elsewhere|default(false)",
  "'id': value_json.id",
  "'ts': value_json.ts",
]

/** How long the present state lasts, with the times and counts of the hour and the day. */
function timeEntity(make: Make, state: string, seen: Fields): Entity {
  return make('sensor', 'time', 'Time in state', {
    ...seen,
    device_class: 'duration',
    unit_of_measurement: 's',
    state_topic: state,
    value_template: '{{ value_json.in_state_s|default(0) }}',
    json_attributes_topic: state,
    json_attributes_template: "{{ {'hour': value_json.hour|default({}), 'day': value_json.day|default({})}|tojson }}",
  })
}

/** A model with more labels would fill the device with numbers; they are in the attributes of the time in state too. */
const mostCountedLabels = 8

/**
 * For each label how long and how often it was the state, this day and this hour. None is disabled at first: Home Assistant
 * does not hear that a disabled entity was removed, and keeps it in its registry.
 */
function talliesEntities(make: Make, state: string, labels: readonly string[], seen: Fields): Entities {
  if (labels.length > mostCountedLabels) return {}
  const slugs = labelSlugs([...new Set([...labels, unknownLabel])])
  const periods = [
    { period: 'day', title: 'today', more: {} },
    { period: 'hour', title: 'this hour', more: { entity_category: 'diagnostic' } },
  ]
  const kinds = [
    { kind: 's', title: 'time', more: { device_class: 'duration', unit_of_measurement: 's' } },
    { kind: 'n', title: 'count', more: { icon: 'mdi:counter' } },
  ]
  const entities = [...slugs].flatMap(([label, slug]) =>
    periods.flatMap(({ period, title, more }) =>
      kinds.map((each): [string, Entity] => [
        `${period}_${each.kind}_${slug}`,
        make('sensor', `${period}_${each.kind}_${slug}`, `${label} ${each.title} ${title}`, {
          ...seen,
          ...more,
          ...each.more,
          state_class: 'total_increasing',
          state_topic: state,
          value_template: `{{ (value_json.${period}|default({})).get(${JSON.stringify(label)}, {}).get('${each.kind}', 0) }}`,
        }),
      ]),
    ),
  )
  return Object.fromEntries(entities)
}

function eventEntity(make: Make, topic: (name: CameraTopic) => string): Entity {
  return make('event', 'event', 'Event', {
    icon: 'mdi:bell-outline',
    state_topic: topic('event'),
    event_types: eventTypes,
    value_template: `{{ {${eventFields.join(', ')}}|tojson }}`,
  })
}

function enabledEntity(make: Make, topic: (name: CameraTopic) => string): Entity {
  return make('switch', 'enabled', 'Enabled', {
    icon: 'mdi:cctv',
    state_topic: topic('enabled'),
    command_topic: topic('enabledSet'),
  })
}

function thresholdEntity(make: Make, topic: (name: CameraTopic) => string): Entity {
  return make('number', 'threshold', 'Threshold', {
    min: 0,
    max: 1,
    step: 0.01,
    mode: 'slider',
    icon: 'mdi:tune-vertical',
    entity_category: 'config',
    state_topic: topic('threshold'),
    command_topic: topic('thresholdSet'),
  })
}

/** The entities of the node. */
export function nodeEntities({ node, health }: DeviceFacts, topics: Topics): Entities {
  const make = maker(`gapcam_${node}`, slug(node))
  const request = topics.node('request').topic
  return {
    model: make('update', 'model', 'Model', {
      entity_category: 'diagnostic',
      state_topic: topics.node('model').topic,
      command_topic: `${request}/model_install`,
      payload_install: 'latest',
    }),
    ...healthEntities(make, topics.node('health').topic, health),
    restart: make('button', 'restart', 'Restart', {
      device_class: 'restart',
      entity_category: 'config',
      command_topic: `${request}/restart`,
    }),
  }
}

function healthEntities(make: Make, topic: string, health: DeviceFacts['health']): Entities {
  const diagnostic = { entity_category: 'diagnostic', state_topic: topic }
  const measured = (key: string, name: string, fields: Fields): Entity =>
    make('sensor', key, name, { ...diagnostic, state_class: 'measurement', ...fields })
  const problem = (key: string, name: string): Entity =>
    make('binary_sensor', key, name, {
      ...diagnostic,
      device_class: 'problem',
      value_template: `{{ 'ON' if value_json.${key}|default(false) else 'OFF' }}`,
    })
  return {
    fps: measured('fps', 'Frame rate', {
      icon: 'mdi:filmstrip',
      unit_of_measurement: 'fps',
      value_template: '{{ value_json.fps }}',
    }),
    infer: measured('infer', 'Inference time', {
      device_class: 'duration',
      unit_of_measurement: 'ms',
      value_template: '{{ value_json.infer_ms.p50 }}',
    }),
    // A reading that fails is left out of the message. The template then gives an empty text, and the last value stays.
    ...(health.hasTemperature && {
      temp: measured('temp', 'Temperature', {
        device_class: 'temperature',
        unit_of_measurement: '°C',
        value_template: "{{ value_json.soc_c|default('') }}",
      }),
    }),
    ...(health.hasUndervoltage && { undervoltage: problem('undervoltage', 'Undervoltage') }),
    ...(health.hasThrottling && { throttled: problem('throttled', 'Throttled') }),
  }
}
