/** The OPC UA server with asyncua, a client in Python: reading, watching, a restart, certificates and passwords. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { configSchema } from '../../src/config/schema.js'
import { openOpcua } from '../../src/outputs/opcua/opcua.js'
import { createZoneStates } from '../../src/outputs/zone-states.js'
import { endAll, launch } from '../process.js'
import { decision, prediction, recordingLog } from '../publish/fixture.js'
import { cleanUp, temporaryFolder, until } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

const opened: (() => unknown)[] = []
afterEach(async () => {
  await endAll()
  for (const close of opened.splice(0)) await close()
  await cleanUp()
})

const { asyncuaFolder } = (await import(join(projectRoot, 'scripts/fetch/asyncua.mjs'))) as {
  readonly asyncuaFolder: () => string | null
}
const asyncua = asyncuaFolder()

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function serve(more: Record<string, unknown> = {}) {
  const { lines, log } = recordingLog()
  const zones = createZoneStates('dock1', ['cam0', 'yard/gate'])
  const stateDir = temporaryFolder()
  const port = await freePort()
  const options = {
    ...{ config: configSchema.parse({ node: 'dock1', stateDir, opcua: { enabled: true, port, ...more } }), zones, log },
  }
  let output = await openOpcua(options)
  opened.push(() => output.close())
  const restart = async (): Promise<void> => {
    await output.close()
    output = await openOpcua(options)
  }
  return { zones, lines, restart, url: `opc.tcp://127.0.0.1:${port}/gapcam`, health: () => output.health() }
}

function client(...args: readonly string[]) {
  const env = { ...process.env, PYTHONPATH: asyncua! }
  return launch('python3', [join(projectRoot, 'test/outputs/opcua-client.py'), ...args], { env })
}

async function read(url: string, ...more: readonly string[]) {
  const run = client('read', url, ...more)
  await run.ended
  return { values: run.stdout() === '' ? null : (JSON.parse(run.stdout()) as unknown), fault: run.stderr().trim() }
}

const unsaid = {
  ...{ label: 'unknown', label_number: 0, score: 0, prev: 'unknown', reason: 'starting', problem: 'none' },
  ...{ online: false, enabled: true, changes: 0 },
}

describe.skipIf(asyncua === null)('asyncua (skipped where it cannot be fetched from PyPI)', () => {
  it('reads the zones, sees changes, writes nothing, and finds all again after a restart', async () => {
    const { zones, url, restart, health } = await serve()
    zones.settled('cam0', decision('open'), prediction())
    const { values, fault } = await read(url, 'write=ns=1;s=cam0.label')
    const open = { ...unsaid, label: 'open', label_number: 1, score: 0.97, reason: 'none', online: true, changes: 1 }
    expect(values).toEqual({ cam0: open, 'yard/gate': unsaid })
    expect(fault).toMatch(/BadNotWritable|BadUserAccessDenied/)
    expect(process.env['OPENSSL_CONF']).toMatch(/^\//)
    const watch = client('watch', url, 'ns=1;s=cam0.label')
    await watch.until(/"open"/)
    zones.settled('cam0', decision('closed'), prediction())
    await watch.until(/"closed"/)
    expect(health()).toMatchObject({ clients: 1 })
    await restart()
    await watch.until(/"closed"[^]*"lost"[^]*"closed"/)
    zones.settled('cam0', decision('open'), prediction())
    await watch.until(/"lost"[^]*"closed"\n"open"/)
    zones.add('yard/bin')
    expect((await read(url)).values).toMatchObject({ 'yard/bin': unsaid })
  }, 60_000)

  it('connects only encrypted, with a trusted certificate and the password, where the configuration says so', async () => {
    const folder = temporaryFolder()
    const [cert, key, passwordFile] = ['cert.der', 'key.pem', 'password'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=test', '-days', '2', '-keyout', key]
    const extensions = [
      'subjectAltName=URI:urn:test:client',
      'keyUsage=critical,digitalSignature,keyEncipherment,dataEncipherment,nonRepudiation',
    ]
    execFileSync(
      'openssl',
      [...request, '-outform', 'DER', '-out', cert, ...extensions.flatMap((text) => ['-addext', text])],
      { stdio: 'pipe' },
    )
    writeFileSync(passwordFile, 'correct horse\n', { mode: 0o600 })
    const pkiFolder = join(folder, 'pki')
    // As strangers would leave them: of these the newest 100 stay.
    mkdirSync(join(pkiFolder, 'rejected'), { recursive: true })
    for (let i = 0; i < 120; i++) writeFileSync(join(pkiFolder, 'rejected', `stranger-${i}`), '')
    const { url } = await serve({ pkiFolder, security: 'encrypt', username: 'plc', passwordFile })
    const own = [`cert=${cert}`, `key=${key}`]
    expect((await read(url)).fault).toMatch(/No matching endpoints|BadSecurity/)
    expect(await read(url, ...own, 'user=plc', 'password=correct horse')).toMatchObject({
      values: null,
      fault: expect.any(String),
    })
    const [rejected, trusted] = [join(pkiFolder, 'rejected'), join(pkiFolder, 'trusted/certs')]
    const added = (): string | undefined => readdirSync(rejected).find((name) => !name.startsWith('stranger'))
    await until(() => added() !== undefined, 'the certificate among those that are rejected')
    expect(readdirSync(rejected)).toHaveLength(101)
    const name = added()!
    renameSync(join(rejected, name), join(trusted, name))
    await until(
      async () => (await read(url, ...own, 'user=plc', 'password=correct horse')).values !== null,
      'the trusted client',
    )
    expect((await read(url, ...own, 'user=plc', 'password=wrong')).fault).toMatch(
      /BadUserAccessDenied|BadIdentityToken/,
    )
    expect((await read(url, ...own)).values).toBeNull()
  }, 60_000)

  it('reads what a template makes; where it has no result the values stay', async () => {
    const templateFile = join(temporaryFolder(), 'opcua.yaml')
    writeFileSync(
      templateFile,
      'open: { $value: "{{label}}", $map: { open: true, unknown: false } }\npercent: { $value: "{{score}}", $times: 100, $round: 0 }\n',
    )
    const { zones, url, health } = await serve({ templateFile })
    zones.settled('cam0', decision('open'), prediction())
    expect((await read(url)).values).toMatchObject({ cam0: { open: true, percent: 97 } })
    zones.settled('cam0', { ...decision('closed'), score: 0.5 }, prediction())
    expect((await read(url)).values).toMatchObject({ cam0: { open: true, percent: 97 } })
    expect(health()).toMatchObject({ template_faults: 1 })
  }, 60_000)
})

describe('the OPC UA server', () => {
  it('is off by default, and without security it listens on loopback only', async () => {
    expect(configSchema.parse({}).opcua).toMatchObject({ enabled: false, host: '127.0.0.1', security: 'none' })
    await expect(serve({ host: '0.0.0.0' })).rejects.toThrow(
      'opcua.host: 0.0.0.0 is reachable from other machines without security',
    )
    await expect(serve({ username: 'plc' })).rejects.toThrow('opcua: username and passwordFile belong together')
    await expect(serve({ username: 'plc', passwordFile: '/nowhere' })).rejects.toThrow(
      /^opcua\.passwordFile: \/nowhere cannot be read/,
    )
  })

  it('says which port it cannot have', async () => {
    const blocker = createServer().listen(0, '127.0.0.1')
    await once(blocker, 'listening')
    opened.push(() => blocker.close())
    const { port } = blocker.address() as AddressInfo
    await expect(serve({ port })).rejects.toThrow(`opcua: cannot listen on 127.0.0.1:${port}: `)
  })

  it.each([
    ['- 1', 'the document must be 1 to 100 names of variables, each with a value'],
    ['"a b": 1', '"a b" is no name: it may have letters, digits, _ and -'],
    ['a: "{{lable}}"', 'a has {{lable}}, which no field has'],
  ])('refuses the template %s', async (text, fault) => {
    const templateFile = join(temporaryFolder(), 'opcua.yaml')
    writeFileSync(templateFile, text)
    await expect(serve({ templateFile })).rejects.toThrow(fault)
  })
})
