/** Wrong values of the `mqtt` keys are refused, and secrets in them are not repeated. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/config.js'
import type { Config } from '../../src/config/schema.js'
import { gapcam } from '../process.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-config-mqtt-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function load(yaml: string, environment: NodeJS.ProcessEnv = {}): Config {
  const file = join(folder, 'gapcam.yaml')
  writeFileSync(file, yaml)
  return loadConfig({ flags: {}, environment, file }).config
}

describe('a broker address that cannot be used', () => {
  it.each(['mqtt://ditigs:zorro#x@host', 'mqtt://me:zorro%@host', 'mqtt://me:zo/rro@host', 'mqtt://me:zorro@'])(
    '%s is a configuration error that does not repeat it',
    (broker) => {
      let message = ''
      try {
        load(`mqtt: { broker: "${broker}" }`)
      } catch (error) {
        message = String(error)
      }
      expect(message).toMatch(/mqtt\.broker \(from the file\): the address cannot be used: .*mqtt\.passwordFile/)
      expect(message).not.toMatch(/zo.?rro|ditigs/)
    },
  )

  it('ends the program with 2, and no output shows the password', { timeout: 60_000 }, async () => {
    for (const command of ['run', 'doctor', 'mqtt test']) {
      const run = gapcam([...command.split(' '), '--broker', 'mqtt://me:zorro100%@127.0.0.1:1'])
      expect(await run.ended, command).toBe(2)
      const output = run.stderr() + run.stdout()
      expect(output).toMatch(/write it as %25/)
      expect(output).not.toContain('zorro')
    }
  })
})

describe('TLS options with an unencrypted address', () => {
  it.each([
    ['ca: /ca.pem', 'ca'],
    ['cert: /c.pem', 'cert'],
    ['servername: broker', 'servername'],
    ['insecure: true', 'insecure'],
  ])('%s is refused: the password would go out in clear', (line, key) => {
    for (const scheme of ['mqtt', 'ws', 'MQTT'])
      expect(() => load(`mqtt:\n  broker: ${scheme}://me:zorro@host\n  ${line}\n`)).toThrow(
        new RegExp(
          `^mqtt\\.${key} \\(from the file\\): needs an encrypted connection, but \\w+://host is not encrypted`,
        ),
      )
  })

  it.each(['mqtts://host', 'wss://host', 'embedded', 'none'])('are accepted with %s', (broker) => {
    expect(load(`mqtt: { broker: "${broker}", ca: /ca.pem }`).mqtt.ca).toBe('/ca.pem')
  })
})

describe('a topic', () => {
  it.each([
    ['my home', 'a space (character 3 of "my home")'],
    ['home/#', 'the wildcard # (character 6'],
    ['a+b', 'the wildcard + (character 2'],
  ])('%s is refused with the character that is wrong', (base, what) => {
    for (const [key, yaml] of [
      ['mqtt.base', `mqtt: { base: "${base}" }`],
      ['homeassistantPrefix', `homeassistantPrefix: "${base}"`],
    ] as const)
      expect(() => load(yaml)).toThrow(`${key} (from the file): must not contain ${what}`)
  })

  it.each([
    ['$SYS', 'must begin with neither $ nor /'],
    ['/home', 'must begin with neither $ nor /'],
    ['home/', 'must not end with /'],
    ['', 'must not be empty'],
  ])('mqtt.base %j is refused', (base, what) => {
    expect(() => load(`mqtt: { base: "${base}" }`)).toThrow(what)
  })
})

describe('a value that YAML does not read as text', () => {
  it.each([
    ['mqtt: { password: 12345678 }', 'mqtt.password'],
    ['mqtt: { username: 1 }', 'mqtt.username'],
    ['mqtt: { password: true }', 'mqtt.password'],
    ['page: { token: 1234567890123456 }', 'page.token'],
    ['cameras: [{ id: a, source: "rtsp://h/", username: 12345678 }]', 'cameras.0.username'],
  ])('%s: the message says to put it in quotes', (yaml, key) => {
    expect(() => load(yaml)).toThrow(`${key} (from the file): must be text; put the value in quotes`)
  })

  it('is text from the environment', () => {
    expect(load('', { GAPCAM_MQTT_PASSWORD: '12345678' }).mqtt.password).toBe('12345678')
  })
})
