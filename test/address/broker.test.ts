import { describe, expect, it } from 'vitest'
import { plainAddress, takeBrokerApart } from '../../src/address/broker.js'

const partsOf = (text: string) => {
  const taken = takeBrokerApart(text)
  if ('fault' in taken) throw new Error(taken.fault)
  return taken.address
}

describe("a broker's address", () => {
  it.each([
    ['mqtt://host', { scheme: 'mqtt', host: 'host', port: undefined, rest: '' }],
    ['MQTTS://host:8884', { scheme: 'mqtts', host: 'host', port: 8884 }],
    ['mqtt://me:secret@host', { user: 'me', password: 'secret', host: 'host' }],
    ['mqtt://me@host', { user: 'me', password: undefined }],
    ['mqtt://me:@host', { user: 'me', password: undefined }],
    ['mqtt://me:a:b:c@host:1884', { user: 'me', password: 'a:b:c', host: 'host', port: 1884 }],
    ['mqtt://me:p@ss@host', { user: 'me', password: 'p@ss', host: 'host' }],
    ['mqtt://me:50%25%23%2F%3F%40@host', { user: 'me', password: '50%#/?@' }],
    ['mqtt://a%3Ab:c@host', { user: 'a:b', password: 'c' }],
    ['mqtt://me:two words@host', { user: 'me', password: 'two words' }],
    ['mqtt://me:secret@[fe80::1]:1884', { host: 'fe80::1', port: 1884, password: 'secret' }],
    ['ws://me:secret@host/mqtt?x=1', { scheme: 'ws', host: 'host', password: 'secret', rest: '/mqtt?x=1' }],
  ])('%s is taken apart', (text, parts) => {
    expect(partsOf(text)).toMatchObject(parts)
  })

  it.each([
    ['mqtt://ditigs:2024#x@host', /%2F, %3F and %23/],
    ['mqtt://me:zo/rro@host', /%2F, %3F and %23/],
    ['mqtt://me:zo?rro@host', /%2F, %3F and %23/],
    ['mqtt://me:zorro100%@host', /write it as %25/],
    ['mqtt://me:%zorro@host', /write it as %25/],
    ['mqtt://me:zorro%ff@host', /write it as %25/],
    ['mqtt://me%:zorro@host', /write it as %25/],
    ['mqtt://ditigs:2024#zorro', /write it as %23/],
    ['mqtt://me:zorro', /no @ stands before the host/],
    ['mqtt://me:zorro@', /no host/],
    ['mqtt://me:zorro@:1883', /no host/],
    ['mqtt://me:zorro@ho st', /cannot be read/],
    ['mqtt://me:zorro@host:18 83', /cannot be read/],
    ['mqtt://me:zorro@host:99999', /above 65535/],
    ['http://me:zorro@host', /none of mqtt/],
    ['zorro', /does not begin with a scheme/],
  ])('%s is refused with the reason, and no part of it is repeated', (text, why) => {
    const taken = takeBrokerApart(text)
    expect(taken).toEqual({ fault: expect.stringMatching(why) })
    expect(JSON.stringify(taken)).not.toMatch(/zorro|ditigs|2024|zo\W?rro/)
  })

  it('is shown without user and password', () => {
    expect(plainAddress(partsOf('mqtts://me:a:b@host:8884'))).toBe('mqtts://host:8884')
    expect(plainAddress(partsOf('ws://me:a@[::1]:9001/mqtt'))).toBe('ws://[::1]:9001/mqtt')
    expect(plainAddress(partsOf('mqtt://host/'))).toBe('mqtt://host')
  })
})
