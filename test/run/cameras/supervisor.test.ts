/** The supervision of one camera: its faults are retried, faults of the code that takes its frames are not. */
import { describe, expect, it } from 'vitest'
import type { Camera } from '../../../src/camera/camera.js'
import { systemClock } from '../../../src/clock.js'
import { GapcamError } from '../../../src/errors.js'
import { frameOf, type Frame } from '../../../src/frame.js'
import { noDeadlines } from '../../../src/run/guard/deadlines.js'
import { superviseCamera, type Opening, type Supervision } from '../../../src/run/cameras/supervisor.js'

/** A camera that delivers frames until `frames` are gone, and is then lost or ends. */
function camera(frames: number, end: 'lost' | 'ended' = 'lost', isLive?: boolean): Camera {
  let left = frames
  return {
    isLive,
    dropped: 0,
    open: async () => ({ uri: 'test', name: 'test', width: 2, height: 2, format: 'rgb24' }),
    next: async (): Promise<Frame | null> => {
      if (left-- > 0) return frameOf({ data: new Uint8Array(12), width: 2, height: 2 })
      if (end === 'ended') return null
      throw new GapcamError('CAMERA_LOST', 'unplugged')
    },
    close: async () => undefined,
  }
}

function supervise(more: Partial<Supervision>): { run: Promise<void>; lost: string[]; openings: Opening[] } {
  const lost: string[] = []
  const openings: Opening[] = []
  const run = superviseCamera(
    {
      make: () => camera(1),
      clock: systemClock,
      stallMs: 5000,
      frameMs: 5000,
      loop: noDeadlines.loop(''),
      isPatient: false,
      onOpen: (_, opening) => void openings.push(opening),
      onFrame: async (frame) => frame.release(),
      onLost: ({ message }) => void lost.push(message),
      onWarning: () => undefined,
      onDropped: () => undefined,
      ...more,
    },
    new AbortController().signal,
  )
  return { run, lost, openings }
}

describe('superviseCamera', () => {
  it('opens a camera again that was lost after a frame, and reports the recovery', async () => {
    const cameras = [camera(1, 'lost', true), camera(1, 'ended')]
    const { run, lost, openings } = supervise({ make: () => cameras.shift()! })
    await run
    expect(lost).toEqual(['unplugged'])
    expect(openings).toEqual([
      { isRecovery: false, isLive: true },
      { isRecovery: true, isLive: false },
    ])
  })

  it('rejects with the fault of a camera that never delivers', async () => {
    const { run, lost } = supervise({ make: () => camera(0) })
    await expect(run).rejects.toMatchObject({ code: 'CAMERA_LOST' })
    expect(lost).toEqual([])
  })

  it.each([
    ['a fault of the engine', new GapcamError('ENGINE_FAILED', 'the model could not be run')],
    ['a mistake of the program', new TypeError('Expected 5 outputs')],
  ])('%s in onFrame ends the supervision as it is, and the camera is not called lost', async (_, error) => {
    let made = 0
    const { run, lost } = supervise({
      make: () => {
        made++
        return camera(5)
      },
      hasWorked: true,
      onFrame: () => Promise.reject(error),
    })
    await expect(run).rejects.toBe(error)
    expect([lost, made]).toEqual([[], 1])
  })
})
