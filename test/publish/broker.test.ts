import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { startEmbeddedBroker, type EmbeddedBroker } from '../../src/publish/broker.js'
import { decision, prediction, quickPublisher, recordingLog } from './fixture.js'
import { cleanUp, freePort, hasMosquitto, retained, until } from './mosquitto.js'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const closable of open.splice(0).reverse()) await closable.close()
  await cleanUp()
})

async function start(port?: number): Promise<EmbeddedBroker> {
  const broker = await startEmbeddedBroker({ ...(port === undefined ? {} : { port }), log: recordingLog().log })
  open.push(broker)
  return broker
}

/** Holds a port like another program, unless one does already. */
async function occupy(port: number): Promise<void> {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => expect(error.code).toBe('EADDRINUSE'))
  open.push({
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
      }),
  })
}

describe('the embedded broker', () => {
  it('takes the next free port after 1883, on loopback only', async () => {
    await occupy(1883)
    const broker = await start()
    expect(broker.port).toBeGreaterThan(1883)
    expect(broker.url).toBe(`mqtt://127.0.0.1:${broker.port}`)
  })

  it('takes the given port and no other', async () => {
    const port = await freePort()
    expect((await start(port)).port).toBe(port)
    await expect(start(port)).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      exitStatus: 5,
      message: expect.stringContaining(`port ${port} is in use`),
    })
  })

  it('frees its port', async () => {
    const port = await freePort()
    const broker = await startEmbeddedBroker({ port, log: recordingLog().log })
    const publisher = quickPublisher(broker.url)
    await publisher.start()
    await until(() => publisher.stats().connected, 'the connection')
    await broker.close()
    await publisher.close()
    await start(port)
  })

  it.skipIf(!hasMosquitto)(
    'speaks 3.1.1 only: the publisher falls back at once and leaves its label retained (skipped where mosquitto is not installed)',
    async () => {
      const broker = await start(await freePort())
      const publisher = quickPublisher(broker.url)
      open.push(publisher)
      await publisher.start()
      publisher.settled('cam0', decision('open'), prediction())
      await until(() => publisher.stats().connected, 'the connection')
      expect(publisher.stats().protocol).toBe('3.1.1')
      expect(publisher.lines.filter(({ level }) => level === 'warn')).toEqual([])
      await until(async () => (await retained(broker.port, 'gapcam/dock1/cam0/label')) === 'open', 'the label')
      await publisher.close()
      expect(await retained(broker.port, 'gapcam/dock1/status')).toBe('offline')
    },
  )

  it('survives a client that sends garbage', async () => {
    const broker = await start(await freePort())
    const socket = connect(broker.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.end('GET / HTTP/1.1\r\n\r\n')
    await once(socket, 'close')
    const publisher = quickPublisher(broker.url)
    open.push(publisher)
    await publisher.start()
    await until(() => publisher.stats().connected, 'the connection')
  })
})
