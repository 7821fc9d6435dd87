/** Where a connection goes and as whom: with a broker that records what a client really sends. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { Aedes } from 'aedes'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { targetOf } from '../../src/publish/target.js'
import { visitBroker } from '../../src/publish/visit.js'
import { quickPublisher } from './fixture.js'

let aedes: Aedes
let server: Server
let port = 0
/** User and password of each client. */
const seen: (readonly [string | undefined, string | undefined])[] = []

beforeEach(async () => {
  aedes = await Aedes.createBroker({
    authenticate: (_client, user, password, done) => {
      seen.push([user, password?.toString()])
      done(null, true)
    },
  })
  server = createServer(aedes.handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
afterEach(async () => {
  seen.length = 0
  await new Promise<void>((resolve) => aedes.close(resolve))
  server.close()
})

async function visit(userInfo: string, more: { user?: string; password?: string } = {}): Promise<void> {
  const connection = await visitBroker({
    connect: { url: `mqtt://${userInfo}127.0.0.1:${port}`, protocol: '3.1.1', ...more },
    clientId: 'test',
    signal: AbortSignal.timeout(10_000),
  })
  await connection.close(1000)
}

describe('the broker gets user and password', () => {
  it.each([
    ['me:a:b:c@', 'me', 'a:b:c'],
    ['me:50%25@', 'me', '50%'],
    ['me:%40%2F%3A%23@', 'me', '@/:#'],
    ['a%3Ab:c@', 'a:b', 'c'],
    ['me:p@ss@', 'me', 'p@ss'],
    ['', undefined, undefined],
  ])('as the address %s… has them', async (userInfo, user, password) => {
    await visit(userInfo)
    expect(seen).toEqual([[user, password]])
  })

  it('from the options where the address has none, each by itself', async () => {
    await visit('', { user: 'you', password: 'x:y' })
    await visit('me@', { user: 'you', password: 'x:y' })
    await visit('me:own@', { user: 'you', password: 'x:y' })
    expect(seen).toEqual([
      ['you', 'x:y'],
      ['me', 'x:y'],
      ['me', 'own'],
    ])
  })
})

describe('a target', () => {
  it.each(['ca', 'cert', 'key', 'servername'] as const)('with %s and without encryption is refused', (name) => {
    for (const scheme of ['mqtt', 'tcp', 'ws'])
      expect(() => targetOf({ url: `${scheme}://me:zorro@host`, tls: { [name]: 'x' } })).toThrow(
        new RegExp(`^mqtt\\.${name}: needs an encrypted connection`),
      )
    expect(targetOf({ url: 'mqtts://host', tls: { [name]: 'x' } })).toMatchObject({ port: 8883, isEncrypted: true })
  })

  it('a publisher with such a target is not made, and its error does not hold the password', () => {
    for (const [url, tls] of [
      [`mqtt://me:zorro@127.0.0.1:${port}`, { ca: 'x' }],
      ['mqtt://me:zorro%@host', undefined],
    ] as const) {
      const make = (): unknown => quickPublisher(url, { broker: { tls } })
      expect(make).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
      expect(make).not.toThrow(/zorro/)
    }
  })
})
