/** What a configuration may not say, and how that is said: before anything starts, with the key and its place. */
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

it('a group whose keys are all comments has their defaults', () => {
  expect(
    loadConfig({ flags: {}, environment: {}, file: written('mqtt:\n#  broker: none\npolicy:\n') }).config,
  ).toMatchObject({ mqtt: { broker: 'embedded' }, policy: { consecutive: 3 } })
})

describe('a configuration is refused', () => {
  it.each([
    [
      'for a group with a value of its own',
      'mqtt: none',
      /gapcam\.yaml: mqtt is a group of keys, such as mqtt\.broker/,
    ],
    [
      'for two cameras with one id',
      'cameras: [{ id: a, source: test:// }, { id: b, source: test:// }, { id: a, source: test:// }]',
      /^cameras \(from the file\): two have the id a/,
    ],
    [
      'for a broker of another kind',
      'mqtt: { broker: http://broker }',
      /^mqtt\.broker \(from the file\): must be .* mqtts:\/\//,
    ],
    ['for a broker without a host', "mqtt: { broker: 'mqtt://' }", /^mqtt\.broker/],
    ['for a port that there is not', "mqtt: { broker: 'mqtt://broker:99999' }", /^mqtt\.broker/],
    ['for a base that is the broker’s own', 'mqtt: { base: $SYS }', /^mqtt\.base .*neither \$ nor/],
    ['for a base with an empty last level', 'mqtt: { base: site/ }', /^mqtt\.base .*end with/],
    ['for a name longer than commands take', `node: ${'n'.repeat(65)}`, /^node /],
    ['for a number out of range where text is taken too', 'inputSize: 7', /^inputSize \(from the file\): Too small/],
    [
      'for text that is no size where a number is taken too',
      'inputSize: big',
      /^inputSize \(from the file\): must be like 160 or 240x320/,
    ],
    [
      'for a key of a camera, with its place',
      'cameras: [{ id: a, source: test://, fps: -1 }]',
      /^cameras\.0\.fps \(from the file\)/,
    ],
  ])('%s', (_, yaml, sentence) => {
    expect(() => load(yaml)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(sentence) }),
    )
  })

  it('where the file is not there, in words', () => {
    const file = join(folder, 'none.yaml')
    expect(() => loadConfig({ flags: {}, environment: {}, file })).toThrow(
      `configuration ${file}: there is no such file`,
    )
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
})
