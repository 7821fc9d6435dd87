/** What a task finds as pictures on a real broker: the mask of a segmenter on request, and the best picture of a visit. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import mqtt from 'mqtt'
import sharp from 'sharp'
import { afterEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/config.js'
import { createLogger } from '../../src/log.js'
import { openNode } from '../../src/run/node.js'
import { cleanUp, hasMosquitto, startMosquitto, temporaryFolder, until } from '../publish/mosquitto.js'
import { writeModel } from '../onnx-builder.js'
import { detectorSpec } from '../task/fixture.js'

afterEach(() => cleanUp())

describe.skipIf(!hasMosquitto)('pictures of what is found', () => {
  it('the mask is a PNG with the colours that the answer names, and a visit that ends leaves its picture', async () => {
    const folder = temporaryFolder()
    const side = 16
    const plane = Array.from({ length: side * side }, (_, i) => (i % side < 4 ? 5 : -5))
    writeModel(
      join(folder, 'road.onnx'),
      detectorSpec({ outputs: { out: { shape: [1, 1, side, side], values: plane } } }),
    )
    writeFileSync(join(folder, 'road.yaml'), 'labels: [road]\n')
    const box = { shape: [1, 2, 6], values: [8, 8, 40, 40, 0.9, 0, 0, 0, 0, 0, 0, 0] }
    writeModel(join(folder, 'things.onnx'), detectorSpec({ outputs: { output0: box } }))
    writeFileSync(join(folder, 'things.yaml'), 'labels: [thing]\nresize: stretch\n')
    const broker = await startMosquitto()
    const client = await mqtt.connectAsync(broker.url)
    const pictures = new Map<string, Buffer>()
    client.on('message', (topic, payload) => pictures.set(topic, payload))
    await client.subscribeAsync(['gapcam/f/yard/+/mask', 'gapcam/f/yard/+/crop'])
    const { config } = loadConfig({
      flags: {},
      environment: {},
      values: {
        ...{ node: 'f', threads: 1, stateDir: folder, model: join(folder, 'road.onnx'), page: { enabled: false } },
        mqtt: { broker: broker.url },
        cameras: [
          {
            ...{ id: 'yard', source: 'test://', fps: 20 },
            zones: [{ id: 'road' }, { id: 'door', model: join(folder, 'things.onnx') }],
          },
        ],
      },
    })
    const stopping = new AbortController()
    const node = await openNode({ config, log: createLogger('silent') }, stopping.signal)
    const ended = node.run()
    try {
      await until(() => node.metrics.frames > 12, 'frames')
      const answer = await node.commands.execute({ kind: 'mask', zone: 'road' }, 'mqtt')
      expect(answer).toMatchObject({
        status: 'ok',
        data: { topic: 'gapcam/f/yard/road/mask', shares: { road: 0.25, none: 0.75 } },
      })
      const { colours } = (answer as unknown as { data: { colours: Record<string, string> } }).data
      await until(() => pictures.has('gapcam/f/yard/road/mask'), 'the mask')
      const png = sharp(pictures.get('gapcam/f/yard/road/mask'))
      const { data, info } = await png.raw().toBuffer({ resolveWithObject: true })
      expect(info.channels).toBe(4)
      const row = Math.floor(info.height / 2) * info.width * 4
      const first = [...data.subarray(row, row + 4)]
      expect(Object.keys(colours)).toEqual(['road'])
      expect(`#${Buffer.from(first.slice(0, 3)).toString('hex')}`).toBe(colours['road'])
      expect([first[3], data[row + (info.width - 1) * 4 + 3]]).toEqual([255, 0])
      expect(await node.commands.execute({ kind: 'mask', zone: 'door' }, 'mqtt')).toMatchObject({
        status: 'error',
        error: 'this model has no mask: it is to detect',
      })
      expect(pictures.has('gapcam/f/yard/door/crop')).toBe(false)
      // The camera is switched off: the thing is gone.
      await node.commands.execute({ kind: 'enabled', camera: 'yard', value: false }, 'mqtt')
      await until(() => pictures.has('gapcam/f/yard/door/crop'), 'the picture of the visit')
      expect(await sharp(pictures.get('gapcam/f/yard/door/crop')).metadata()).toMatchObject({ format: 'jpeg' })
    } finally {
      await client.endAsync()
      stopping.abort()
      await ended.finally(() => node.close())
    }
  })
})
