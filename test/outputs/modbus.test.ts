/**
 * The Modbus TCP server with mbpoll, a client over libmodbus, and with bytes that no client sends: floods, half frames, other
 * protocols.
 */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { openModbus } from '../../src/outputs/modbus/modbus.js'
import { startModbusServer } from '../../src/outputs/modbus/server.js'
import { reasonNumbers } from '../../src/outputs/modbus/tables.js'
import { createZoneStates } from '../../src/outputs/zone-states.js'
import { configSchema } from '../../src/config/schema.js'
import { endAll, gapcam, launch } from '../process.js'
import { decision, prediction, recordingLog } from '../publish/fixture.js'
import { cleanUp, temporaryFolder, until } from '../publish/mosquitto.js'
import { photo } from '../bundle/bundles.js'

const opened: (() => unknown)[] = []
afterEach(async () => {
  for (const close of opened.splice(0)) await close()
  await endAll()
  await cleanUp()
})

const hasMbpoll = spawnSync('mbpoll', ['-V']).status === 0

/** A server over three zones; `switched` has what clients switched. */
async function serve(more: Record<string, unknown> = {}) {
  const { lines, log } = recordingLog()
  const zones = createZoneStates('dock1', ['cam0', 'yard/gate', 'yard/bin'])
  const switched: string[] = []
  const output = await openModbus({
    config: configSchema.parse({ modbus: { enabled: true, port: 0, ...more } }),
    zones,
    setEnabled: (place, value) => {
      switched.push(`${place} ${value}`)
      return Promise.resolve(place !== 'yard/bin')
    },
    log,
  })
  opened.push(() => output.close())
  const stats = () => output.health() as { clients: number; requests: number; cut: number; template_faults: number }
  const [, port] = /:(\d+)$/.exec(lines.find(({ message }) => message.includes('listening'))!.message)!
  return { zones, switched, stats, lines, port: Number(port) }
}

/** What mbpoll reads or writes, by address from 0, or its complaint. */
async function poll(port: number, args: readonly string[]): Promise<Record<number, string> | string> {
  const run = launch('mbpoll', ['-m', 'tcp', '-0', '-1', '-p', String(port), '127.0.0.1', ...args])
  await run.ended
  const text = run.stdout() + run.stderr()
  const values = [...text.matchAll(/^\[(\d+)\]:\s+(-?\w+)/gm)].map(([, at, value]) => [at, value] as const)
  if (values.length > 0) return Object.fromEntries(values) as Record<number, string>
  return /(?:failed: |Written )(.*)/.exec(text)?.[0] ?? text
}

async function client(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  opened.unshift(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

const frame = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')
const readTen = frame('0001 0000 0006 01 03 0000 000a')

/** Sends frames and resolves with the answers, as hexadecimal without the head. */
async function ask(port: number, ...frames: readonly Buffer[]): Promise<string[]> {
  const socket = await client(port)
  let bytes = Buffer.alloc(0)
  const answers: string[] = []
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    while (bytes.length >= 6 && bytes.length >= 6 + bytes.readUInt16BE(4)) {
      const end = 6 + bytes.readUInt16BE(4)
      answers.push(bytes.subarray(7, end).toString('hex'))
      bytes = bytes.subarray(end)
    }
  })
  for (const one of frames) socket.write(one)
  await until(() => answers.length === frames.length, 'the answers')
  return answers
}

describe.skipIf(!hasMbpoll)('mbpoll (skipped where it is not installed)', () => {
  it('reads zones from registers and coils, in the order of the configuration', async () => {
    const { zones, port } = await serve()
    zones.settled('yard/gate', decision('closed'), { ...prediction(), problem: 'blurred' })
    expect(await poll(port, ['-t', '4', '-r', '0', '-c', '2'])).toEqual({ 0: '1', 1: '3' })
    expect(await poll(port, ['-t', '3', '-r', '32', '-c', '7'])).toEqual({
      ...{ 32: '2', 33: '9700', 34: '0', 35: '1', 36: expect.any(String), 37: expect.any(String), 38: '4' },
    })
    expect(await poll(port, ['-t', '0', '-r', '32', '-c', '4'])).toEqual({ 32: '1', 33: '1', 34: '1', 35: '1' })
    zones.cameraStatus('yard', 'offline')
    expect(await poll(port, ['-t', '4', '-r', '32', '-c', '4'])).toEqual({
      ...{ 32: '0', 33: '0', 34: String(reasonNumbers.camera_lost), 35: '2' },
    })
    expect(await poll(port, ['-t', '1', '-r', '32', '-c', '4'])).toEqual({ 32: '1', 33: '0', 34: '0', 35: '0' })
  })

  it('is told where there is nothing', async () => {
    const { port } = await serve()
    expect(await poll(port, ['-t', '4', '-r', '60', '-c', '10'])).toMatch(/Illegal data address/)
  })

  it('switches a zone by its first coil only where that is enabled', async () => {
    const closed = await serve()
    expect(await poll(closed.port, ['-t', '0', '-r', '32', '0'])).toMatch(/Illegal function/)
    expect(await poll(closed.port, ['-t', '4', '-r', '32', '7'])).toMatch(/Illegal function/)
    const { switched, port } = await serve({ writeCoils: true })
    expect(await poll(port, ['-t', '0', '-r', '32', '0'])).toBe('Written 1 references.')
    expect(await poll(port, ['-t', '0', '-r', '16', '1'])).toBe('Written 1 references.')
    expect(await poll(port, ['-t', '0', '-r', '33', '1'])).toMatch(/Illegal data address/)
    expect(await poll(port, ['-t', '0', '-r', '16', '1', '0'])).toMatch(/Illegal data address/)
    expect(await poll(port, ['-t', '0', '-r', '48', '0'])).toMatch(/device or server failure/i)
    expect(await poll(port, ['-t', '4', '-r', '32', '7'])).toMatch(/Illegal function/)
    expect([...closed.switched, ...switched]).toEqual(['yard/gate false', 'cam0 true', 'yard/bin false'])
  })

  it('reads what a template makes, and the form without it where the template has no result', async () => {
    const templateFile = join(temporaryFolder(), 'modbus.yaml')
    writeFileSync(
      templateFile,
      'registers: [{ $value: "{{label}}", $map: { open: 7, unknown: -1 } }]\ncoils: [{ $value: "{{label}}", $map: { open: true }, $else: false }]\n',
    )
    const { zones, port, stats } = await serve({ templateFile })
    expect(await poll(port, ['-t', '4:hex', '-r', '16', '-c', '2'])).toEqual({ 16: '0xFFFF', 17: '0x0000' })
    zones.settled('cam0', decision('open'), prediction())
    expect(await poll(port, ['-t', '4', '-r', '16', '-c', '1'])).toEqual({ 16: '7' })
    expect(await poll(port, ['-t', '0', '-r', '17', '-c', '1'])).toEqual({ 17: '1' })
    expect(stats().template_faults).toBe(0)
    // No case for it, and the template has not changed: gapcam's own form.
    zones.settled('cam0', decision('closed'), prediction())
    expect(await poll(port, ['-t', '4', '-r', '16', '-c', '2'])).toEqual({ 16: '2', 17: '9700' })
    expect(stats().template_faults).toBe(1)
  })

  it('finds the zones again after gapcam was killed and started again', async () => {
    const port = 20_000 + (process.pid % 20_000)
    const start = () =>
      gapcam([
        ...['run', photo, '--broker', 'none', '--loop', '--set', 'page.enabled=false'],
        ...['--set', 'modbus.enabled=true', '--set', `modbus.port=${port}`, '--set', 'modbus.writeCoils=true'],
      ])
    const label = async (): Promise<string> => {
      const values = await poll(port, ['-t', '4', '-r', '16', '-c', '1'])
      return typeof values === 'string' ? values : values[16]!
    }
    const settled = async (): Promise<string> => {
      let seen = ''
      await until(async () => /^[1-9]/.test((seen = await label())), 'a label', 30_000)
      return seen
    }
    const first = start()
    const before = await settled()
    first.kill('SIGKILL')
    await first.ended
    expect(await label()).toMatch(/Connection refused/)
    const second = start()
    expect(await settled()).toBe(before)
    // A coil is a command like any other.
    expect(await poll(port, ['-t', '0', '-r', '16', '0'])).toBe('Written 1 references.')
    await until(async () => (await label()) === '0', 'the zone off')
    expect(await poll(port, ['-t', '4', '-r', '18', '-c', '1'])).toEqual({ 18: String(reasonNumbers.camera_disabled) })
    expect(await poll(port, ['-t', '0', '-r', '16', '-c', '1'])).toEqual({ 16: '0' })
    second.kill('SIGTERM')
    await second.ended
    expect(second.stderr()).toMatch(/command enabled from modbus/)
  }, 120_000)
})

describe('the Modbus server', () => {
  it('refuses what is not allowed with the exception for it, and goes on', async () => {
    const { port } = await serve({ writeCoils: true })
    const long = Buffer.concat([frame('0001 0000 00fe 01 10'), Buffer.alloc(252)])
    expect(
      await ask(
        port,
        ...[frame('0001 0000 0006 01 03 0000 0000'), frame('0001 0000 0006 01 03 0000 007e')],
        ...[frame('0001 0000 0006 01 01 0000 07d1'), frame('0001 0000 0003 01 03 00')],
        ...[frame('0001 0000 0006 01 05 0010 1234'), frame('0001 0000 0008 01 0f 0010 0001 0201')],
        ...[frame('0001 0000 0006 01 05 ffff ff00'), frame('0001 0000 0006 01 03 ffff 0010')],
        ...[frame('0001 0000 0002 01 2b'), frame('0001 0000 0002 01 83'), long],
        frame('0001 0000 0006 01 03 0000 0001'),
      ),
    ).toEqual(['8303', '8303', '8103', '8303', '8503', '8f03', '8502', '8302', 'ab01', '8301', '9001', '03020001'])
  })

  it.each([
    ['another protocol', frame('474554202f20485454502f312e310d0a')],
    ['a frame of 0 bytes', frame('0001 0000 0000 01 03')],
    ['a frame longer than Modbus has', frame('0001 0000 ffff 01 03')],
  ])('cuts a client off that sends %s', async (_, bytes) => {
    const { port, stats, lines } = await serve()
    const socket = await client(port)
    socket.resume()
    socket.write(bytes)
    await once(socket, 'close')
    expect(stats()).toMatchObject({ clients: 0, requests: 0, cut: 1 })
    expect(lines.at(-1)?.message).toMatch(/^modbus: client 127\.0\.0\.1 is cut off: this is not Modbus TCP/)
    expect(await ask(port, readTen)).toHaveLength(1)
  })

  it('holds a client back that floods and reads nothing, and answers others meanwhile', async () => {
    const { port, stats } = await serve()
    const flood = await client(port)
    flood.pause()
    const thousand = Buffer.concat(Array.from({ length: 1000 }, () => readTen))
    let isFull = false
    // As many bytes as the kernel takes for the socket: then the server no longer reads.
    while (!isFull) {
      isFull = !flood.write(thousand) && flood.writableLength > 8 << 20
      await new Promise(setImmediate)
    }
    const [sentRequests, beganMs, { requests }] = [flood.bytesWritten / readTen.length, Date.now(), stats()]
    for (let i = 0; i < 5; i++) expect((await ask(port, readTen))[0]).toMatch(/^0314/)
    const seconds = (Date.now() - beganMs) / 1000
    expect(sentRequests).toBeGreaterThan(500_000)
    // 200 a second and the burst of 20, and the five others.
    expect(stats().requests - requests).toBeLessThanOrEqual(200 * seconds + 20 + 5)
    expect(flood.writableLength).toBeGreaterThan(4 << 20)
    expect(stats().cut).toBe(0)
  })

  it('turns a client away when all places are taken, unless one has asked nothing for ten seconds', async () => {
    const { lines, log } = recordingLog()
    const time = { ms: 0 }
    const server = await startModbusServer({
      ...{ host: '127.0.0.1', port: 0, maxClients: 2, log, clock: { now: () => time.ms, wall: () => 0 } },
      tables: { register: () => 5, coil: () => true, setCoils: () => Promise.resolve(null) },
    })
    opened.push(() => server.close())
    const [first, second] = [await client(server.port), await client(server.port)]
    await until(() => server.stats().clients === 2, 'two clients')
    const third = await client(server.port)
    third.resume()
    await once(third, 'close')
    expect(lines.at(-1)?.message).toMatch(/is cut off: more than 2 clients/)
    time.ms = 10_000
    second.write(readTen)
    await once(second, 'data')
    first.resume()
    expect(await ask(server.port, readTen)).toEqual([`0314${'0005'.repeat(10)}`])
    await until(() => first.closed, 'the end of the idle one')
    expect(second.destroyed).toBe(false)
    expect(server.stats().cut).toBe(2)
  })

  it('listens on loopback unless told otherwise, warns there, and is off by default', async () => {
    expect(configSchema.parse({}).modbus).toMatchObject({ enabled: false, host: '127.0.0.1', writeCoils: false })
    const { lines } = await serve({ host: '0.0.0.0', writeCoils: true })
    expect(lines[0]?.message).toBe(
      'modbus: whoever reaches 0.0.0.0 can read the zones and switch them: Modbus has no passwords',
    )
    expect((await serve()).lines.map(({ level }) => level)).toEqual(['info'])
  })

  it('says which port it cannot have', async () => {
    const { port } = await serve()
    await expect(serve({ port })).rejects.toThrow(`modbus: cannot listen on 127.0.0.1:${port}: listen EADDRINUSE`)
  })

  it('refuses a template that does not fit', async () => {
    const templateFile = join(temporaryFolder(), 'modbus.yaml')
    for (const [text, fault] of [
      ['register: [1]', 'the document has register; a zone has registers and coils, each a list'],
      [`registers: [${'0,'.repeat(17)}]`, 'registers must be a list of at most 16'],
      ['registers: ["{{lable}}"]', 'registers.0 has {{lable}}, which no field has'],
    ] as const) {
      writeFileSync(templateFile, text)
      await expect(serve({ templateFile })).rejects.toThrow(`modbus.templateFile: ${templateFile}: ${fault}`)
    }
  })
})
