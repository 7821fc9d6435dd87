/** `config show` and `config export` know what commands have set; the exported file does the same without it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { exportedYaml, settingRows } from '../../src/cli/config-settings.js'
import { loadConfig } from '../../src/config/config.js'
import { openSettings, readOverrides } from '../../src/run/commands/settings.js'
import { zonesOf } from '../../src/zone/definition.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-export-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const log = { warn: () => undefined }

const text = `node: yard
mqtt: { broker: mqtt://user:geheim1234@broker, stateEveryMs: 2000 }
inputSize: 160x192
video: { frames: 8, every: 250ms }
models: { gate: { path: /srv/gate.onnx }, trust: [/srv/maker.pem], shadow: { every: 5 }, confirm: { after: 1h } }
cameras:
  - { id: a, source: test:// }
  - id: b
    source: test://
    zones: [{ id: gate, trigger: { every: 10s }, dwell: { open: 30s } }, { id: bin }, { id: gone }]
`
/** Settings of version 1, as an older gapcam left them, and zones above them. */
const settings = {
  version: 2,
  cameras: { 'b/gate': { threshold: 0.8 }, a: { roi: { x: 0, y: 0, width: 0.5, height: 1 } } },
  values: { 'policy.margin': 0.2 },
  zones: {
    a: {
      set: { door: { region: { x: 0, y: 0, w: 0.3, h: 0.3 }, trigger: 'motion' } },
      removed: [],
      isOwnRemoved: false,
    },
    b: { set: { bin: { name: 'Bin' } }, removed: ['gone'], isOwnRemoved: false },
  },
}

function setUp() {
  const file = join(folder, 'gapcam.yaml')
  writeFileSync(file, text)
  mkdirSync(join(folder, 'state'), { recursive: true })
  writeFileSync(join(folder, 'state', 'settings.json'), JSON.stringify(settings))
  const loaded = loadConfig({ flags: {}, environment: {}, file })
  return { loaded, overrides: readOverrides(join(folder, 'state')).overrides }
}

it('rows of the settings say so', () => {
  const { loaded, overrides } = setUp()
  const origins = Object.fromEntries(settingRows(loaded, overrides).map(({ key, origin }) => [key, origin]))
  expect(origins).toEqual({
    'policy.margin': 'settings',
    'cameras.a.zones.door': 'settings',
    'cameras.b.zones.gate': 'file',
    'cameras.b.zones.bin': 'settings',
    'cameras.b.zones.gate.threshold': 'settings',
    'cameras.a.roi': 'settings',
  })
})

it('the exported file has the same zones, values and regions, and no password', () => {
  const { loaded, overrides } = setUp()
  const yaml = exportedYaml(loaded, overrides)
  expect(yaml).not.toContain('geheim')
  expect(yaml).toContain('# mqtt.broker holds a password')
  const again = join(folder, 'again.yaml')
  writeFileSync(again, yaml)
  const { config } = loadConfig({ flags: {}, environment: {}, file: again })
  const before = openSettings({
    config: loaded.config,
    cameras: loaded.config.cameras,
    folder: join(folder, 'state'),
    log,
  })
  const after = openSettings({ config, cameras: config.cameras, folder: null, log })
  const zones = (opened: typeof before): unknown =>
    opened.cameras.flatMap(zonesOf).map(({ policy: _, ...zone }) => zone)
  const values = (opened: typeof before): unknown =>
    opened.cameras.flatMap(zonesOf).map(({ key }) => ({ ...opened.zone(key), key }))
  expect(JSON.stringify(zones(after))).toBe(
    JSON.stringify(zones(before)).replace('"roi":null', '"roi":{"x":0,"y":0,"width":0.5,"height":1}'),
  )
  expect(values(after)).toEqual(values(before))
  for (const key of ['inputSize', 'video', 'models'] as const) expect(config[key]).toEqual(loaded.config[key])
})

it('settings of an older version are read, and damaged ones count as empty with the reason', () => {
  const state = join(folder, 'old')
  mkdirSync(state)
  writeFileSync(join(state, 'settings.json'), '{"version":1,"cameras":{"a":{"threshold":0.6}},"values":{}}')
  expect(readOverrides(state)).toEqual({
    overrides: { version: 2, cameras: { a: { threshold: 0.6 } }, values: {}, zones: {} },
    fault: null,
  })
  writeFileSync(join(state, 'settings.json'), '{"version":1,"cam')
  expect(readOverrides(state).fault).toMatch(/settings\.json cannot be read/)
})
