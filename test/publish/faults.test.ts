/**
 * Brokers and links that fail. Where no real broker fails in the required way, a TCP server takes its place (a
 * stand-in).
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { decision, prediction, quickPublisher } from './fixture.js'
import {
  asThisUser,
  cleanUp,
  freePort,
  hasMosquitto,
  retained,
  startChild,
  startMosquitto,
  subscribe,
  temporaryFolder,
  until,
} from './mosquitto.js'

const open: { close(): Promise<unknown> }[] = []

function track<T extends { close(): Promise<unknown> }>(closable: T): T {
  open.push(closable)
  return closable
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((closable) => closable.close()))
  await cleanUp()
})

/** A TCP server in place of a broker; `answer` gets the received bytes and the socket. */
async function standIn(
  port: number,
  answer: (socket: Socket, data: Buffer) => void,
): Promise<{ readonly connects: () => number; close(): Promise<void> }> {
  let connects = 0
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    connects++
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (data) => answer(socket, data))
  }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  let closing: Promise<void> | null = null
  const close = (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(() => resolve()))
  }
  return track({ connects: () => connects, close: () => (closing ??= close()) })
}

/** CONNACK, success, no properties. */
const connack5 = Buffer.of(0x20, 3, 0, 0, 0)

/** The protocol level of an MQTT CONNECT: the byte after the protocol's name. */
const levelOf = (connect: Buffer): number => connect[connect.indexOf('MQTT') + 4]!

describe.skipIf(!hasMosquitto)('faults (skipped where mosquitto is not installed)', { timeout: 60_000 }, () => {
  it('a process that is killed leaves its last will', async () => {
    const broker = await startMosquitto()
    const client = await subscribe(broker.port, 'gapcam/dock1/status')
    const script = `
      import { createPublisher } from ${JSON.stringify(new URL('../../dist/publish/publisher.js', import.meta.url).href)}
      const log = { info() {}, warn() {}, debug() {} }
      const publisher = createPublisher({ broker: { url: '${broker.url}', willDelaySeconds: 0 }, node: 'dock1', cameras: ['cam0'], log })
      await publisher.start()`
    const child = startChild(process.execPath, ['--input-type=module', '-e', script])
    await until(() => client.messages.some(({ payload }) => payload === 'online'), 'online')
    child.kill('SIGKILL')
    await until(() => client.messages.at(-1)?.payload === 'offline', 'the will')
    expect(await retained(broker.port, 'gapcam/dock1/status')).toBe('offline')
  })

  it('a short break is not visible to others: the broker holds the will back (MQTT 5)', async () => {
    const broker = await startMosquitto()
    const client = await subscribe(broker.port, 'gapcam/dock1/status')
    const port = await freePort()
    const first = await relay(port, broker.port)
    const publisher = track(quickPublisher(`mqtt://127.0.0.1:${port}`, { broker: { willDelaySeconds: 30 } }))
    await publisher.start()
    await until(() => client.messages.length === 1, 'online')
    await first.close()
    await until(() => !publisher.stats().connected, 'the break')
    await relay(port, broker.port)
    await until(() => client.messages.length === 2, 'online again')
    expect(client.messages.map(({ payload }) => payload)).toEqual(['online', 'online'])
  })

  it('a refused password is tried again without end, and logged once', async () => {
    const passwords = join(temporaryFolder(), 'passwords')
    writeFileSync(passwords, '', { mode: 0o644 })
    execFileSync('mosquitto_passwd', ['-b', passwords, 'cam', 'right'])
    const settings = ['allow_anonymous false', `password_file ${passwords}`, ...asThisUser]
    const broker = await startMosquitto(settings)
    const publisher = track(quickPublisher(broker.url, { broker: { user: 'cam', password: 'late' } }))
    await publisher.start()
    publisher.settled('cam0', decision('open'), prediction())
    const refusals = (level: string): number =>
      publisher.lines.filter((line) => line.level === level && /not authorized/i.test(line.message)).length
    await until(() => refusals('debug') >= 3, 'three more attempts')
    expect(refusals('warn')).toBe(1)
    expect(JSON.stringify(publisher.lines)).not.toContain('late')
    expect(publisher.stats().lastError).toMatch(/not authorized/i)
    expect(publisher.lines.find(({ level }) => level === 'warn')?.fields).toMatchObject({ code: 'BROKER_REFUSED' })

    await broker.kill()
    execFileSync('mosquitto_passwd', ['-b', passwords, 'cam', 'late'])
    await broker.restart()
    await until(() => publisher.stats().connected && publisher.stats().protocol === '5', 'the connection')
    await until(
      async () => (await retained(broker.port, 'gapcam/dock1/cam0/label', ['-u', 'cam', '-P', 'late'])) === 'open',
      'the label',
    )
  })

  it('a broker that closes the connection on CONNECT (a stand-in) is tried with both versions, until a real one replaces it', async () => {
    const port = await freePort()
    const levels: number[] = []
    const rude = await standIn(port, (socket, data) => {
      levels.push(levelOf(data))
      socket.destroy()
    })
    const publisher = track(quickPublisher(`mqtt://127.0.0.1:${port}`))
    await publisher.start()
    await until(() => levels.length >= 4, 'four attempts')
    expect(levels.slice(0, 4)).toEqual([5, 4, 5, 4])
    expect(publisher.lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
    await rude.close()
    await startMosquitto(undefined, port)
    await until(() => publisher.stats().connected, 'the connection')
  })

  it('an event without an acknowledgement goes to the backlog of the next connection, and only there', async () => {
    const port = await freePort()
    // A stand-in for a broker that hangs: it accepts the connection and acknowledges nothing.
    const mute = await standIn(port, (socket, data) => {
      if (data[0] === 0x10) socket.write(connack5)
    })
    const publisher = track(quickPublisher(`mqtt://127.0.0.1:${port}`, { broker: { ackTimeoutMs: 300 } }))
    await publisher.start()
    await until(() => publisher.stats().connected, 'the connection')
    publisher.event('cam0', 'label_changed', decision('open'), prediction())
    await until(() => /no acknowledgement/.test(publisher.stats().lastError ?? ''), 'the deadline')
    await mute.close()
    const broker = await startMosquitto(undefined, await freePort())
    const client = await subscribe(broker.port, 'gapcam/#')
    // The subscription exists before gapcam can reach the broker through this relay.
    await relay(port, broker.port)
    await until(() => client.messages.some(({ topic }) => topic === 'gapcam/dock1/cam0/backlog'), 'the backlog')
    expect(client.messages.filter(({ topic }) => topic === 'gapcam/dock1/cam0/event')).toEqual([])
    await until(() => publisher.stats().queued === 0, 'its acknowledgement')
  })

  it.each(['5', '3.1.1'] as const)('two instances with one client id each warn once (MQTT %s)', async (protocol) => {
    const broker = await startMosquitto()
    const both = [0, 1].map(() => track(quickPublisher(broker.url, { broker: { protocol } })))
    await Promise.all(both.map((publisher) => publisher.start()))
    const explained = (): number =>
      both
        .flatMap(({ lines }) => lines)
        .filter(({ message }) => /a second gapcam running as gapcam-dock1/.test(message)).length
    await until(() => explained() >= 1, 'the explanation')
    const reconnects = both[0]!.stats().reconnects
    await until(() => both[0]!.stats().reconnects >= reconnects + 3, 'three more rounds')
    for (const { lines } of both)
      expect(lines.filter(({ message }) => /a second gapcam/.test(message)).length).toBeLessThanOrEqual(1)
  })

  it('events beyond the bound are replaced by a gap with their number', async () => {
    const broker = await startMosquitto(['allow_anonymous true', 'max_queued_messages 0'])
    const client = await subscribe(broker.port, 'gapcam/+/+/backlog')
    const publisher = track(quickPublisher(broker.url))
    const one = prediction()
    for (let i = 1; i <= 5000; i++)
      publisher.event('cam0', 'label_changed', decision(i % 2 ? 'open' : 'closed', i), one)
    const { dropped } = publisher.stats()
    expect(dropped).toBeGreaterThan(3999)
    await publisher.start()
    await until(() => client.messages.length === 5000 - dropped + 1, 'the backlog')
    const [gap, next] = client.messages.slice(0, 2).map(({ payload }) => JSON.parse(payload))
    expect(gap).toMatchObject({ event_type: 'gap', from: 1, to: dropped, missing: dropped })
    expect(next.seq).toBe(dropped + 1)
  })
})

describe('closing', () => {
  it('ends while an address never answers (a stand-in)', async () => {
    const port = await freePort()
    const silent = await standIn(port, () => undefined)
    const publisher = quickPublisher(`mqtt://127.0.0.1:${port}`, { closeTimeoutMs: 100 })
    await publisher.start()
    await until(() => silent.connects() === 1, 'the attempt')
    await publisher.close()
    expect(publisher.stats().connected).toBe(false)
  })

  it('ends while a broker acknowledges nothing (a stand-in)', async () => {
    const port = await freePort()
    await standIn(port, (socket, data) => {
      if (data[0] === 0x10) socket.write(connack5)
    })
    const publisher = quickPublisher(`mqtt://127.0.0.1:${port}`, { closeTimeoutMs: 100 })
    await publisher.start()
    await until(() => publisher.stats().connected, 'the connection')
    await publisher.close()
    expect(publisher.stats().connected).toBe(false)
  })

  it('ends before it started, and twice', async () => {
    const publisher = quickPublisher('mqtt://127.0.0.1:1')
    await publisher.close()
    await publisher.close()
  })
})

/** Passes bytes on to another port, until it is closed. */
function relay(from: number, to: number): Promise<{ close(): Promise<void> }> {
  const pairs = new Map<Socket, Socket>()
  return standIn(from, (socket, data) => {
    let target = pairs.get(socket)
    if (!target) {
      target = connect(to, '127.0.0.1')
      target.on('error', () => undefined)
      target.pipe(socket)
      socket.once('close', () => target?.destroy())
      pairs.set(socket, target)
    }
    target.write(data)
  })
}
