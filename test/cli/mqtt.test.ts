/** `gapcam mqtt test|discover|clear` and `gapcam watch` with real brokers, with and without access rules. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { testBroker, type BrokerCheck } from '../../src/cli/mqtt-test.js'
import { loadConfig } from '../../src/config/config.js'
import { endAll, gapcam, jsonLines, launch, cli } from '../process.js'
import { makeCertificates } from '../publish/certificates.js'
import { connectClient, type Client } from '../publish/client.js'
import { asThisUser, cleanUp, freePort, startMosquitto, temporaryFolder, until } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-mqtt-cli-'))
const bird = join(projectRoot, 'models/photos/bird.jpg')
const clients: Client[] = []
// Each test starts several processes, possibly on a busy machine.
vi.setConfig({ testTimeout: 180_000 })
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  await endAll()
  await cleanUp()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Check {
  check: string
  result: string
  detail: string
}

async function run(args: readonly string[]): Promise<{ status: unknown; stdout: string; stderr: string }> {
  const program = gapcam(args)
  const status = await program.ended
  return { status, stdout: program.stdout(), stderr: program.stderr() }
}
async function listen(url: string): Promise<Client> {
  const client = await connectClient(url)
  clients.push(client)
  return client
}
function accessRules(lines: readonly string[]): string {
  const file = join(temporaryFolder(), 'acl')
  writeFileSync(file, `${lines.join('\n')}\n`)
  return `acl_file ${file}`
}

describe('gapcam mqtt test with TLS', () => {
  it('says what to do about a certificate that is not accepted, a wrong name and a port without TLS', async () => {
    const { ca, settings } = makeCertificates()
    const [broker, plain] = [await startMosquitto(['allow_anonymous true', ...settings]), await startMosquitto()]
    const caFile = join(temporaryFolder(), 'ca.pem')
    writeFileSync(caFile, ca)
    const test = (url: string, ...more: string[]) => run(['mqtt', 'test', '--broker', url, ...more])
    const stranger = await test(`mqtts://localhost:${broker.port}`)
    expect([stranger.status, stranger.stderr]).toEqual([5, expect.stringMatching(/not accepted: .*\n.*mqtt\.ca/)])
    const wrongName = await test(`mqtts://127.0.0.1:${broker.port}`, '--set', `mqtt.ca=${caFile}`)
    expect([wrongName.status, wrongName.stderr]).toEqual([5, expect.stringMatching(/mqtt\.servername/)])
    const noTls = await test(`mqtts://localhost:${plain.port}`, '--set', `mqtt.ca=${caFile}`)
    expect([noTls.status, noTls.stderr]).toEqual([
      5,
      expect.stringMatching(/ends the connection.*\n.*mqtts:\/\/ on 8883/),
    ])
    const noKey = await test(`mqtts://localhost:${broker.port}`, '--set', `mqtt.cert=${caFile}`)
    expect([noKey.status, noKey.stderr]).toEqual([2, expect.stringMatching(/^gapcam: mqtt\.key: must be given/)])
    const trusted = await test(`mqtts://localhost:${broker.port}`, '--set', `mqtt.ca=${caFile}`)
    expect(trusted.status, trusted.stderr).toBe(0)
    const clear = await test(`mqtt://localhost:${plain.port}`, '--set', `mqtt.ca=${caFile}`)
    expect([clear.status, clear.stderr]).toEqual([2, expect.stringMatching(/mqtt\.ca .*is not encrypted/)])
  })
})

describe('gapcam mqtt test', () => {
  it('passes a broker without access rules, and leaves nothing on it', async () => {
    const broker = await startMosquitto()
    const { status, stdout, stderr } = await run(['mqtt', 'test', '--broker', broker.url])
    expect(status, stdout + stderr).toBe(0)
    const checks = jsonLines<Check>(stdout)
    expect(checks.filter(({ result }) => result !== 'ok')).toEqual([])
    expect(checks.map(({ check }) => check)).toEqual(
      expect.arrayContaining([
        'connect',
        'listen gapcam/gapcam/request/+',
        'send gapcam/gapcam/cam0/event',
        'send gapcam/gapcam/cam0/image',
        'send homeassistant/device/gapcam_gapcam/config',
        'retain',
        'message size',
      ]),
    )
    expect((await run(['mqtt', 'clear', '--broker', broker.url, '--set', `stateDir=${folder}`])).stdout).toBe(
      '{"cleared":[],"others":[]}\n',
    )
  })

  it('names each topic that access rules forbid, with MQTT 5 and with 3.1.1', async () => {
    const rules = accessRules([
      'topic readwrite gapcam/gapcam/#',
      'topic deny gapcam/gapcam/cam0/event',
      'topic read homeassistant/status',
    ])
    const broker = await startMosquitto(['allow_anonymous true', rules, ...asThisUser])
    const { status, stdout } = await run(['mqtt', 'test', '--broker', broker.url])
    expect(status).toBe(5)
    expect(jsonLines<Check>(stdout).filter(({ result }) => result !== 'ok')).toEqual(
      ['gapcam/gapcam/cam0/event', 'homeassistant/device/gapcam_gapcam/config'].map((topic) => ({
        check: `send ${topic}`,
        result: 'failed',
        detail: expect.stringMatching(/may not publish there/),
      })),
    )
    // MQTT 3.1.1 does not report a refusal, so a missing message may be a refused publish or a refused subscription.
    const { config } = loadConfig({ environment: {}, flags: { cameras: [{ id: 'cam0', source: 'test://' }] } })
    const checks = await testBroker({
      config,
      connect: { url: broker.url, protocol: '3.1.1' },
      signal: new AbortController().signal,
      answerMs: 1000,
    })
    expect(checks.filter(({ result }) => result !== 'ok')).toMatchObject(
      ['gapcam/gapcam/cam0/event', 'homeassistant/device/gapcam_gapcam/config'].map((topic) => ({
        check: `send ${topic}`,
        result: 'failed',
        detail: expect.stringMatching(/did not come back.*3\.1\.1 does not say/),
      })),
    )
    const terminal = launch('script', [
      '-qec',
      `${process.execPath} ${cli} mqtt test --broker ${broker.url}`,
      '/dev/null',
    ])
    await terminal.ended
    expect(terminal.stdout()).toMatch(
      /send gapcam\/gapcam\/cam0\/event +FAILED +the broker refuses the message: this user may not publish there/,
    )
  })

  it('says that pictures are too large for a broker, whether the broker names its limit or not', async () => {
    const { config } = loadConfig({ environment: {}, flags: { cameras: [{ id: 'cam0', source: 'test://' }] } })
    const failed = async (setting: string, protocol: '5' | '3.1.1'): Promise<BrokerCheck[]> => {
      const { url } = await startMosquitto(['allow_anonymous true', setting])
      const { signal } = new AbortController()
      const checks = await testBroker({ config, connect: { url, protocol }, signal, answerMs: 200 })
      return checks.filter(({ result }) => result !== 'ok')
    }
    const saying = (detail: RegExp): unknown => [
      { check: 'message size', result: 'failed', detail: expect.stringMatching(detail) as string },
    ]
    expect(await failed('max_packet_size 20000', '5')).toEqual(saying(/at most 20 kB; a picture .* up to 500 kB/))
    expect(await failed('max_packet_size 20000', '3.1.1')).toEqual(
      saying(/ended the connection over a message of 500 kB/),
    )
    expect(await failed('message_size_limit 20000', '3.1.1')).toEqual(saying(/500 kB, .* did not come back/))
  })

  it('only reads if a gapcam of this node is online', async () => {
    const broker = await startMosquitto()
    const client = await listen(broker.url)
    gapcam([
      'run',
      bird,
      '--loop',
      '--fps',
      '10',
      '--json',
      '--broker',
      broker.url,
      '--set',
      `stateDir=${folder}/online`,
    ])
    await client.sees('gapcam/gapcam/cam0/label', 'chickadee')
    const { status, stdout } = await run(['mqtt', 'test', '--broker', broker.url])
    expect(status, stdout).toBe(0)
    const checks = jsonLines<Check>(stdout)
    expect(checks.find(({ check }) => check === 'send gapcam/gapcam/request/info')).toMatchObject({
      result: 'ok',
      detail: 'a gapcam is online as this node, and it answered',
    })
    expect(checks.find(({ check }) => check === 'read gapcam/gapcam/cam0/event')).toMatchObject({
      result: 'not tested',
    })
    expect(checks.find(({ check }) => check === 'read gapcam/gapcam/cam0/label')).toMatchObject({ result: 'ok' })
    expect(client.last('gapcam/gapcam/cam0/label')).toBe('chickadee')
    expect(client.last('gapcam/gapcam/status')).toBe('online')
  })

  it('reports a wrong address, a wrong password and a missing broker with status 5', async () => {
    const passwords = join(folder, 'passwords')
    writeFileSync(passwords, '')
    const closed = await startMosquitto(['allow_anonymous false', `password_file ${passwords}`, ...asThisUser])
    expect(await run(['mqtt', 'test', '--broker', closed.url])).toMatchObject({
      status: 5,
      stderr: expect.stringMatching(/Not authorized/i),
    })
    expect(await run(['mqtt', 'test', '--broker', `mqtt://127.0.0.1:${await freePort()}`])).toMatchObject({
      status: 5,
      stderr: expect.stringMatching(/ECONNREFUSED/),
    })
    expect(await run(['mqtt', 'test', '--broker', 'none'])).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/there is no broker/),
    })
  })
})

describe('gapcam mqtt discover', () => {
  it('prints the message that a run sends', async () => {
    const broker = await startMosquitto()
    const client = await listen(broker.url)
    gapcam(['run', bird, '--loop', '--json', '--broker', broker.url, '--set', `stateDir=${folder}/discover`])
    await client.sees('homeassistant/device/gapcam_gapcam/config', /cam0_label/)
    const { status, stdout, stderr } = await run(['mqtt', 'discover'])
    expect(status, stderr).toBe(0)
    const said = jsonLines<{ topic: string; payload: unknown }>(stdout)
    expect(said.map(({ topic }) => topic)).toEqual(['homeassistant/device/gapcam_gapcam/config', 'gapcam/gapcam/model'])
    for (const { topic, payload } of said) expect(payload).toEqual(JSON.parse(client.last(topic)))
  })
})

describe('gapcam mqtt clear', () => {
  it('removes what several runs retained, also for cameras that are gone, and touches nothing else', async () => {
    const broker = await startMosquitto()
    const stateDir = join(folder, 'clear')
    const client = await listen(broker.url)
    for (const camera of ['old', 'cam0']) {
      const running = gapcam([
        'run',
        bird,
        '--loop',
        '--fps',
        '10',
        '--json',
        '--camera',
        camera,
        '--broker',
        broker.url,
        '--set',
        `stateDir=${stateDir}`,
        '--set',
        'mqtt.retainImages=true',
      ])
      await client.sees(`gapcam/gapcam/${camera}/label`, 'chickadee')
      await client.ask('gapcam/gapcam', 'snapshot')
      expect(await run(['mqtt', 'clear', '--broker', broker.url, '--set', `stateDir=${stateDir}`])).toMatchObject({
        status: 2,
        stderr: expect.stringMatching(/stop it first/i),
      })
      running.kill('SIGKILL')
      await running.ended
      await client.sees('gapcam/gapcam/status', 'offline')
    }
    const others = [
      ['gapcam/gapcam/request/restart', 'PRESS'],
      ['gapcam/other/status', 'online'],
      ['homeassistant/device/gapcam_other/config', '{"origin":{"name":"gapcam"}}'],
      ['homeassistant/device/gapcam_gapcam_x/config', '{"origin":{"name":"somebody"}}'],
    ] as const
    for (const [topic, payload] of others) await client.say(topic, payload, true)
    const { status, stdout, stderr } = await run([
      'mqtt',
      'clear',
      '--broker',
      broker.url,
      '--set',
      `stateDir=${stateDir}`,
    ])
    expect(status, stderr).toBe(0)
    const { cleared, others: left } = JSON.parse(stdout) as { cleared: string[]; others: string[] }
    expect(cleared).toEqual(
      expect.arrayContaining([
        'gapcam/gapcam/cam0/label',
        'gapcam/gapcam/cam0/image',
        'gapcam/gapcam/status',
        'homeassistant/device/gapcam_gapcam/config',
      ]),
    )
    expect(left).toEqual(['gapcam/gapcam/request/restart'])
    const late = await listen(broker.url)
    await until(() => late.heard.length >= others.length, 'what is retained')
    expect(late.heard.map(({ topic }) => topic).sort()).toEqual(others.map(([topic]) => topic).sort())
  })
})

describe('gapcam watch', () => {
  it('prints one JSON object per message in a pipe, survives a restart of the broker, and ends with 130', async () => {
    const broker = await startMosquitto()
    const client = await listen(broker.url)
    await client.say('gapcam/gapcam/cam0/label', 'open', true)
    const watching = gapcam(['watch', '--broker', broker.url])
    await watching.until(/cam0\/label/)
    await client.say('gapcam/gapcam/cam0/image', Buffer.from([0xff, 0xd8, 0xff]))
    await client.say('gapcam/gapcam/cam0/state', '{"label":"open"}')
    await client.say('gapcam/elsewhere/cam0/label', 'not ours')
    await watching.until(/cam0\/state/)
    await broker.kill()
    await watching.until(/the connection is lost/)
    await broker.restart()
    await until(
      () => client.say('gapcam/gapcam/cam0/label', 'shut').then(() => /shut/.test(watching.stdout())),
      'a message after the restart',
    )
    watching.kill('SIGINT')
    expect(await watching.ended).toBe(130)
    expect(
      jsonLines<{ topic: string; payload: unknown; bytes: number; retained: boolean }>(watching.stdout()).slice(0, 3),
    ).toMatchObject([
      { topic: 'gapcam/gapcam/cam0/label', payload: 'open', retained: true },
      { topic: 'gapcam/gapcam/cam0/image', bytes: 3, retained: false },
      { topic: 'gapcam/gapcam/cam0/state', payload: { label: 'open' } },
    ])
  })

  it('draws a table on a terminal, in which no message can move the cursor', async () => {
    const broker = await startMosquitto()
    const client = await listen(broker.url)
    await client.say('gapcam/gapcam/cam0/label', 'op\u001b[2Jen', true)
    const watching = launch('script', ['-qec', `${process.execPath} ${cli} watch --broker ${broker.url}`, '/dev/null'])
    await watching.until(/gapcam\/gapcam\/cam0\/label +0 s +op\\u001b\[2Jen/)
    expect(watching.stdout()).not.toContain('op\u001b')
    watching.kill('SIGTERM')
    await watching.ended
  })

  it('fails at once if the broker is missing', async () => {
    expect(await run(['watch', '--broker', `mqtt://127.0.0.1:${await freePort()}`])).toMatchObject({ status: 5 })
  })
})
