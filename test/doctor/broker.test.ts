/** The broker checks of `gapcam doctor`, with real brokers, access rules and certificates. */
import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { asThisUser, hasMosquitto, startMosquitto, subscribe } from '../publish/mosquitto.js'
import { bird, doctor, small, testFolder } from './run-doctor.js'

const folder = testFolder()

describe.skipIf(!hasMosquitto)('brokers (skipped where mosquitto is not installed)', () => {
  const at = (url: string, ...more: string[]): ReturnType<typeof doctor> =>
    doctor(bird, ...small, '--broker', url, ...more)

  it('a broker that accepts gapcam passes, and Home Assistant on it is found', async () => {
    const broker = await startMosquitto()
    const { messages } = await subscribe(broker.port, 'gapcam/gapcam/#')
    execFileSync('mosquitto_pub', [
      '-h',
      '127.0.0.1',
      '-p',
      String(broker.port),
      '-t',
      'homeassistant/status',
      '-m',
      'online',
      '-r',
    ])
    const { exit, of } = await at(broker.url)
    expect(exit).toBe(0)
    expect([of('login').verdict, of('right to subscribe').verdict, of('right to publish').verdict]).toEqual([
      'ok',
      'ok',
      'ok',
    ])
    expect(of('Home Assistant')).toMatchObject({
      verdict: 'ok',
      evidence: expect.stringMatching(/online on this broker/),
    })
    expect(
      messages.every(({ topic }) => topic === 'gapcam/gapcam/response/doctor'),
      'other clients get no further message',
    ).toBe(true)
  })

  it('an unknown name fails at the name', async () => {
    const { exit, of } = await at('mqtt://no-such-host.invalid')
    expect([exit, of('name').verdict]).toEqual([5, 'fail'])
    expect(of('name').evidence).toMatch(/no-such-host\.invalid/)
  })

  it('a wrong password fails at the login, missing rights fail at publishing', async () => {
    const [users, acl] = [join(folder, 'users'), join(folder, 'acl')]
    execFileSync('mosquitto_passwd', ['-c', '-b', users, 'cam', 'right'])
    writeFileSync(acl, 'user cam\ntopic read other/#\n')
    chmodSync(users, 0o600)
    const broker = await startMosquitto([
      'allow_anonymous false',
      `password_file ${users}`,
      `acl_file ${acl}`,
      ...asThisUser,
    ])
    const wrong = await at(broker.url, '--set', 'mqtt.username=cam', '--set', 'mqtt.password=wrong')
    expect([wrong.exit, wrong.of('login').verdict, wrong.of('login').fix]).toEqual([
      5,
      'fail',
      expect.stringMatching(/mqtt\.username and mqtt\.passwordFile/),
    ])
    expect(JSON.stringify(wrong.checks)).not.toContain('"wrong"')
    // User and password in the address are those that `gapcam run` would use.
    const inUrl = await at(broker.url.replace('//', '//cam:right@'))
    expect(inUrl.of('login')).toMatchObject({ verdict: 'ok', evidence: expect.stringMatching(/as cam$/) })
    const wrongInUrl = await at(broker.url.replace('//', '//cam:wr%3Aong@'), '--set', 'mqtt.password=right')
    expect(wrongInUrl.of('login').verdict).toBe('fail')
    const bare = await at(broker.url, '--set', 'mqtt.username=cam', '--set', 'mqtt.password=right')
    expect([bare.exit, bare.of('login').verdict, bare.of('right to publish').verdict]).toEqual([5, 'ok', 'fail'])
    expect(bare.of('right to publish').fix).toMatch(/topic readwrite gapcam\/#/)
  })

  it('an untrusted certificate and a port without TLS fail at TLS, a trusted certificate passes', async () => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '30',
        '-subj',
        '/CN=localhost',
        '-addext',
        'subjectAltName=DNS:localhost',
        '-keyout',
        key,
        '-out',
        cert,
      ],
      { stdio: 'ignore' },
    )
    const broker = await startMosquitto(['allow_anonymous true', `certfile ${cert}`, `keyfile ${key}`, ...asThisUser])
    const url = `mqtts://localhost:${broker.port}`
    const stranger = await at(url)
    expect([stranger.exit, stranger.of('TLS').verdict, stranger.of('TLS').fix]).toEqual([
      5,
      'fail',
      expect.stringMatching(/mqtt\.ca/),
    ])
    const trusted = await at(url, '--set', `mqtt.ca=${cert}`)
    expect([trusted.exit, trusted.of('TLS').verdict, trusted.of('TLS').evidence]).toEqual([
      0,
      'ok',
      expect.stringMatching(/certificate of localhost, valid for (29|30) days/),
    ])
    const plain = await startMosquitto()
    const odd = await at(`mqtts://localhost:${plain.port}`)
    expect([odd.exit, odd.of('TLS').verdict]).toEqual([5, 'fail'])
  })
})
