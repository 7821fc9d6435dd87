// Shared by the rows of the fault table: a real broker, a publisher with its outbox on disk, and a consumer that
// records all numbers it received.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectMqtt } from 'mqtt'
import { openOutbox } from '../../dist/publish/outbox/queue.js'
import { createPublisher } from '../../dist/publish/publisher.js'
import { freePort } from '../bench/loopback.mjs'

export { freePort }
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
export const quietLog = { info() {}, warn() {}, debug() {} }
export const systemClock = { now: () => performance.now(), wall: () => Date.now() }

/** Waits for a condition; false when the time is over. */
export async function reached(condition, timeoutMs) {
  const endMs = performance.now() + timeoutMs
  while (!condition()) {
    if (performance.now() > endMs) return false
    await pause(10)
  }
  return true
}

export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-faults-'))
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

/** mosquitto without persistence: messages that it has acknowledged and not delivered are lost with it. */
export async function startBroker(port) {
  const { folder, remove } = temporaryFolder()
  const file = join(folder, 'mosquitto.conf')
  writeFileSync(
    file,
    [
      `listener ${port} 127.0.0.1`,
      'persistence false',
      'allow_anonymous true',
      'max_queued_messages 0',
      'set_tcp_nodelay true',
      '',
    ].join('\n'),
  )
  let child = null
  const start = async () => {
    child = spawn('mosquitto', ['-c', file], {
      stdio: 'ignore',
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
    })
    child.on('error', (error) => {
      throw error
    })
    while (!(await answers(port))) await pause(5)
  }
  const kill = async () => {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  await start()
  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    start,
    kill,
    close: async () => {
      if (child.exitCode === null && child.signalCode === null) await kill()
      remove()
    },
  }
}

/** Whether a program takes connections on a port. */
export function answers(port) {
  return new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

export const node = 'dock1'

/**
 * A publisher of one camera with an outbox on a real disk; `confirmed` has the numbers that the broker acknowledged.
 */
export async function startPublisher({
  url,
  folder,
  ack = 'puback',
  boot = 'boot-1',
  clock = systemClock,
  broker = {},
  outbox = {},
  disk = {},
  log = quietLog,
}) {
  const made = await openOutbox({
    boot,
    clock,
    log,
    ack,
    memory: { maxEvents: 10_000, maxBytes: 4 << 20 },
    resendMs: 2000,
    ...outbox,
    disk: { folder, maxBytes: 4 * 2 ** 30, maxAgeMs: 7 * 86_400_000, ...disk },
  })
  const confirmed = new Set()
  const confirm = made.confirm.bind(made)
  made.confirm = (entry) => {
    if (entry.kind === 'event') confirmed.add(entry.seq)
    confirm(entry)
  }
  const publisher = createPublisher({
    broker: { url, willDelaySeconds: 0, ...broker },
    node,
    cameras: ['cam0'],
    log,
    clock,
    outbox: made,
    backoffMs: { first: 10, most: 100 },
    stateEveryMs: 0,
  })
  await publisher.start()
  let sent = 0
  const send = () => {
    sent++
    const decision = {
      label: sent % 2 ? 'open' : 'closed',
      index: 0,
      score: 0.97,
      prev: 'unknown',
      sinceMs: clock.now(),
      top: [{ index: 0, label: 'open', score: 0.97 }],
    }
    publisher.event('cam0', 'label_changed', decision, null)
  }
  return {
    publisher,
    outbox: made,
    confirmed,
    send,
    get sent() {
      return sent
    },
  }
}

/** Sends events at a rate, in steps of 10 ms; `stop` resolves with nothing. */
export function flow(send, perSecond) {
  let due = 0
  let lastMs = performance.now()
  const timer = setInterval(() => {
    const nowMs = performance.now()
    due += ((nowMs - lastMs) * perSecond) / 1000
    lastMs = nowMs
    for (; due >= 1; due--) send()
  }, 10)
  return { stop: () => clearInterval(timer) }
}

/** Subscribes, reconnects after every break, and with `isAcknowledging` acknowledges every number without a hole. */
export async function startConsumer(url, { isAcknowledging = false } = {}) {
  const root = `gapcam/${node}`
  const received = new Map()
  const gaps = []
  let [live, through, boot, told] = [0, 0, null, 0]
  const client = connectMqtt(url, { clientId: 'consumer', clean: false, reconnectPeriod: 50, protocolVersion: 4 })
  client.on('error', () => undefined)
  const acknowledge = () => {
    if (!isAcknowledging || boot === null || !client.connected) return
    told = through
    client.publish(`${root}/ack`, JSON.stringify({ boot, through }), { qos: 0 })
  }
  client.on('message', (topic, payload) => {
    const message = JSON.parse(payload.toString())
    boot = message.boot
    if (topic.endsWith('/event')) live++
    if (message.event_type === 'gap') gaps.push(message)
    else received.set(message.seq, (received.get(message.seq) ?? 0) + 1)
    while (received.has(through + 1)) through++
    if (through >= told + 20) acknowledge()
  })
  const acking = setInterval(acknowledge, 200)
  await new Promise((resolve) => {
    client.on('connect', () => client.subscribe([`${root}/+/event`, `${root}/+/backlog`], { qos: 1 }, () => resolve()))
  })
  return {
    received,
    gaps,
    get live() {
      return live
    },
    get through() {
      return through
    },
    close: () => {
      clearInterval(acking)
      return new Promise((resolve) => client.end(true, {}, resolve))
    },
  }
}

/** Compares what a consumer received with the numbers from 1 to `sent`. */
export function compare(sent, { received, gaps, live }) {
  let [lost, duplicates] = [0, 0]
  for (let seq = 1; seq <= sent; seq++) if (!received.has(seq)) lost++
  for (const count of received.values()) duplicates += count - 1
  const unknown = [...received.keys()].filter((seq) => seq < 1 || seq > sent).length
  return { sent, received: received.size, live, repeated: duplicates, lost, unknown, gaps: gaps.length }
}
