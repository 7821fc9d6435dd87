/** Discovery by Home Assistant's rules: breaking one loses a component or the whole device. */
import { describe, expect, it } from 'vitest'
import type { DeviceFacts } from '../../src/publish/homeassistant/device.js'
import { discoveryOf } from '../../src/publish/homeassistant/discovery.js'
import { stateOf } from '../../src/publish/homeassistant/states.js'
import { modelPayload } from '../../src/publish/payloads.js'
import { createTopics } from '../../src/publish/topics.js'

const topics = createTopics('gapcam', 'dock-1')
const facts = (more: Partial<DeviceFacts> = {}): DeviceFacts => ({
  node: 'dock-1',
  cameras: ['cam0'],
  version: '0.1.0',
  labels: ['open', 'closed'],
  hasHeat: false,
  health: { hasTemperature: true, hasUndervoltage: true, hasThrottling: true },
  ...more,
})
const messages = (more: Partial<DeviceFacts> = {}) => discoveryOf(facts(more), topics, 'homeassistant')

/** Every value in a tree with its path. */
function leaves(value: unknown, path = ''): [string, unknown][] {
  if (typeof value !== 'object' || value === null) return [[path, value]]
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, `${path}.${key}`))
}

const keysOf: Readonly<Record<string, readonly string[]>> = {
  root: ['device', 'origin', 'availability', 'qos', 'components'],
  device: ['identifiers', 'name', 'manufacturer', 'model', 'sw_version', 'via_device', 'configuration_url'],
  origin: ['name', 'sw_version'],
}

describe.each([
  ['one camera', ['cam0']],
  ['three cameras', ['belt', 'gate', 'door-2']],
])('with %s', (_, cameras) => {
  const all = messages({
    cameras,
    board: 'Raspberry Pi 5 Model B Rev 1.0',
    pageUrl: 'http://dock-1.local:8080',
    hasHeat: true,
  })

  it('every key is known to Home Assistant, and no value is null or empty', () => {
    for (const { payload } of all) {
      expect(Object.keys(payload).filter((key) => !keysOf['root']!.includes(key))).toEqual([])
      expect(Object.keys(payload.device).filter((key) => !keysOf['device']!.includes(key))).toEqual([])
      expect(Object.keys(payload['origin'] as object).filter((key) => !keysOf['origin']!.includes(key))).toEqual([])
      for (const [path, value] of leaves(payload))
        expect(value === null || value === undefined || value === '', path).toBe(false)
    }
  })

  it('every component has a platform, a unique id, and both kinds of entity id', () => {
    const components = all.flatMap(({ payload }) => Object.entries(payload.components))
    for (const [key, component] of components) {
      expect(key).toMatch(/^[a-z_]+$/)
      expect(component['default_entity_id']).toBe(`${component.platform}.${String(component['object_id'])}`)
      expect(component['object_id']).toMatch(/^[a-z0-9_]+$/)
      expect('availability' in component && 'availability_topic' in component).toBe(false)
      if (component.platform === 'sensor') expect(component['entity_category']).not.toBe('config')
      if (['switch', 'number', 'button'].includes(component.platform))
        expect(component['command_topic']).toMatch(/\/(set|restart|snapshot|heat)$/)
    }
    for (const field of ['unique_id', 'object_id'])
      expect(new Set(components.map(([, component]) => component[field])).size).toBe(components.length)
  })
})

it('one camera is one device; several cameras are one device each, connected via the node', () => {
  expect(messages().map(({ topic, payload }) => [topic, payload.device['name']])).toEqual([
    ['homeassistant/device/gapcam_dock-1/config', 'Dock 1'],
  ])
  const several = messages({ cameras: ['belt', 'gate'] })
  expect(several.map(({ topic, payload }) => [topic, payload.device['name'], payload.device['via_device']])).toEqual([
    ['homeassistant/device/gapcam_dock-1/config', 'Dock 1', undefined],
    ['homeassistant/device/gapcam_dock-1_belt/config', 'Dock 1 Belt', 'gapcam_dock-1'],
    ['homeassistant/device/gapcam_dock-1_gate/config', 'Dock 1 Gate', 'gapcam_dock-1'],
  ])
})

it('the unique id of an entity does not depend on other cameras', () => {
  const ids = (cameras: string[]) =>
    messages({ cameras }).flatMap(({ payload }) =>
      Object.values(payload.components).map((component) => component['unique_id']),
    )
  expect(ids(['cam0', 'gate'])).toEqual(expect.arrayContaining(ids(['cam0'])))
})

it('entities that need a picture are unavailable without the camera; switch, threshold, events and restart need only the node', () => {
  const { components } = messages({ hasHeat: true })[0]!.payload
  const withCamera = Object.entries(components)
    .filter(([, component]) => 'availability' in component)
    .map(([key]) => key)
  expect(withCamera).toEqual(['label', 'score', 'problem', 'snapshot', 'take_snapshot', 'heat', 'take_heat'])
  expect(components['label']!['availability']).toHaveLength(2)
})

it('a detector has the best picture of the last visit, and a segmenter its mask, of the camera and of zones', () => {
  const zones = [{ camera: 'cam0', id: 'road', name: 'Road', labels: ['snow'], hasHeat: false, hasMask: true }]
  const { components } = messages({ hasBoxes: true, zones, withoutOwn: [] })[0]!.payload
  expect(components['crop']).toMatchObject({ platform: 'image', image_topic: 'gapcam/dock-1/cam0/crop' })
  expect(components['crop']).not.toHaveProperty('availability')
  expect(components).not.toHaveProperty('mask')
  expect(components['zone_road_mask']).toMatchObject({
    image_topic: 'gapcam/dock-1/cam0/road/mask',
    content_type: 'image/png',
  })
  expect(components['zone_road_take_mask']).toMatchObject({
    command_topic: 'gapcam/dock-1/request/mask',
    payload_press: '{"camera":"cam0","zone":"road"}',
  })
  expect(components).not.toHaveProperty('zone_road_crop')
})

it('a board without a sensor has no entity for it', () => {
  const { components } = messages({
    health: { hasTemperature: false, hasUndervoltage: false, hasThrottling: false },
  })[0]!.payload
  expect(Object.keys(components)).toEqual([
    'label',
    'score',
    'camera_ok',
    'problem',
    'snapshot',
    'take_snapshot',
    'event',
    'enabled',
    'threshold',
    'model',
    'fps',
    'infer',
    'restart',
  ])
})

describe('camera ids that differ only in hyphens', () => {
  const cameras = ['-x', 'x', 'x-', '--x', 'x-2', 'x--2', '-', '--']

  it('have entities, topics and devices that differ', () => {
    const all = messages({ cameras, hasHeat: true })
    const components = all.flatMap(({ payload }) => Object.values(payload.components))
    for (const field of ['unique_id', 'default_entity_id'])
      expect(new Set(components.map((component) => component[field])).size, field).toBe(components.length)
    expect(new Set(all.map(({ topic }) => topic)).size).toBe(cameras.length + 1)
    expect(new Set(all.map(({ payload }) => payload.device['name'])).size).toBe(cameras.length + 1)
    const stateTopics = components.filter(({ platform }) => platform === 'event').map((event) => event['state_topic'])
    expect(new Set(stateTopics).size).toBe(cameras.length)
  })

  it('make entity ids that Home Assistant allows', () => {
    // homeassistant/core.py, VALID_ENTITY_ID
    const valid = /^(?!.+__)(?!_)[\da-z_]+(?<!_)\.(?!_)[\da-z_]+(?<!_)$/
    for (const { payload } of messages({ cameras }))
      for (const component of Object.values(payload.components)) expect(component['default_entity_id']).toMatch(valid)
  })

  it('leave the id of a plain camera as it was', () => {
    const device = messages({ cameras })[2]!
    expect(device.topic).toBe('homeassistant/device/gapcam_dock-1_x/config')
    expect(device.payload.components['label']!['default_entity_id']).toBe('sensor.dock_1_x_label')
  })
})

describe('labels', () => {
  const label = (labels: string[]) => messages({ labels })[0]!.payload.components['label']!

  it('are the options of an enumeration, unknown among them', () => {
    expect(label(['open', 'closed'])).toMatchObject({ device_class: 'enum', options: ['open', 'closed', 'unknown'] })
    expect(label(['unknown', 'open'])['options']).toEqual(['unknown', 'open'])
  })

  it.each([
    ['Müller’s Käse ☕', 'Müller’s Käse ☕'],
    ['{{ 7*7 }}', '{{ 7*7 }}'],
    ['a "b" \\ c', 'a "b" \\ c'],
    ['  open  ', 'open'],
    ['open\u00a0', 'open'],
    ['None', 'none'],
    [' None ', 'none'],
    ['x'.repeat(300), 'x'.repeat(255)],
    ['🦆'.repeat(300), '🦆'.repeat(255)],
    [`${'x'.repeat(254)}  y`, 'x'.repeat(254)],
  ])('%.20j is the state %.20j, as the template makes it', (text, state) => {
    expect(stateOf(text)).toBe(state)
    expect(label([text])['options']).toEqual([state, 'unknown'])
  })

  it('that Home Assistant cannot tell apart are one option', () => {
    expect(label(['open', ' open', 'None', 'none'])['options']).toEqual(['open', 'none', 'unknown'])
  })

  it('that are many or long make a plain text sensor and a payload of ordinary size', () => {
    for (const labels of [
      Array.from({ length: 1000 }, (_, i) => `class ${i}, with a name`),
      Array.from({ length: 100 }, (_, i) => `${i} `.repeat(100)),
    ]) {
      const [message] = messages({ labels })
      expect(message!.payload.components['label']).not.toHaveProperty('options')
      expect(message!.payload.components['label']).not.toHaveProperty('device_class')
      expect(Buffer.byteLength(JSON.stringify(message!.payload))).toBeLessThan(16_384)
    }
    expect(label(Array.from({ length: 200 }, (_, i) => `class ${i}`))['options']).toHaveLength(201)
  })
})

it('the installed model is also the latest, and no field is empty', () => {
  expect(JSON.parse(modelPayload({ id: 'dock-7', version: '3' }))).toEqual({
    installed_version: '3',
    latest_version: '3',
    title: 'dock-7',
  })
})

describe('zones', () => {
  const zone = (camera: string, id: string, hasHeat = false) => ({
    camera,
    id,
    name: `Zone ${id}`,
    labels: ['open', 'closed'],
    hasHeat,
  })

  it('have entities of their own in the device of their camera, which keeps only what is its own', () => {
    const [device] = messages({ withoutOwn: ['cam0'], zones: [zone('cam0', 'gate', true), zone('cam0', 'bin')] })
    const { components } = device!.payload
    const keys = Object.keys(components).filter((key) => key.startsWith('zone_gate_'))
    expect(keys.filter((key) => !/_(day|hour)_/.test(key))).toEqual(
      ['label', 'score', 'snapshot', 'take_snapshot', 'heat', 'take_heat', 'time', 'event', 'enabled', 'threshold'].map(
        (key) => `zone_gate_${key}`,
      ),
    )
    expect(components).not.toHaveProperty('label')
    expect(components).not.toHaveProperty('zone_bin_heat')
    expect(components).toHaveProperty('camera_ok')
    expect(components['zone_gate_label']).toMatchObject({
      name: 'Zone gate',
      state_topic: 'gapcam/dock-1/cam0/gate/state',
      default_entity_id: 'sensor.dock_1_gate_label',
    })
    expect(components['zone_gate_score']).toMatchObject({ name: 'Zone gate score' })
    expect(keys.filter((key) => /_(day|hour)_/.test(key))).toHaveLength(3 * 4)
    expect(components['zone_gate_day_s_open']).toMatchObject({
      name: 'Zone gate open time today',
      device_class: 'duration',
      value_template: '{{ (value_json.day|default({})).get("open", {}).get(\'s\', 0) }}',
    })
    expect(components['zone_gate_hour_n_unknown']).toMatchObject({ entity_category: 'diagnostic' })
    // Home Assistant would keep a disabled entity of a zone that was removed.
    expect(Object.values(components).filter((entity) => 'enabled_by_default' in entity)).toEqual([])
    expect(components['zone_gate_take_snapshot']).toMatchObject({ payload_press: '{"camera":"cam0","zone":"gate"}' })
  })

  it('never share an id with another entity, whatever their names', () => {
    const zones = ['take', 'a', 'a-take', 'zone', '-a', 'a-'].map((id) => zone('cam0', id, true))
    const all = messages({ cameras: ['cam0', 'take'], hasHeat: true, zones }).flatMap(({ payload }) =>
      Object.values(payload.components),
    )
    const ids = all.map((entity) => entity['unique_id'])
    expect(new Set(ids).size).toBe(ids.length)
  })
})
