/** One camera with several zones: each zone gets every frame, the status is the camera's, and the end withdraws all labels. */
import { expect, it } from 'vitest'
import { systemClock } from '../../src/clock.js'
import type { Frame } from '../../src/frame.js'
import type { Logger } from '../../src/log.js'
import { createMetrics } from '../../src/metrics.js'
import type { Publisher } from '../../src/publish/publisher.js'
import { NodeCamera } from '../../src/run/camera.js'
import { noDeadlines } from '../../src/run/deadlines.js'
import type { Settings } from '../../src/run/settings.js'
import { policyDefaults } from '../../src/decision/policy.js'
import type { Zone } from '../../src/zone/zone.js'
import { until } from '../publish/mosquitto.js'

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
  readonly ending: AbortController
  readonly run: Promise<void>
  readonly camera: NodeCamera
  enable(isEnabled: boolean): void
}

function rig(makeZones: (calls: string[]) => readonly Zone[]): Rig {
  const calls: string[] = []
  const listeners = new Set<() => void>()
  let isEnabled = true
  const ending = new AbortController()
  const camera = new NodeCamera({
    config: { id: 'cam0', source: 'test://', fps: 50 },
    zones: makeZones(calls),
    publisher: { cameraStatus: (_: string, status: string) => void calls.push(status) } as unknown as Publisher,
    metrics: createMetrics(0),
    clock: systemClock,
    settings: {
      camera: () => ({ isEnabled }),
      onChange: (listener: () => void) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    } as unknown as Settings,
    log: { info: () => undefined, warn: () => undefined, debug: () => undefined } as unknown as Logger,
    limits: { hungAfterMs: 10_000, waitForCameras: false, policy: policyDefaults },
    zoneCount: 2,
    onFirstOpen: () => void calls.push('first frame'),
    onTaken: () => undefined,
  })
  return {
    calls,
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
