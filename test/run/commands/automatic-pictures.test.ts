/** Pictures without a command: when they are taken, how often, and when they are sent again. */
import { afterEach, describe, expect, it } from 'vitest'
import type { Decision, UnknownReason } from '../../../src/decision/decision.js'
import { AutomaticPictures } from '../../../src/run/commands/automatic-pictures.js'
import { recordingLog } from '../../publish/fixture.js'
import { until } from '../../publish/mosquitto.js'

const open: AutomaticPictures[] = []
afterEach(() => {
  for (const pictures of open.splice(0)) pictures.close()
})

const decision = (label: string, reason?: UnknownReason): Decision => ({
  label,
  index: reason === undefined ? 0 : null,
  score: 0.9,
  prev: 'unknown',
  sinceMs: 0,
  top: [],
  ...(reason === undefined ? {} : { reason }),
})

function bench({ everyMs = 0, hasHeat = true, fails = false, subscribeMs = 0, slowSubscribeMs = 60_000 } = {}) {
  const taken: string[] = []
  const takenMs: number[] = []
  let sentAgain = 0
  let repeat = (): void => undefined
  const take = async (what: string): Promise<Record<string, unknown>> => {
    taken.push(what)
    takenMs.push(performance.now())
    await new Promise(setImmediate)
    if (fails) throw new Error('no camera')
    return {}
  }
  const pictures = new AutomaticPictures({
    pictures: {
      hasHeat: () => hasHeat,
      snapshot: (zone) => take(`image ${zone}`),
      heat: (zone) => take(`heat ${zone}`),
      sendAgain: async () => void sentAgain++,
    },
    publisher: {
      onRepeat: (listener) => {
        repeat = listener
      },
    },
    everyMs,
    subscribeMs,
    slowSubscribeMs,
    log: recordingLog().log as never,
  })
  open.push(pictures)
  return { pictures, taken, takenMs, repeat: () => repeat(), sentAgain: () => sentAgain }
}

describe('automatic pictures', () => {
  it('are taken of the first settled decision and of each new label, with the heat map', async () => {
    const { pictures, taken } = bench()
    for (const reason of ['starting', 'settling', 'camera_lost', 'camera_stale', 'camera_disabled'] as const)
      pictures.settled('a', decision('unknown', reason))
    await new Promise(setImmediate)
    expect(taken, 'nothing has settled').toEqual([])
    pictures.settled('a', decision('unknown', 'low_confidence'))
    await until(() => taken.length === 2, 'the first pictures')
    pictures.settled('a', decision('unknown', 'low_confidence'))
    pictures.settled('a', decision('unknown', 'camera_lost'))
    pictures.settled('a', decision('open'))
    await until(() => taken.length === 4, 'those of the new label')
    pictures.settled('b', decision('open'))
    await until(() => taken.length === 6, 'those of another zone')
    expect(taken).toEqual(['image a', 'heat a', 'image a', 'heat a', 'image b', 'heat b'])
  })

  it('have no heat map where the model has none', async () => {
    const { pictures, taken } = bench({ hasHeat: false })
    pictures.settled('a', decision('open'))
    await until(() => taken.length === 1, 'the picture')
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(taken).toEqual(['image a'])
  })

  it('are limited in rate, and the last label gets its picture', async () => {
    const { pictures, taken, takenMs } = bench({ everyMs: 200, hasHeat: false })
    for (let i = 0; i < 20; i++) {
      pictures.settled('a', decision(`label ${i}`))
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await until(() => taken.length >= 2, 'the second picture')
    expect(takenMs[1]! - takenMs[0]!).toBeGreaterThanOrEqual(195)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(taken, 'nothing has changed since').toHaveLength(2)
  })

  it('are not taken below 0', async () => {
    const { pictures, taken } = bench({ everyMs: -1 })
    pictures.settled('a', decision('open'))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(taken).toEqual([])
  })

  it('that fail do not end anything: the next label is tried again', async () => {
    const { pictures, taken } = bench({ fails: true })
    pictures.settled('a', decision('open'))
    await until(() => taken.length === 2, 'the first attempt')
    await new Promise(setImmediate)
    pictures.settled('a', decision('closed'))
    await until(() => taken.length === 4, 'the second attempt')
  })

  it('are sent again after each connection, once for several in a row, and never after the end', async () => {
    const { pictures, repeat, sentAgain } = bench({ subscribeMs: 30 })
    repeat()
    repeat()
    await until(() => sentAgain() === 1, 'the pictures to be sent again')
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(sentAgain()).toBe(1)
    repeat()
    pictures.close()
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(sentAgain()).toBe(1)
  })

  it('are sent once more for a subscriber that needs longer', async () => {
    const { repeat, sentAgain } = bench({ subscribeMs: 0, slowSubscribeMs: 50 })
    repeat()
    await until(() => sentAgain() === 2, 'the pictures to be sent twice')
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(sentAgain()).toBe(2)
  })

  it('wait for a new subscriber, and then come once', async () => {
    const { pictures, taken, repeat, sentAgain } = bench({ subscribeMs: 800, hasHeat: false })
    repeat()
    pictures.settled('a', decision('open'))
    await new Promise((resolve) => setTimeout(resolve, 200))
    const connectedMs = performance.now()
    repeat()
    await until(() => taken.length === 1, 'the picture')
    expect(performance.now() - connectedMs, 'since the second connection').toBeGreaterThan(700)
    expect(sentAgain()).toBe(1)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect([taken, sentAgain()]).toEqual([['image a'], 1])
  })
})
