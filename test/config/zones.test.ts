/** Zones of the configuration: what is accepted, and one clear sentence for each mistake. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/config.js'
import type { CameraConfig } from '../../src/config/schema.js'
import { modelNamed, zone } from '../../src/config/zones.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-zones-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The camera of a file with these zones. */
function cameraWith(zones: string, more = ''): CameraConfig {
  const file = join(folder, 'gapcam.yaml')
  writeFileSync(file, `${more}\ncameras:\n  - id: yard\n    source: test://\n    zones: ${zones}\n`)
  return loadConfig({ flags: {}, environment: {}, file }).config.cameras[0]!
}

it('the zones of the documentation are read', () => {
  const camera = cameraWith(
    `
      - id: gate
        name: Garden gate
        region: [[0.10, 0.22], [0.41, 0.20], [0.43, 0.58], [0.09, 0.60]]
        model: gate
        trigger: motion
        policy: { threshold: 0.7, consecutive: 3 }
        dwell: { open: 30s }
        transitions: { open: [closed] }
        mask: none
        evidence: 0.4
      - { id: feeder, region: {x: 0.6, y: 0.3, w: 0.2, h: 0.3}, model: birds, trigger: { every: 2s } }
      - { id: night, trigger: { cron: "0 6-20 * * *" }, timezone: Europe/Berlin }
      - { id: button, region: "0.1,0.1,0.2,0.2", trigger: { gpio: gpiochip0/17 } }`,
    'models: { gate: { path: gate.onnx }, birds: { path: birds.onnx, labels: birds.txt } }',
  )
  expect(camera.zones).toMatchObject([
    {
      id: 'gate',
      name: 'Garden gate',
      region: [
        [0.1, 0.22],
        [0.41, 0.2],
        [0.43, 0.58],
        [0.09, 0.6],
      ],
      trigger: { kind: 'motion', maxIdleMs: 60_000 },
      policy: { threshold: 0.7, consecutive: 3 },
      dwell: { open: 30_000 },
    },
    { id: 'feeder', region: { x: 0.6, y: 0.3, width: 0.2, height: 0.3 }, trigger: { kind: 'every', everyMs: 2000 } },
    { id: 'night', trigger: { kind: 'cron', line: '0 6-20 * * *' } },
    { id: 'button', trigger: { kind: 'gpio', chip: 'gpiochip0', line: 17 } },
  ])
})

it('a camera without zones has none', () => {
  expect(loadConfig({ flags: { cameras: [{ id: 'a', source: 'test://' }] }, environment: {} }).config.cameras).toEqual([
    { id: 'a', source: 'test://' },
  ])
})

describe('a zone is refused', () => {
  it.each([
    [
      'outside the picture',
      '[{ id: a, region: {x: 0.9, y: 0, w: 0.2, h: 1} }]',
      /zones\.0\.region.*must lie inside the picture/,
    ],
    ['for a corner outside', '[{ id: a, region: [[0,0],[1.2,0],[1,1]] }]', /region.*must lie inside the picture/],
    ['for two corners', '[{ id: a, region: [[0,0],[1,0]] }]', /region.*must have 3 to 64 corners/],
    ['for a bow tie', '[{ id: a, region: [[0,0],[1,1],[1,0],[0,1]] }]', /region.*must not cross itself/],
    [
      'for a side that turns back',
      '[{ id: a, region: [[0,0],[1,0],[0.5,0],[0.5,1]] }]',
      /region.*must not cross itself/,
    ],
    ['for a corner twice', '[{ id: a, region: [[0,0],[0,0],[1,0],[1,1]] }]', /region.*must not cross itself/],
    [
      'of a pixel',
      '[{ id: a, region: {x: 0.5, y: 0.5, w: 0.0005, h: 0.0009} }]',
      /region.*must be at least 0\.01 of the picture/,
    ],
    ['of a line', '[{ id: a, region: [[0,0],[0.5,0.5],[1,1]] }]', /region/],
    ['with the id of another', '[{ id: a }, { id: b }, { id: a }]', /zones.*two zones have the id a/],
    ['with the name of a topic', '[{ id: label }]', /zones\.0\.id.*name of a topic/],
    ['with a capital', '[{ id: Gate }]', /zones\.0\.id.*a-z, 0-9 and -/],
    ['without an id', '[{ model: gate }]', /zones\.0\.id.*must be given/],
    ['with a misspelt key', '[{ id: a, regoin: "0,0,1,1" }]', /zones\.0\.regoin is not a key.*did you mean region/],
    ['for an unknown trigger', '[{ id: a, trigger: sometimes }]', /trigger.*must be always, motion, command/],
    [
      'for an unknown trigger group',
      '[{ id: a, trigger: { sometimes: 1s } }]',
      /trigger.*must be always, motion, command/,
    ],
    ['for a time without a unit', '[{ id: a, trigger: { every: 10 } }]', /trigger.*such as 500ms, 30s/],
    ['for a cron line of words', '[{ id: a, trigger: { cron: "every day" } }]', /trigger\.cron.*is not a cron line/],
    ['for a cron line that never fires', '[{ id: a, trigger: { cron: "0 0 31 2 *" } }]', /never fires/],
    [
      'for an unknown time zone',
      '[{ id: a, trigger: { cron: "0 0 * * *" }, timezone: Mars/Base }]',
      /there is no time zone Mars\/Base/,
    ],
    ['for a time zone without a clock', '[{ id: a, timezone: Europe/Berlin }]', /timezone.*only used with a cron/],
    ['for a threshold above 1', '[{ id: a, policy: { threshold: 7 } }]', /policy\.threshold.*at most 1/],
    ['for a misspelt option', '[{ id: a, policy: { treshold: 0.7 } }]', /treshold is not a key.*threshold/],
    ['for a dwell without a unit', '[{ id: a, dwell: { open: 30 } }]', /dwell\.open.*such as 500ms, 30s/],
    [
      'for transitions that are no list',
      '[{ id: a, transitions: { open: closed } }]',
      /transitions\.open.*must be a list/,
    ],
    ['for a mask of another kind', '[{ id: a, mask: black }]', /mask.*must be mean or none/],
    ['for a line that is no number', '[{ id: a, trigger: { gpio: gpiochip0 } }]', /trigger.*such as gpiochip0\/17/],
  ])('%s', (_, zones, sentence) => {
    expect(() => cameraWith(zones)).toThrow(sentence)
  })

  it('beyond 128 of them', () => {
    const many = JSON.stringify(Array.from({ length: 129 }, (_, i) => ({ id: `z${i}` })))
    expect(() => cameraWith(many)).toThrow(/zones.*at most 128/)
  })
})

it('what was read can be written and read again', () => {
  const given = { id: 'a', region: { x: 0.5, y: 0, w: 0.5, h: 1 } }
  const first = zone.parse(given)
  expect(zone.parse({ ...given, region: first.region })).toEqual(first)
})

describe('modelNamed', () => {
  const entries = { gate: { path: 'models/gate.onnx', labels: 'gate.txt' } }

  it('finds entries and paths', () => {
    expect(modelNamed('gate', entries)).toEqual(entries.gate)
    expect(modelNamed('other/gate.onnx', entries)).toEqual({ path: 'other/gate.onnx' })
  })

  it('names the nearest entry for a name that is neither', () => {
    expect(modelNamed('gaet', entries)).toEqual({ fault: 'there is no model gaet; did you mean gate?' })
    expect(modelNamed('toString', entries)).toEqual({
      fault: 'there is no model toString; add it to models, or give a path',
    })
  })
})
