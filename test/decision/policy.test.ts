/** The policy's rules one by one. */
import { describe, expect, it } from 'vitest'
import { unknownLabel } from '../../src/decision/decision.js'
import {
  enterLevel,
  expire,
  initialPolicy,
  isUndecided,
  loseCamera,
  observe,
  policyDefaults,
} from '../../src/decision/policy.js'
import type { PolicyStep } from '../../src/decision/policy.js'
import type { Prediction } from '../../src/decision/prediction.js'
import { bare, eventsOf, labelsOf, last, play, scored } from './fixture.js'

describe('threshold and hysteresis', () => {
  it('takes a label at threshold + hysteresis, keeps it to the threshold and drops it below', () => {
    const steps = play([
      [0.65, 0.1, 0, 0],
      [0.71, 0.1, 0, 0],
      [0.61, 0.1, 0, 0],
      [0.59, 0.1, 0, 0],
      [0.65, 0.1, 0, 0],
    ])
    expect(labelsOf(steps)).toEqual(['unknown', 'open', 'open', 'unknown', 'unknown'])
    expect(eventsOf(steps)).toEqual(['label_changed', 'low_confidence'])
    expect(last(steps).state.decision).toMatchObject({ reason: 'low_confidence', prev: 'open', sinceMs: 300 })
  })

  it('leaves a level to enter at even where the threshold is close to one', () => {
    expect(enterLevel({ threshold: 0.98, hysteresis: 0.1 })).toBeCloseTo(0.99)
  })

  it('reports a change of label or reason once, not every frame', () => {
    expect(
      play([
        [0.9, 0, 0, 0],
        [0.8, 0, 0, 0],
        [0.85, 0, 0, 0],
      ]).map(({ settled }) => settled?.label),
    ).toEqual(['open', undefined, undefined])
  })
})

describe('frames in a row', () => {
  it('settles with the third of three, and a frame of another class starts the count again', () => {
    const [open, closed] = [
      [0.9, 0.05, 0, 0],
      [0.05, 0.9, 0, 0],
    ]
    const steps = play([open, open, closed, open, open, open, closed, closed, closed], {
      ...bare,
      threshold: 0.01,
      consecutive: 3,
    })
    expect(labelsOf(steps)).toEqual([
      'unknown',
      'unknown',
      'unknown',
      'unknown',
      'unknown',
      'open',
      'open',
      'open',
      'closed',
    ])
    expect(steps[0]?.state.decision.reason).toBe('settling')
  })
})

describe('lead over the second', () => {
  it('holds a new label back while another is close', () => {
    const steps = play(
      [
        [0.52, 0.46, 0, 0],
        [0.7, 0.3, 0, 0],
      ],
      { ...bare, threshold: 0.4, margin: 0.2 },
    )
    expect(labelsOf(steps)).toEqual(['unknown', 'open'])
  })
})

describe('a picture that is none of the taught states', () => {
  const options = { ...bare, consecutive: 2 }
  const seen = (isNovel: boolean): Prediction => ({
    ...scored([0.9, 0, 0, 0]),
    novelty: { distance: isNovel ? 0.6 : 0.1, limit: 0.4, cause: isNovel ? 'features' : null },
  })
  const playSeen = (...frames: readonly boolean[]): readonly PolicyStep[] => {
    let state = initialPolicy(0)
    return frames.map((isNovel, i) => {
      const step = observe(state, seen(isNovel), options, i * 100)
      state = step.state
      return step
    })
  }

  it('withdraws the label after some in a row, with a reason and one event', () => {
    const steps = playSeen(false, false, true, true, true)
    expect(labelsOf(steps)).toEqual(['unknown', 'open', 'open', 'unknown', 'unknown'])
    expect(eventsOf(steps)).toEqual(['label_changed', 'novel'])
    expect(last(steps).state.decision).toMatchObject({ reason: 'novel', prev: 'open', index: null })
    // Nothing is on its way any more: a zone that looks on motion may rest.
    expect(isUndecided(steps[2]!.state, seen(true), options)).toBe(true)
    expect(last(steps).state.candidate).toBeNull()
  })

  it('is forgotten when taught states are back', () => {
    const steps = playSeen(false, false, true, true, false, false)
    expect(labelsOf(steps)).toEqual(['unknown', 'open', 'open', 'unknown', 'unknown', 'open'])
  })

  it('alone between others changes nothing', () => {
    expect(labelsOf(playSeen(false, false, true, false, true))).toEqual(['unknown', 'open', 'open', 'open', 'open'])
  })
})

describe('smoothing', () => {
  it('follows the exponential of the time since the last frame', () => {
    const options = { ...bare, smoothingMs: 200 }
    const { state } = last(
      play(
        [
          [1, 0, 0, 0],
          [0, 1, 0, 0],
        ],
        options,
      ),
    )
    expect(state.smoothed?.[0]).toBeCloseTo(Math.exp(-100 / 200), 6)
  })

  it('comes to the same score at half the frame rate while the scene stands still', () => {
    const options = { ...bare, smoothingMs: 250 }
    const start = observe(initialPolicy(0), scored([1, 0, 0, 0]), options, 0).state
    const once = observe(start, scored([0, 1, 0, 0]), options, 200).state
    const twice = observe(
      observe(start, scored([0, 1, 0, 0]), options, 100).state,
      scored([0, 1, 0, 0]),
      options,
      200,
    ).state
    expect(twice.smoothed?.[1]).toBeCloseTo(once.smoothed?.[1] ?? NaN, 6)
  })

  it('rides out one odd frame', () => {
    const options = { ...bare, smoothingMs: 500 }
    expect(
      new Set(
        labelsOf(
          play(
            [
              [0.95, 0.05, 0, 0],
              [0.05, 0.95, 0, 0],
              [0.95, 0.05, 0, 0],
            ],
            options,
          ),
        ),
      ),
    ).toEqual(new Set(['open']))
  })
})

describe('a camera that goes away', () => {
  const settledOpen = last(play([[0.9, 0, 0, 0]])).state

  it('takes its label with it, says why, and comes back with nothing remembered', () => {
    const lost = loseCamera(settledOpen, 'camera_lost', 500)
    expect(lost.settled).toMatchObject({
      label: unknownLabel,
      index: null,
      score: 0,
      prev: 'open',
      reason: 'camera_lost',
      sinceMs: 500,
      top: [],
    })
    expect(lost.events).toEqual(['camera_lost'])
    expect(loseCamera(lost.state, 'camera_lost', 600)).toMatchObject({ events: [] })
    expect(loseCamera(lost.state, 'camera_lost', 600).settled).toBeUndefined()
    const back = observe(lost.state, scored([0, 0.8, 0, 0]), { ...bare, smoothingMs: 1e6 }, 700)
    expect(back.events).toEqual(['camera_recovered', 'label_changed'])
    expect(back.state.decision).toMatchObject({ label: 'closed', prev: 'unknown' })
  })

  it('goes stale by time alone, after staleAfterMs and not before', () => {
    expect(expire(settledOpen, bare, 1000).events).toEqual([])
    const stale = expire(settledOpen, bare, 1001)
    expect(stale.settled).toMatchObject({ label: unknownLabel, reason: 'camera_stale' })
    expect(stale.events).toEqual(['camera_lost'])
    expect(expire(stale.state, bare, 5000).events).toEqual([])
  })

  it('is overloaded and not stale while frames come that the engine has no time for', () => {
    const busy = expire(settledOpen, bare, 1001, 900)
    expect(busy.settled).toMatchObject({ label: unknownLabel, reason: 'overloaded' })
    expect(busy.events).toEqual([])
    expect(expire(busy.state, bare, 1500, 1400).settled).toBeUndefined()
    expect(expire(busy.state, bare, 9000, 1400).settled).toMatchObject({ reason: 'camera_stale' })
    const back = observe(busy.state, scored([0, 0.8, 0, 0]), { ...bare, smoothingMs: 1e6 }, 1600)
    expect(back.events).toEqual(['label_changed'])
  })

  it('is not an event when a command disabled it', () => {
    const off = loseCamera(settledOpen, 'camera_disabled', 500)
    expect(off).toMatchObject({ events: [], settled: { label: unknownLabel, reason: 'camera_disabled' } })
    expect(observe(off.state, scored([0.9, 0, 0, 0]), bare, 600).events).toEqual(['label_changed'])
  })

  it('that never showed a frame is lost too', () => {
    expect(loseCamera(initialPolicy(0), 'camera_lost', 10).settled).toMatchObject({
      label: unknownLabel,
      reason: 'camera_lost',
    })
    expect(expire(initialPolicy(0), bare, 1e9).events).toEqual([])
  })
})

describe('another model', () => {
  it('starts from nothing, with any number of classes', () => {
    const { state } = last(play([[0.9, 0, 0, 0]]))
    const slow = { ...bare, smoothingMs: 1e6, consecutive: 2 }
    const other = observe(state, scored([0.1, 0.9], { modelId: 'n', labels: ['off', 'on'] }), slow, 100)
    expect(other.events).toEqual(['model_changed'])
    expect(other.settled).toMatchObject({ label: unknownLabel, reason: 'model_changed', prev: 'open' })
    expect(other.state.smoothed?.[1]).toBeCloseTo(0.9)
    expect(
      observe(other.state, scored([0.1, 0.9], { modelId: 'n', labels: ['off', 'on'] }), slow, 200).settled,
    ).toMatchObject({ label: 'on' })
  })
})

it('the defaults settle on a clear picture within a second of ten frames', () => {
  expect(last(play(Array(10).fill([0.44, 0.19, 0.15, 0.05]), policyDefaults)).state.decision.label).toBe('open')
})
