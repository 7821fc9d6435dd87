/** Mistakes in a configuration are refused before anything starts, with the key and the place of the value. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/config.js'
import { gapcam } from '../process.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-validation-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function written(yaml: string): string {
  const file = join(folder, 'gapcam.yaml')
  writeFileSync(file, yaml)
  return file
}
const load = (yaml: string): unknown => loadConfig({ flags: {}, environment: {}, file: written(yaml) })

it('a group whose keys are all commented out has the defaults', () => {
  expect(
    loadConfig({ flags: {}, environment: {}, file: written('mqtt:\n#  broker: none\npolicy:\n') }).config,
  ).toMatchObject({ mqtt: { broker: 'embedded' }, policy: { consecutive: 3 } })
})

it('a camera can take the keys of another one by the merge key', () => {
  const yaml = 'cameras:\n  - &gate { id: gate, source: test://, fps: 5 }\n  - { <<: *gate, id: door }'
  expect(loadConfig({ flags: {}, environment: {}, file: written(yaml) }).config.cameras).toMatchObject([
    { id: 'gate', fps: 5 },
    { id: 'door', source: 'test://', fps: 5 },
  ])
})

it.each(['[0', '*x', '{a', '!secret x'])('the value %s of a variable is refused with its key', (value) => {
  expect(() => loadConfig({ flags: {}, environment: { GAPCAM_POLICY_THRESHOLD: value } })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(/^policy\.threshold: .* YAML/) }),
  )
})

describe('a configuration is refused', () => {
  it.each([
    ['for a rotation that is none', 'cameras: [{ id: a, source: test://, rotate: 45 }]', /must be 0, 90, 180 or 270$/],
    [
      'for a time without a unit, with the key below a union',
      'cameras: [{ id: a, source: test://, zones: [{ id: z, trigger: { every: 5 } }] }]',
      /^cameras\.0\.zones\.0\.trigger\.every \(from the file\): must be a time with its unit/,
    ],
    [
      'for a second document',
      'node: a\n---\nnode: b',
      /gapcam\.yaml: it holds a second document, which begins at line 2, column 1$/,
    ],
    [
      'for a tag of another program',
      'mqtt: { password: !secret mqtt }',
      /gapcam\.yaml: Unresolved tag: !secret at line 1/,
    ],
    [
      'for anchors that grow without end',
      [
        'a: &a [x,x,x,x,x,x,x,x]',
        ...['b', 'c', 'd', 'e'].map((k, i) => `${k}: &${k} [${`*${'abcd'[i]},`.repeat(8)}]`),
      ].join('\n'),
      /gapcam\.yaml: its anchors repeat too much$/,
    ],
    ['for a key that stands twice', 'node: a\nnode: b', /: a key stands twice in one group, .* at line 2, column 1$/],
    [
      'for a value with a colon',
      'mqtt:\n  password: a: b',
      /: a value with a colon and a space needs quotes at line 2/,
    ],
    ['for a tab', 'mqtt:\n\tbroker: none', /: the line is indented with a tab, .* at line 2/],
    ['for a line that stands wrongly', 'mqtt:\n  base: a\n broker: none', /: the line is not indented as .* at line 3/],
    [
      'for a misspelled key that is missing too',
      'cameras: [{ id: a, sorce: test:// }]',
      /^cameras\.0\.sorce is not a key of the configuration; did you mean source\?$/,
    ],
    [
      'for a group with a value of its own',
      'mqtt: none',
      /gapcam\.yaml: mqtt is a group of keys .* such as mqtt\.broker/,
    ],
    [
      'for two cameras with one id',
      'cameras: [{ id: a, source: test:// }, { id: b, source: test:// }, { id: a, source: test:// }]',
      /^cameras \(from the file\): two cameras have the id a/,
    ],
    [
      'for a broker of another kind',
      'mqtt: { broker: http://broker }',
      /^mqtt\.broker \(from the file\): must be .* mqtts:\/\//,
    ],
    ['for a broker without a host', "mqtt: { broker: 'mqtt://' }", /^mqtt\.broker/],
    ['for a port above 65535', "mqtt: { broker: 'mqtt://broker:99999' }", /^mqtt\.broker/],
    [
      'for text without quotes that YAML reads as a number',
      'mqtt: { password: 12345678 }',
      /^mqtt\.password \(from the file\): must be text; put the value in quotes$/,
    ],
    ['for an unknown value', 'engine: gpu', /^engine \(from the file\): must be auto, cuda, native or onnxruntime$/],
    ['for a base that belongs to the broker', 'mqtt: { base: $SYS }', /^mqtt\.base .*neither \$ nor/],
    ['for a base with an empty last level', 'mqtt: { base: site/ }', /^mqtt\.base .*end with/],
    ['for a name that is too long for commands', `node: ${'n'.repeat(65)}`, /^node /],
    [
      'for a number out of range where text is allowed too',
      'inputSize: 7',
      /^inputSize \(from the file\): must be at least 8/,
    ],
    ['for text that is not a size', 'inputSize: big', /^inputSize \(from the file\): must be like 160 or 240x320/],
    [
      'for a wrong value of a camera, with its place',
      'cameras: [{ id: a, source: test://, fps: -1 }]',
      /^cameras\.0\.fps \(from the file\)/,
    ],
    [
      'for an option of ffmpeg without a value',
      'cameras: [{ id: a, source: rtsp://x/, ffmpegOptions: [-re] }]',
      /ffmpegOptions.*must be names and values in turn/,
    ],
    [
      'for a value of ffmpeg in place of an option',
      'cameras: [{ id: a, source: rtsp://x/, ffmpegOptions: [udp, -rtsp_transport] }]',
      /ffmpegOptions.*names that begin with -/,
    ],
    [
      'for a second input of ffmpeg',
      'cameras: [{ id: a, source: rtsp://x/, ffmpegOptions: [-i, /etc/passwd] }]',
      /ffmpegOptions.*must not hold an option that gapcam sets itself/,
    ],
    [
      'for an address that cannot be read, without its password',
      "cameras: [{ id: a, source: 'rtsp://admin:hunter2@' }]",
      /^(?!.*hunter2).*cannot be read/,
    ],
    ['a state directory below a file', 'stateDir: /dev/null/state', /^stateDir: .* because \/dev\/null is a file$/],
  ])('%s', (_, yaml, sentence) => {
    expect(() => load(yaml)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(sentence) }),
    )
  })

  it('because it is not UTF-8', () => {
    const file = join(folder, 'latin1.yaml')
    writeFileSync(file, Buffer.from('node: a # Küche', 'latin1'))
    expect(() => loadConfig({ flags: {}, environment: {}, file })).toThrow(`configuration ${file}: it is not UTF-8`)
  })

  it('but not because all entries of a list are commented out', () => {
    expect(load('cameras:\n  # - { id: a, source: test:// }\n')).toMatchObject({ config: { cameras: [] } })
  })

  it('because the file does not exist, in words', () => {
    const file = join(folder, 'none.yaml')
    expect(() => loadConfig({ flags: {}, environment: {}, file })).toThrow(`configuration ${file}: it does not exist`)
  })
})

describe('gapcam config validate refuses what a run would', () => {
  it.each([
    [
      'a camera with the name of a topic of the node',
      'cameras: [{ id: status, source: test:// }]',
      /camera id status is the name of a topic/,
    ],
    ['a camera of no known kind', 'cameras: [{ id: a, source: ftp://x }]', /ftp:\/\/x" is of no known kind/],
  ])('%s', async (_, yaml, sentence) => {
    const run = gapcam(['config', 'validate', '--config', written(yaml)])
    expect(await run.ended).toBe(2)
    expect(run.stderr()).toMatch(sentence)
  })

  it('but names files that this machine does not have, because it may be meant for another', async () => {
    const cameras = '[{ id: a, source: test://, zones: [{ id: z, model: ./z.onnx }, { id: y, model: door }] }]'
    const models = '{ door: { path: /nowhere/door.onnx } }'
    const yaml = `model: /nowhere/m.onnx\nlabels: l.txt\nmodels: ${models}\ncameras: ${cameras}\n`
    const run = gapcam(['config', 'validate', '--config', written(yaml)])
    expect(await run.ended).toBe(0)
    expect(run.stderr().trim().split('\n')).toEqual([
      'warning  model: /nowhere/m.onnx does not exist on this machine',
      'warning  labels: l.txt does not exist on this machine',
      'warning  models.door.path: /nowhere/door.onnx does not exist on this machine',
      'warning  model of the zone a/z: ./z.onnx does not exist on this machine',
      'the configuration is valid',
    ])
  })
})
