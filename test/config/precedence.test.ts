/** Flags before GAPCAM_* before the YAML file before defaults, for every combination of the places that have a value. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { loadConfig, showConfig, variableOf, type Origin } from '../../src/config/config.js'
import { nearestOf } from '../../src/config/nearest.js'
import { configKeys } from '../../src/config/keys.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-precedence-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Three valid values of each key other than its default: for the flag, the variable and the file. */
const values: Readonly<Record<string, readonly [unknown, unknown, unknown]>> = {
  node: ['a', 'b', 'c'],
  stateDir: ['/a', '7', '/c'],
  model: ['a.onnx', 'b.onnx', 'c.onnx'],
  labels: ['a.txt', 'b.txt', 'c.txt'],
  engine: ['native', 'onnxruntime', 'native'],
  threads: [1, 2, 3],
  resize: ['cover', 'stretch', 'contain'],
  novelty: [true, true, true],
  noveltyPictures: ['a', 'b', 'c'],
  topK: [1, 2, 3],
  task: ['detect', 'classify', 'detect'],
  frames: [1, 2, 3],
  'policy.threshold': [0.11, 0.12, 0.13],
  'policy.hysteresis': [0.11, 0.12, 0.13],
  'policy.consecutive': [7, 8, 9],
  'policy.margin': [0.11, 0.12, 0.13],
  'policy.smoothingMs': [101, 102, 103],
  'policy.staleAfterMs': [501, 502, 503],
  'mqtt.broker': ['mqtt://a', 'mqtt://b', 'none'],
  'mqtt.port': [2001, 2002, 2003],
  'mqtt.base': ['a', 'b/b', 'c'],
  'mqtt.imageEveryMs': [0, 5000, -1],
  'mqtt.username': ['a', '007', 'c'],
  'mqtt.passwordFile': ['a', 'b', 'c'],
  'mqtt.ca': ['a', 'b', 'c'],
  'mqtt.cert': ['a', 'b', 'c'],
  'mqtt.key': ['a', 'b', 'c'],
  'mqtt.servername': ['a', 'b', 'c'],
  'mqtt.ack': ['application', 'application', 'application'],
  'mqtt.retain': [false, false, false],
  'outbox.maxMb': [1, 2, 3],
  'outbox.maxAgeH': [1, 2, 3],
  'outbox.results': [true, true, true],
  'mqtt.insecure': [true, true, true],
  'mqtt.keepaliveS': [21, 22, 23],
  'mqtt.birthJitterS': [5, 20, 30],
  'mqtt.stateEveryMs': [1, 2, 3],
  'mqtt.resultEveryMs': [1, 2, 3],
  'mqtt.retainImages': [true, true, true],
  'webhook.url': ['http://a', 'http://b', 'http://c'],
  'webhook.secretFile': ['a', 'b', 'c'],
  'webhook.timeoutS': [1, 2, 3],
  'influx.url': ['http://a', 'http://b', 'http://c'],
  'influx.version': [1, 1, 1],
  'influx.org': ['a', 'b', 'c'],
  'influx.bucket': ['a', 'b', 'c'],
  'influx.tokenFile': ['a', 'b', 'c'],
  'webhook.templateFile': ['a', 'b', 'c'],
  'influx.timeoutS': [1, 2, 3],
  'influx.templateFile': ['a', 'b', 'c'],
  'modbus.enabled': [true, true, true],
  'modbus.host': ['a', 'b', 'c'],
  'modbus.port': [1, 2, 3],
  'modbus.writeCoils': [true, true, true],
  'modbus.maxClients': [1, 2, 3],
  'modbus.templateFile': ['a', 'b', 'c'],
  'opcua.enabled': [true, true, true],
  'opcua.host': ['a', 'b', 'c'],
  'opcua.port': [1, 2, 3],
  'opcua.security': ['encrypt', 'encrypt', 'encrypt'],
  'opcua.pkiFolder': ['a', 'b', 'c'],
  'opcua.username': ['a', 'b', 'c'],
  'opcua.passwordFile': ['a', 'b', 'c'],
  'opcua.maxClients': [1, 2, 3],
  'opcua.templateFile': ['a', 'b', 'c'],
  'video.frames': [2, 3, 4],
  'video.every': ['200ms', '3s', '400ms'],
  'video.pool': ['mean', 'mean', 'mean'],
  heat: [false, false, false],
  planCache: [false, false, false],
  'lens.watch': [false, false, false],
  'lens.checks': [2, 3, 4],
  'lens.everyMs': [1, 2, 3],
  'lens.frozenAfterMs': [1001, 1002, 1003],
  'recorder.enabled': [true, true, true],
  'recorder.folder': ['/a', '/b', '/c'],
  'recorder.seconds': [1, 2, 3],
  'recorder.memoryMegabytes': [1, 2, 3],
  'recorder.diskMegabytes': [1, 2, 3],
  'recorder.onLowConfidence': [false, false, false],
  'recorder.onLabelChange': [false, false, false],
  'collector.enabled': [true, true, true],
  'collector.perMinute': [1, 2, 3],
  'collector.perDay': [1, 2, 3],
  'collector.maxMegabytes': [1, 2, 3],
  'collector.auditMinutes': [1, 2, 3],
  hungAfterMs: [2001, 2002, 2003],
  progressFile: ['/a', '7', '/c'],
  waitForCameras: [true, true, true],
  precision: ['fp32', 'fp16', 'fp32'],
  cudaPrecision: ['fp16', 'fp32', 'fp16'],
  cudaRestart: ['always', 'never', 'always'],
  'page.enabled': [false, false, false],
  'page.host': ['a', 'b', 'c'],
  'page.port': [3001, 3002, 3003],
  'page.tokenFile': ['a', 'b', 'c'],
  homeassistant: [false, false, false],
  homeassistantPrefix: ['a', 'b/b', 'c'],
  json: [true, true, true],
  logLevel: ['debug', 'warn', 'error'],
}

/** `a.b` as a YAML tree. */
function tree(key: string, value: unknown): unknown {
  const [group, name] = key.split('.') as [string, string | undefined]
  return name === undefined ? { [group]: value } : { [group]: { [name]: value } }
}

/** The expected value and origin of a key. In `places`, 4 stands for the flag, 2 for the variable, 1 for the file. */
function expectedOf(key: string, places: number): [unknown, Origin] | null {
  const [flag, variable, inFile] = values[key]!
  if ((places & 4) !== 0) return [flag, 'flag']
  if ((places & 2) !== 0) return [variable, 'environment']
  return (places & 1) !== 0 ? [inFile, 'file'] : null
}

it.each(Object.keys(values))('%s is taken from the first place that has it', (key) => {
  const [flag, variable, inFile] = values[key]!
  const file = join(folder, `${key}.yaml`)
  writeFileSync(file, stringify(tree(key, inFile)))
  for (let places = 0; places < 8; places++) {
    const loaded = loadConfig({
      flags: (places & 4) !== 0 ? { [key]: flag } : {},
      environment: (places & 2) !== 0 ? { [variableOf(key)]: String(variable) } : {},
      ...((places & 1) !== 0 ? { file } : {}),
    })
    const [value, origin] = expectedOf(key, places) ?? [
      configKeys().find((entry) => entry.key === key)?.default,
      'default',
    ]
    expect(
      showConfig(loaded).find((entry) => entry.key === key),
      `places ${places}`,
    ).toEqual({ key, value, origin })
  }
})

it('the table above has all keys except lists, maps, sizes and secrets', () => {
  const left = configKeys()
    .map(({ key }) => key)
    .filter((key) => !key.includes('[') && !(key in values))
  expect(left.sort()).toEqual(['cameras', 'groups', 'inputSize', 'models', 'mqtt.password', 'page.token'])
})

it('for every key with one letter inserted, deleted, replaced or swapped, that key is suggested', () => {
  const known = configKeys()
    .map(({ key }) => key)
    .filter((key) => !key.includes('['))
  for (const key of known.filter((name) => name.length > 5)) {
    const at = Math.floor(key.length / 2)
    const wrong = [
      key.slice(0, at) + key.slice(at + 1),
      `${key.slice(0, at)}q${key.slice(at)}`,
      `${key.slice(0, at)}q${key.slice(at + 1)}`,
      key.slice(0, at - 1) + key[at]! + key[at - 1]! + key.slice(at + 1),
    ]
    for (const name of wrong)
      expect(
        known.includes(name) || nearestOf(name, known) === key,
        `${name} for ${key}: ${nearestOf(name, known)}`,
      ).toBe(true)
  }
})
