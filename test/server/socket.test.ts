/** The live socket on a real `gapcam run`: states and pictures, slow visitors, and visitors that break the protocol. */
import WebSocket from 'ws'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { liveState, pictureHeader, type LiveState, type PictureHeader } from '../../src/server/messages.js'
import { endAll } from '../process.js'
import { startPage, type RunningPage } from './running.js'

let page: RunningPage
beforeAll(async () => {
  page = await startPage()
})
const visitors: WebSocket[] = []
afterEach(() => {
  for (const socket of visitors.splice(0)) socket.terminate()
})
afterAll(endAll)

interface Heard {
  readonly socket: WebSocket
  readonly states: LiveState[]
  readonly pictures: { header: PictureHeader; jpeg: Buffer }[]
  readonly closed: Promise<{ code: number; reason: string }>
  readonly opened: Promise<void>
  ask(after?: number): void
}

function visit(headers: Record<string, string> = {}, protocols: string[] = ['gapcam.v1']): Heard {
  const socket = new WebSocket(`ws://127.0.0.1:${page.port}/api/live`, protocols, { headers })
  visitors.push(socket)
  const [states, pictures]: [LiveState[], Heard['pictures']] = [[], []]
  socket.on('error', () => undefined)
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (!isBinary) states.push(liveState.parse(JSON.parse(data.toString())))
    else {
      const length = data.readUInt32BE(0)
      pictures.push({
        header: pictureHeader.parse(JSON.parse(data.subarray(4, 4 + length).toString())),
        jpeg: data.subarray(4 + length),
      })
    }
  })
  return {
    socket,
    states,
    pictures,
    opened: new Promise((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('unexpected-response', (_, { statusCode }) => reject(new Error(String(statusCode))))
    }),
    closed: new Promise((resolve) =>
      socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
    ),
    ask: (after = 0) => socket.send(JSON.stringify({ type: 'picture', camera: 'cam0', after, side: 320 })),
  }
}

const frames = async (): Promise<number> =>
  liveState.parse(await (await fetch(`${page.url}/api/state`)).json()).cameras[0]!.frames

it('the state comes unasked, and each request gets one picture', async () => {
  const visitor = visit()
  await visitor.opened
  expect(visitor.socket.protocol).toBe('gapcam.v1')
  await expect.poll(() => visitor.states.length).toBeGreaterThan(2)
  for (let i = 0; i < 3; i++) {
    visitor.ask(visitor.pictures.at(-1)?.header.seq)
    await expect.poll(() => visitor.pictures.length).toBe(i + 1)
  }
  const seqs = visitor.pictures.map(({ header }) => header.seq)
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b))
  const { header, jpeg } = visitor.pictures[0]!
  expect(await sharp(jpeg).metadata()).toMatchObject({ format: 'jpeg', width: 320, height: 240 })
  expect(header).toMatchObject({ width: 320, height: 240, shown: { x: 0.125, y: 0, width: 0.75, height: 1 } })
})

it('each picture has a heat map with its maximum at 255, and a focus box inside the frame', async () => {
  const visitor = visit()
  await visitor.opened
  visitor.ask()
  await expect.poll(() => visitor.pictures.length).toBe(1)
  const { heat, focus } = visitor.pictures[0]!.header
  expect(heat).toMatchObject({ width: 7, height: 7, inside: { x: 0, y: 0, width: 1, height: 1 } })
  const values = Buffer.from(heat!.values, 'base64')
  expect([values.length, Math.max(...values)]).toEqual([49, 255])
  expect(focus!.x + focus!.width).toBeLessThanOrEqual(1)
})

it('simultaneous requests of several visitors share one picture', async () => {
  const many = Array.from({ length: 10 }, () => visit())
  await Promise.all(many.map(({ opened }) => opened))
  for (const visitor of many) visitor.ask()
  await expect.poll(() => many.every(({ pictures }) => pictures.length === 1)).toBe(true)
  expect(new Set(many.map(({ pictures }) => pictures[0]!.header.seq)).size).toBeLessThanOrEqual(2)
})

it('a visitor that does not read slows down neither the frames nor another visitor', async () => {
  const slow = visit()
  await slow.opened
  slow.socket.pause()
  const [reader, before] = [visit(), await frames()]
  await reader.opened
  slow.ask()
  for (let i = 0; i < 5; i++) {
    reader.ask(reader.pictures.at(-1)?.header.seq)
    await expect.poll(() => reader.pictures.length).toBe(i + 1)
  }
  expect(await frames()).toBeGreaterThan(before)
})

describe('a visitor is disconnected with a reason when it', () => {
  it.each([
    ['sends invalid JSON', '{"type":', 1008, /protocol/],
    ['sends an unknown message', '{"type":"state"}', 1008, /protocol/],
    ['adds a field', '{"type":"picture","camera":"cam0","after":0,"side":320,"path":"/etc"}', 1008, /protocol/],
    ['asks for an unknown size', '{"type":"picture","camera":"cam0","after":0,"side":99999}', 1008, /protocol/],
    ['sends a negative frame number', '{"type":"picture","camera":"cam0","after":-1,"side":320}', 1008, /protocol/],
    ['names an unknown camera', '{"type":"picture","camera":"cam9","after":0,"side":320}', 1008, /no such camera/],
    ['sends a message that is too long', JSON.stringify({ type: 'x'.repeat(5000) }), 1009, /./],
    ['sends a binary message', Buffer.from([1, 2, 3]), 1003, /JSON/],
  ])('%s', async (_, message, code, reason) => {
    const visitor = visit()
    await visitor.opened
    visitor.socket.send(message)
    const closed = await visitor.closed
    expect(closed.code).toBe(code)
    expect(closed.reason || 'x').toMatch(reason)
  })

  it('asks for a second picture before the first has come', async () => {
    const visitor = visit()
    await visitor.opened
    visitor.ask()
    await expect.poll(() => visitor.pictures.length).toBe(1)
    // `after` is the last picture, so that the hub cannot answer at once with that one.
    for (let i = 0; i < 3; i++) visitor.ask(visitor.pictures[0]!.header.seq)
    expect(await visitor.closed).toEqual({ code: 1008, reason: 'one picture at a time' })
  })

  it('floods the socket with messages', async () => {
    const visitor = visit()
    await visitor.opened
    for (let i = 0; i < 500; i++) visitor.ask()
    expect((await visitor.closed).code).toBe(1008)
  })

  it('breaks the WebSocket framing', async () => {
    const visitor = visit()
    await visitor.opened
    // A reserved bit, an unknown opcode, a length that never comes, no mask: RFC 6455, 5.2.
    ;(visitor.socket as unknown as { _socket: { write(data: Buffer): void } })._socket.write(
      Buffer.from([0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1]),
    )
    expect((await visitor.closed).code).toBeGreaterThanOrEqual(1002)
  })

  it('comes from another origin, under another host name, or above the limit of visitors', async () => {
    await expect(visit({ origin: 'http://evil.example' }).opened).rejects.toThrow('403')
    await expect(visit({ host: 'evil.example' }).opened).rejects.toThrow('421')
    const many = Array.from({ length: 70 }, () => visit())
    await Promise.allSettled(many.map(({ opened }) => opened))
    const [full] = await Promise.all([Promise.race(many.map(({ closed }) => closed))])
    expect(full).toMatchObject({ code: 1013 })
  })
})

it('the frames continue after all of this', async () => {
  const before = await frames()
  await expect.poll(frames).toBeGreaterThan(before)
})
