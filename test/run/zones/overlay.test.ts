/** Zones of commands above those of the file: what a camera asks after each change. */
import { describe, expect, it } from 'vitest'
import type { CameraConfig } from '../../../src/config/schema.js'
import { zone } from '../../../src/config/zones.js'
import { overlaid, withoutZone, withZone, type ZoneOverlay } from '../../../src/run/zones/overlay.js'
import { zonesOf } from '../../../src/zone/definition.js'

const bare: CameraConfig = { id: 'yard', source: 'test://' }
const filed: CameraConfig = { ...bare, zones: [zone.parse({ id: 'gate', model: 'a.onnx' }), zone.parse({ id: 'bin' })] }
const keys = (camera: CameraConfig, overlay?: ZoneOverlay): string[] =>
  zonesOf(overlaid(camera, overlay)).map(({ key }) => key)

/** The overlay after a change; throws its fault. */
function set(
  camera: CameraConfig,
  overlay: ZoneOverlay | undefined,
  name: string,
  patch: Record<string, unknown> = {},
  rename?: string,
): ZoneOverlay {
  const next = withZone(overlaid(camera, overlay), overlay, { name, patch, ...(rename ? { rename } : {}) })
  if ('fault' in next) throw new Error(typeof next.fault === 'string' ? next.fault : next.fault.issues[0]!.message)
  return next.overlay
}

describe('the question about the whole picture', () => {
  it('is the only one of a camera without zones', () => {
    expect(keys(bare)).toEqual(['yard'])
  })

  it('stays when the first zone is added, until it is removed', () => {
    const added = set(bare, undefined, 'gate')
    expect(keys(bare, added)).toEqual(['yard', 'yard/gate'])
    expect(keys(bare, withoutZone(added, null))).toEqual(['yard/gate'])
  })

  it('is replaced by a list of zones in the file', () => {
    expect(keys(filed)).toEqual(['yard/gate', 'yard/bin'])
  })

  it('returns when the last zone is removed: a camera always asks something', () => {
    expect(keys(filed, withoutZone(withoutZone(undefined, 'gate'), 'bin'))).toEqual(['yard'])
    const removed = withoutZone(set(bare, undefined, 'gate'), null)
    expect(keys(bare, withoutZone(removed, 'gate'))).toEqual(['yard'])
  })
})

describe('a change of a zone', () => {
  it('changes the given keys only, and null removes a key', () => {
    const changed = set(filed, undefined, 'gate', { policy: { threshold: 0.7 } })
    expect(overlaid(filed, changed).zones![0]).toEqual({ id: 'gate', model: 'a.onnx', policy: { threshold: 0.7 } })
    const without = set(filed, changed, 'gate', { model: null })
    expect(overlaid(filed, without).zones![0]).toEqual({ id: 'gate', policy: { threshold: 0.7 } })
  })

  it('can rename it, and keeps the rest', () => {
    const renamed = set(filed, undefined, 'gate', {}, 'door')
    expect(overlaid(filed, renamed).zones).toEqual([{ id: 'bin' }, { id: 'door', model: 'a.onnx' }])
  })

  it('brings a removed zone of the file back with the new keys', () => {
    const removed = withoutZone(undefined, 'gate')
    expect(overlaid(filed, set(filed, removed, 'gate')).zones).toEqual([{ id: 'gate' }, { id: 'bin' }])
  })

  it.each([
    ['an unknown zone to rename', 'roof', {}, 'door', /there is no zone roof/],
    ['the name of another zone', 'gate', {}, 'bin', /there is a zone bin already/],
    ['a region outside the picture', 'gate', { region: { x: 1, y: 0, w: 1, h: 1 } }, undefined, /inside the picture/],
    ['an unknown key', 'gate', { regoin: 1 }, undefined, /Unrecognized key/],
  ])('is refused for %s', (_, name, patch, rename, fault) => {
    expect(() => set(filed, undefined, name, patch, rename)).toThrow(fault)
  })
})

it('a stored zone that cannot be read any more is left out and told', () => {
  const told: string[] = []
  const overlay: ZoneOverlay = { set: { old: { shape: 'round' } }, removed: [], isOwnRemoved: false }
  expect(overlaid(filed, overlay, (sentence) => told.push(sentence)).zones!.map(({ id }) => id)).toEqual([
    'gate',
    'bin',
  ])
  expect(told).toEqual([expect.stringMatching(/^zone yard\/old of the settings cannot be used/)])
})
