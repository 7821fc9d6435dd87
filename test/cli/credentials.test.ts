/** Passwords and certificates that are replaced while gapcam runs. */
import { execFileSync } from 'node:child_process'
import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { configSchema } from '../../src/config/schema.js'
import { connectionOf } from '../../src/run/connection.js'
import { makeCertificates } from '../publish/certificates.js'
import { recordingLog } from '../publish/fixture.js'
import { asThisUser, cleanUp, hasMosquitto, startMosquitto, temporaryFolder, until } from '../publish/mosquitto.js'
import { createPublisher, type Publisher } from '../../src/publish/publisher.js'

let publisher: Publisher | undefined
afterEach(async () => {
  await publisher?.close()
  await cleanUp()
})

/** A publisher with this configuration that reconnects within milliseconds, and its log. */
function publish(mqtt: object): { readonly publisher: Publisher; readonly messages: () => string[] } {
  const { lines, log } = recordingLog()
  publisher = createPublisher({
    broker: connectionOf(configSchema.parse({ mqtt })),
    node: 'dock1',
    cameras: ['cam0'],
    log,
    backoffMs: { first: 20, most: 100 },
  })
  return { publisher, messages: () => lines.map(({ message }) => message) }
}

it.skipIf(!hasMosquitto)(
  'a new password is taken from its file without a restart; until it can be read the old one is tried, and said to be (skipped where mosquitto is not installed)',
  async () => {
    const folder = temporaryFolder()
    const [users, passwordFile] = [join(folder, 'users'), join(folder, 'password')]
    const setPassword = (password: string): void => {
      execFileSync('mosquitto_passwd', ['-b', ...(password === 'old' ? ['-c'] : []), users, 'dock1', password], {
        stdio: 'ignore',
      })
      chmodSync(users, 0o600)
    }
    setPassword('old')
    writeFileSync(passwordFile, 'old\r\n', { mode: 0o600 })
    const broker = await startMosquitto(['allow_anonymous false', `password_file ${users}`, ...asThisUser])
    const { publisher, messages } = publish({ broker: broker.url, username: 'dock1', passwordFile })
    await publisher.start()
    await until(() => publisher.stats().connected, 'the first connection')

    await broker.kill()
    setPassword('new')
    rmSync(passwordFile)
    await broker.restart()
    await until(() => messages().some((text) => /Not authorized/i.test(text)), 'the refusal of the old password')
    expect(messages().filter((text) => /cannot be read.*what it read before/.test(text))).toHaveLength(1)

    writeFileSync(passwordFile, 'new\n', { mode: 0o600 })
    await until(() => publisher.stats().connected, 'a connection with the new password')
  },
  60_000,
)

it.skipIf(!hasMosquitto)(
  'an authority that is replaced in its file is believed without a restart (skipped where mosquitto is not installed)',
  async () => {
    const [now, later] = [makeCertificates(), makeCertificates()]
    const ca = join(temporaryFolder(), 'ca.pem')
    writeFileSync(ca, now.ca)
    const broker = await startMosquitto(['allow_anonymous true', ...later.settings])
    const { publisher, messages } = publish({ broker: `mqtts://127.0.0.1:${broker.port}`, servername: 'localhost', ca })
    await publisher.start()
    await until(() => messages().some((text) => /certificate/.test(text)), 'the refusal')
    writeFileSync(ca, later.ca)
    await until(() => publisher.stats().connected, 'a connection by the new authority')
  },
  60_000,
)

it('an empty password file is an error before anything starts', () => {
  const passwordFile = join(temporaryFolder(), 'password')
  writeFileSync(passwordFile, '\n')
  expect(() => connectionOf(configSchema.parse({ mqtt: { broker: 'mqtt://broker', passwordFile } }))).toThrow(
    /password is empty/,
  )
})

it('an invalid authority, an invalid key and a key of another certificate are errors before anything starts', () => {
  const folder = temporaryFolder()
  const [own, other] = [makeCertificates(), makeCertificates()]
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const [cert, key, foreign, none] = [
    file('cert.pem', own.client.cert),
    file('key.pem', own.client.key),
    file('foreign.pem', other.client.key),
    file('none.pem', 'nothing of the kind\n'),
  ]
  const connect = (mqtt: object) => () =>
    connectionOf(configSchema.parse({ mqtt: { broker: 'mqtts://broker', ...mqtt } }))
  expect(connect({ ca: file('ca.pem', own.ca), cert, key })()).toMatchObject({ tls: own.client })
  expect(connect({ ca: none })).toThrow(/^mqtt: .*none\.pem cannot be used: no start line$/)
  expect(connect({ cert, key: none })).toThrow(/^mqtt: .*cert\.pem with .*none\.pem cannot be used: /)
  expect(connect({ cert, key: foreign })).toThrow(
    /^mqtt: .*cert\.pem with .*foreign\.pem cannot be used: key values mismatch$/,
  )
})
