/** One camera with several zones: each zone gets every frame, the status is the camera's, and the end withdraws all labels. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import sharp from 'sharp'
import { expect, it } from 'vitest'
import { systemClock } from '../../../src/clock.js'
import type { CameraConfig } from '../../../src/config/schema.js'
import type { Frame } from '../../../src/frame.js'
import type { Logger } from '../../../src/log.js'
import { createMetrics } from '../../../src/metrics.js'
import type { Publisher } from '../../../src/publish/publisher.js'
import { NodeCamera } from '../../../src/run/cameras/camera.js'
import { noDeadlines } from '../../../src/run/guard/deadlines.js'
import type { Settings } from '../../../src/run/commands/settings.js'
import { policyDefaults } from '../../../src/decision/policy.js'
import type { Zone } from '../../../src/zone/zone.js'
import { until } from '../../publish/mosquitto.js'

/** A zone that writes down what it hears. */
function zoneOf(key: string, calls: string[], onTake: (frame: Frame) => Promise<void> | void = () => undefined): Zone {
  const say = (what: string) => (): void => void calls.push(`${key} ${what}`)
  return {
    key,
    camera: 'cam0',
    pixelPath: 'native',
    opened: say('opened'),
    lose: say('lose'),
    disable: say('disable'),
    enable: say('enable'),
    end: say('end'),
    async take(frame: Frame) {
      await onTake(frame)
      frame.release()
    },
  } as unknown as Zone
}

interface Rig {
  readonly calls: string[]
  /** What it wrote to the log. */
  readonly told: readonly string[]
  readonly ending: AbortController
  readonly run: Promise<void>
  readonly camera: NodeCamera
  enable(isEnabled: boolean): void
}

function rig(makeZones: (calls: string[]) => readonly Zone[], config: Partial<CameraConfig> = {}): Rig {
  const calls: string[] = []
  const told: string[] = []
  const listeners = new Set<() => void>()
  let isEnabled = true
  const ending = new AbortController()
  const camera = new NodeCamera({
    config: { id: 'cam0', source: 'test://', fps: 50, ...config },
    zones: makeZones(calls),
    publisher: { cameraStatus: (_: string, status: string) => void calls.push(status) } as unknown as Publisher,
    metrics: createMetrics(0),
    clock: systemClock,
    settings: {
      camera: () => ({ isEnabled }),
      findZone: () => ({ isSwitchedOn: true }),
      onChange: (listener: () => void) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    } as unknown as Settings,
    log: {
      info: (_: unknown, sentence: string) => void told.push(sentence),
      warn: () => undefined,
      debug: () => undefined,
    } as unknown as Logger,
    limits: { hungAfterMs: 10_000, waitForCameras: false, policy: policyDefaults },
    zoneCount: 2,
    onFirstOpen: () => void calls.push('first frame'),
    onTaken: () => undefined,
  })
  return {
    calls,
    told,
    ending,
    camera,
    run: camera.run(noDeadlines.loop(''), ending.signal),
    enable(value) {
      isEnabled = value
      for (const listener of [...listeners]) listener()
    },
  }
}

it('each zone gets every frame, and none of them before the camera has opened', async () => {
  const seen: Record<string, number[]> = { gate: [], bin: [] }
  const { calls, ending, run, camera } = rig((heard) => [
    zoneOf('gate', heard, ({ seq }) => void seen['gate']!.push(seq)),
    // A slow zone holds the camera back, not the other zone.
    zoneOf('bin', heard, async ({ seq }) => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      seen['bin']!.push(seq)
    }),
  ])
  await until(() => seen['bin']!.length >= 5, 'five frames')
  ending.abort()
  await run
  expect(seen['bin']).toEqual(seen['gate'])
  expect(calls).toEqual(['gate opened', 'bin opened', 'online', 'first frame'])
  expect(camera.lastFrameMs).not.toBeNull()
  camera.end()
  expect(calls.slice(4)).toEqual(['gate end', 'bin end', 'offline'])
})

it('disabling closes the camera for all zones, and enabling opens it again', async () => {
  let frames = 0
  const { calls, ending, run, enable } = rig((heard) => [
    zoneOf('gate', heard, () => void frames++),
    zoneOf('bin', heard),
  ])
  await until(() => frames > 2, 'frames')
  enable(false)
  expect(calls.slice(-3)).toEqual(['gate disable', 'bin disable', 'disabled'])
  await new Promise((resolve) => setTimeout(resolve, 200))
  const before = frames
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(frames).toBe(before)
  enable(true)
  await until(() => frames > before + 2, 'frames after the pause')
  expect(calls).toContain('gate enable')
  expect(calls.at(-1)).toBe('online')
  ending.abort()
  await run
})

it('a fault of one zone ends the camera with that fault', async () => {
  const fault = new Error('the engine failed')
  const { calls, run } = rig((heard) => [zoneOf('gate', heard), zoneOf('bin', heard, () => Promise.reject(fault))])
  await expect(run).rejects.toBe(fault)
  expect(calls).not.toContain('gate lose')
})

it('an MJPEG camera decodes what its zones need, a download has all of it, and without zones nothing changes', async () => {
  const pictureOf = (width: number, height: number): Promise<Buffer> =>
    sharp({ create: { width, height, channels: 3, background: '#468' } })
      .jpeg()
      .toBuffer()
  let jpeg = await pictureOf(1280, 720)
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'multipart/x-mixed-replace; boundary=f' })
    const send = (): void => {
      response.write(`--f\r\nContent-Type: image/jpeg\r\nContent-Length: ${jpeg.length}\r\n\r\n`)
      response.write(jpeg)
    }
    const timer = setInterval(send, 50)
    response.on('close', () => clearInterval(timer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const source = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const widths: number[] = []
  const spec = { width: 224, height: 224, resize: 'contain', roi: { x: 0, y: 0, width: 1, height: 1 } }
  const zone = (heard: string[], name: string | null): Zone =>
    Object.assign(
      zoneOf('gate', heard, ({ width }) => void widths.push(width)),
      {
        definition: { zone: name },
        view: { current: { spec }, shape: null },
      },
    )
  try {
    const zoned = rig((heard) => [zone(heard, 'gate')], { source })
    await until(() => widths.length > 3, 'frames')
    expect(widths.at(-1)).toBe(320)
    expect(zoned.told).toContain('pictures of 1280 x 720 are decoded at 320 x 180: its zones need no more')
    expect(zoned.camera.description).toMatchObject({ width: 1280, height: 720 })
    expect(await zoned.camera.capture()).toMatchObject({ width: 1280, height: 720 })
    expect(await zoned.camera.capture({ maxSide: 160 })).toMatchObject({ width: 160, height: 90 })
    // The camera changes its resolution while it streams: what is decoded follows, and a download has all of it.
    jpeg = await pictureOf(1920, 1440)
    await until(() => widths.at(-1) === 240, 'frames of the other size')
    expect(zoned.told).toContain('pictures of 1920 x 1440 are decoded at 240 x 180: its zones need no more')
    expect(await zoned.camera.capture()).toMatchObject({ width: 1920, height: 1440 })
    jpeg = await pictureOf(1920, 1080)
    const lower = 'pictures of 1920 x 1080 are decoded at 240 x 135: its zones need no more'
    await until(() => zoned.told.includes(lower), 'pictures of the same width that are not as high')
    jpeg = await pictureOf(1280, 720)
    zoned.ending.abort()
    await zoned.run
    for (const [name, decode] of [
      [null, undefined],
      ['gate', 'full'],
    ] as const) {
      widths.length = 0
      const whole = rig((heard) => [zone(heard, name)], { source, ...(decode ? { decode } : {}) })
      await until(() => widths.length > 2, 'whole frames')
      expect(widths.at(-1)).toBe(1280)
      whole.ending.abort()
      await whole.run
    }
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
