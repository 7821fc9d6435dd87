/** A running gapcam gives a dashboard its pictures without a command: after the start, after a break, and for Home Assistant. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { endAll, gapcam } from '../process.js'
import { connectClient, type Client } from '../publish/client.js'
import { cleanUp, hasMosquitto, startMosquitto, until } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-pictures-'))
const bird = join(projectRoot, 'models/photos/bird.jpg')
const root = 'gapcam/dock1'
const clients: Client[] = []
let states = 0

vi.setConfig({ testTimeout: 180_000 })
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  await endAll()
  await cleanUp()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function start(url: string, ...more: string[]): Promise<Client> {
  const client = await connectClient(url)
  clients.push(client)
  const state = join(folder, `state${++states}`)
  gapcam(['run', bird, '--loop', '--node', 'dock1', '--broker', url, '--set', `stateDir=${state}`, ...more])
  return client
}
const picturesOf = ({ heard }: Client, name: 'image' | 'heat') =>
  heard.filter(({ topic }) => topic === `${root}/cam0/${name}`)

describe.skipIf(!hasMosquitto)('pictures without a command (skipped where mosquitto is not installed)', () => {
  it('come once after the start and again with each connection and birth message, and health within seconds', async () => {
    const broker = await startMosquitto()
    const client = await start(broker.url)
    await client.sees(`${root}/status`, 'online')
    await until(() => client.last(`${root}/health`) !== '', 'the first health message', 10_000)
    expect(JSON.parse(client.last(`${root}/health`))).toMatchObject({ mqtt: { connected: true } })
    for (const name of ['image', 'heat'] as const) {
      await until(() => picturesOf(client, name).length >= 1, `the first ${name}`)
      const [first] = picturesOf(client, name)
      expect(first!.isRetained).toBe(false)
      expect((await sharp(first!.payload).metadata()).format).toBe('jpeg')
    }
    // The label stays: further pictures come only for new subscribers.
    const before = picturesOf(client, 'image').length
    expect(before, 'once after the start').toBe(1)
    await client.say('homeassistant/status', 'online')
    await until(() => picturesOf(client, 'image').length > before, 'the picture after the birth message')
    await broker.kill()
    await broker.restart()
    const after = await connectClient(broker.url)
    clients.push(after)
    for (const name of ['image', 'heat'] as const)
      await until(() => picturesOf(after, name).length >= 1, `the ${name} after the break`)
    const device = JSON.parse(after.last('homeassistant/device/gapcam_dock1/config')) as { device: { model: string } }
    expect(device.device.model).not.toBe('')
  })

  it('are retained where the configuration says so, and a later subscriber has them', async () => {
    const broker = await startMosquitto()
    const client = await start(broker.url, '--set', 'mqtt.retainImages=true')
    await until(() => picturesOf(client, 'heat').length >= 1, 'the first heat map')
    const later = await connectClient(broker.url)
    clients.push(later)
    await until(() => picturesOf(later, 'image').length === 1, 'the retained picture')
    expect(picturesOf(later, 'image')[0]!.isRetained).toBe(true)
  })

  it('do not come where they are switched off', async () => {
    const broker = await startMosquitto()
    const client = await start(broker.url, '--set', 'mqtt.imageEveryMs=-1')
    await client.sees(`${root}/cam0/label`, 'chickadee')
    await client.ask(root, 'classify_now')
    await client.ask(root, 'classify_now')
    expect([...picturesOf(client, 'image'), ...picturesOf(client, 'heat')]).toEqual([])
  })
})
