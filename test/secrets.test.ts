/** Known secrets, and texts that look like secrets, are never shown. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadConfig, showConfig } from '../src/config/config.js'
import { GapcamError } from '../src/errors.js'
import { credentialFile, keepSecret, keepSecretsOf, readSecret, redact, redactDeep } from '../src/secrets.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-secrets-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

describe('a text is shown without', () => {
  it.each([
    ['rtsp://admin:hunter2@10.0.0.7:554/stream1', 'rtsp://10.0.0.7:554/stream1'],
    ['rtsp://admin:hun@ter2@10.0.0.7/a', 'rtsp://10.0.0.7/a'],
    ['cannot open "mqtts://belt:hunter2@broker": refused', 'cannot open "mqtts://broker": refused'],
    ['{"url":"http://u:p@h/"}', '{"url":"http://h/"}'],
    ['http://cam/video.cgi?user=admin&pwd=hunter2&x=1', 'http://cam/video.cgi?user=admin&pwd=(hidden)&x=1'],
    ['http://cam/?loginpass=hunter2', 'http://cam/?loginpass=(hidden)'],
    [
      'gst:rtspsrc location=rtsp://cam/1 user-id=admin user-pw=hunter2 ! decodebin',
      'gst:rtspsrc location=rtsp://cam/1 user-id=admin user-pw=(hidden) ! decodebin',
    ],
    ['rtsp://cam/stream@1 has no password', 'rtsp://cam/stream@1 has no password'],
    ['mail somebody@example.org', 'mail somebody@example.org'],
  ])('%s', (text, shown) => {
    expect(redact(text)).toBe(shown)
  })

  it('registered secrets, in every form in which they may appear', () => {
    keepSecret('gr"eat & secret/1')
    keepSecretsOf('rtsp://u:p%20w0rd@h/x')
    const forms = [
      'gr"eat & secret/1',
      encodeURIComponent('gr"eat & secret/1'),
      JSON.stringify('gr"eat & secret/1').slice(1, -1),
      'p%20w0rd',
      'p w0rd',
    ]
    for (const form of forms) expect(redact(`x ${form} y`)).toBe('x (hidden) y')
    expect(redactDeep({ a: [{ b: 'gr"eat & secret/1' }], n: 1, nothing: null })).toEqual({
      a: [{ b: '(hidden)' }],
      n: 1,
      nothing: null,
    })
  })

  it.each([
    ['rtsp://admin:pa#ss/w@cam1/live', 'rtsp://cam1/live'],
    ['rtsp://admin:pa?s s@cam2/live', 'rtsp://cam2/live'],
    ['rtsp://cam3/user=admin_password=x1y_channel=1', 'rtsp://cam3/(hidden)'],
    ['http://cam4/s.cgi?loginuse=u&loginpas=x1y', 'http://cam4/s.cgi?loginuse=(hidden)&loginpas=(hidden)'],
    ['rtsp://admin:no address@', 'rtsp://(hidden)'],
    ['test://?seed=1', 'test://?seed=1'],
    ['v4l2:///dev/video0', 'v4l2:///dev/video0'],
  ])('the registered address %s', (source, shown) => {
    keepSecretsOf(source)
    expect(redact(`open ${source} was refused`)).toBe(`open ${shown} was refused`)
  })

  it('secrets in errors', () => {
    keepSecret('faulty-secret')
    expect(new GapcamError('CAMERA_LOST', 'the camera said faulty-secret on rtsp://u:p@h/').message).toBe(
      'the camera said (hidden) on rtsp://h/',
    )
  })
})

describe('the configuration', () => {
  const passwordFile = file('password', 'from-a-file\n')

  it('shows none of its secrets', () => {
    const config = file(
      'all.yaml',
      `mqtt: { broker: 'mqtt://belt:in-the-url@broker', password: in-the-file, passwordFile: ${passwordFile} }
cameras: [{ id: gate, source: 'rtsp://admin:in-the-source@gate/1' }, { id: yard, source: 'rtsp://yard/1', username: bo, passwordFile: ${passwordFile} }]\n`,
    )
    const loaded = loadConfig({ flags: {}, environment: {}, file: config })
    expect(loaded.config.cameras[1]!.source).toBe('rtsp://bo:from-a-file@yard/1')
    const shown = JSON.stringify(showConfig(loaded))
    expect(shown).toContain('rtsp://gate/1')
    for (const secret of ['in-the-url', 'in-the-file', 'in-the-source', 'from-a-file'])
      expect(shown).not.toContain(secret)
  })

  it('prefers a credential of the service manager to a file, and says where it comes from', () => {
    const credentials = mkdtempSync(join(folder, 'credentials-'))
    for (const name of ['mqtt-password', 'mqtt-key', 'camera-gate-password'])
      writeFileSync(join(credentials, name), `credential ${name}`)
    const config = file(
      'credentials.yaml',
      "mqtt: { broker: 'mqtt://broker', passwordFile: /etc/closed, key: /etc/key }\ncameras: [{ id: gate, source: 'rtsp://ann@gate/1', passwordFile: /etc/closed }]\n",
    )
    const loaded = loadConfig({ flags: {}, environment: { CREDENTIALS_DIRECTORY: credentials }, file: config })
    expect(loaded.config.mqtt).toMatchObject({
      passwordFile: join(credentials, 'mqtt-password'),
      key: join(credentials, 'mqtt-key'),
    })
    expect(loaded.config.cameras[0]!.source).toBe('rtsp://ann:credential%20camera-gate-password@gate/1')
    expect(loaded.origins.get('mqtt.passwordFile')).toBe('credential')
  })

  it('prefers a written password to a credential', () => {
    const credentials = mkdtempSync(join(folder, 'credentials-'))
    writeFileSync(join(credentials, 'mqtt-password'), 'lies about')
    const { config } = loadConfig({
      flags: {},
      environment: { CREDENTIALS_DIRECTORY: credentials, GAPCAM_MQTT_PASSWORD: 'written down' },
    })
    expect(config.mqtt).toMatchObject({ password: 'written down' })
    expect(config.mqtt.passwordFile).toBeUndefined()
  })

  it("finds a container's secrets after those of a service manager", () => {
    const [service, container] = [mkdtempSync(join(folder, 'service-')), mkdtempSync(join(folder, 'container-'))]
    writeFileSync(join(container, 'mqtt-password'), 'x')
    expect(credentialFile('mqtt-password', {}, container)).toBe(join(container, 'mqtt-password'))
    writeFileSync(join(service, 'mqtt-password'), 'y')
    expect(credentialFile('mqtt-password', { CREDENTIALS_DIRECTORY: service }, container)).toBe(
      join(service, 'mqtt-password'),
    )
    expect(credentialFile('mqtt-key', { CREDENTIALS_DIRECTORY: service }, container)).toBeNull()
  })

  it('warns of secret files that every user of the machine can read', () => {
    const open = file('open', 'open-secret', 0o644)
    const config = file(
      'open.yaml',
      `mqtt: { broker: 'mqtt://broker', password: in-an-open-file, passwordFile: ${open} }\n`,
      0o644,
    )
    expect(loadConfig({ flags: {}, environment: {}, file: config }).warnings).toEqual([
      `${open} holds a secret and every user can read it: chmod o-r ${open}`,
      `${config} holds a secret and every user can read it: chmod o-r ${config}`,
    ])
    chmodSync(open, 0o640)
    chmodSync(config, 0o640)
    expect(loadConfig({ flags: {}, environment: {}, file: config }).warnings).toEqual([])
  })

  it('names the camera whose password cannot be read', () => {
    const config = (source: string, password: string): string =>
      file('camera.yaml', `cameras: [{ id: gate, source: '${source}', passwordFile: ${password} }]\n`)
    expect(() => loadConfig({ flags: {}, environment: {}, file: config('rtsp://gate/1', '/nowhere') })).toThrow(
      /camera gate: the password file \/nowhere cannot be read: it does not exist/,
    )
    expect(() => loadConfig({ flags: {}, environment: {}, file: config('/dev/video0', passwordFile) })).toThrow(
      /camera gate has a password file, but its source is not a network address/,
    )
  })

  it('reads a secret without the line break at its end', () => {
    expect(readSecret(file('line', 'two words \r\n'))).toBe('two words ')
  })
})

describe("a secret's file", () => {
  it.each([
    ['a byte order mark', '\uFEFFhunter2', 'hunter2'],
    ['a byte order mark and a line break of Windows', '\uFEFFhunter2\r\n', 'hunter2'],
    ['space around the secret, which belongs to it', ' hunter2 \n', ' hunter2 '],
  ])('with %s', (_, text, secret) => {
    expect(readSecret(file('password', text))).toBe(secret)
  })

  it('in UTF-16 is refused with what to do', () => {
    const path = join(folder, 'utf16')
    for (const bytes of [Buffer.from('\uFEFFhunter2', 'utf16le'), Buffer.from('\uFEFFhunter2', 'utf16le').swap16()]) {
      writeFileSync(path, bytes)
      expect(() => readSecret(path)).toThrow('it is UTF-16 text; save it as UTF-8')
    }
  })
})
