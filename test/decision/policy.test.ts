import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  enterLevel,
  expire,
  initialPolicy,
  loseCamera,
  observe,
  policyDefaults,
  unknownLabel,
  type PolicyEvent,
  type PolicyOptions,
  type PolicyState,
  type PolicyStep,
} from '../../src/decision/policy.js'
import { createPredictor, type Prediction } from '../../src/decision/prediction.js'

const classes = ['open', 'closed', 'broken', 'blocked']
const bare: PolicyOptions = {
  smoothingMs: 0,
  threshold: 0.6,
  hysteresis: 0.1,
  consecutive: 1,
  margin: 0,
  staleAfterMs: 1000,
}

/** A prediction with these scores, whatever they sum to. */
function scored(
  scores: readonly number[],
  { modelId = 'm', labels = classes }: { modelId?: string; labels?: readonly string[] } = {},
): Prediction {
  const predictor = createPredictor({ labels, scoreActivation: 'none', modelId, topK: 3 })
  const timings = { capture: 0, preprocess: 0, infer: 0, total: 0 }
  const outcome = predictor(Float32Array.from(scores), {
    engine: 'native',
    target: 'scalar',
    frameSeq: 1,
    wallTime: 0,
    timings,
  })
  if (!outcome.ok) throw new Error(outcome.reason)
  return outcome.prediction
}

/** Feeds frames 100 ms apart and gives every step. */
function play(
  frames: readonly (readonly number[])[],
  options: PolicyOptions = bare,
  from = initialPolicy(0),
): PolicyStep[] {
  const steps: PolicyStep[] = []
  let state = from
  frames.forEach((scores, i) => {
    const step = observe(
      state,
      scored(scores),
      options,
      (state.lastFrameMs ?? 0) + (i === 0 && state.lastFrameMs === null ? 0 : 100),
    )
    steps.push(step)
    state = step.state
  })
  return steps
}

const labelsOf = (steps: readonly PolicyStep[]): string[] => steps.map(({ state }) => state.decision.label)
const eventsOf = (steps: readonly PolicyStep[]): PolicyEvent[] => steps.flatMap(({ events }) => [...events])
const last = (steps: readonly PolicyStep[]): PolicyStep => steps[steps.length - 1]!

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

  it('is no loss when somebody switched it off', () => {
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
  it('starts from nothing, whatever the number of its classes', () => {
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

describe('properties', () => {
  const row = fc
    .array(fc.float({ min: 0, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 })
    .filter((scores) => Math.max(...scores) > 0)
  const options: fc.Arbitrary<PolicyOptions> = fc.record({
    smoothingMs: fc.constantFrom(0, 50, 400),
    threshold: fc.double({ min: 0, max: 1, noNaN: true }),
    hysteresis: fc.double({ min: 0, max: 0.5, noNaN: true }),
    consecutive: fc.integer({ min: 1, max: 4 }),
    margin: fc.constantFrom(0, 0.1),
    staleAfterMs: fc.constant(1000),
  })
  const rows = fc.array(row, { minLength: 1, maxLength: 40 })

  it('never a label whose smoothed score is below the threshold', () => {
    fc.assert(
      fc.property(rows, options, (frames, chosen) => {
        for (const { state } of play(frames, chosen)) {
          const { index, score, label, reason } = state.decision
          if (index === null) expect([label, typeof reason]).toEqual([unknownLabel, 'string'])
          else {
            expect(score).toBe(state.smoothed?.[index])
            expect(score).toBeGreaterThanOrEqual(chosen.threshold)
            expect(reason).toBeUndefined()
          }
        }
      }),
    )
  })

  it('no label comes or goes while scores stay within the hysteresis band', () => {
    const chosen = { ...bare, threshold: 0.5, hysteresis: 0.2 }
    const band = fc.array(
      fc.tuple(fc.double({ min: 0.5, max: 0.69, noNaN: true }), fc.double({ min: 0, max: 0.69, noNaN: true })),
      { minLength: 1, maxLength: 40 },
    )
    fc.assert(
      fc.property(band, fc.boolean(), (pairs, isHeld) => {
        const start = isHeld ? last(play([[0.9, 0, 0, 0]], chosen)).state : last(play([[0.1, 0, 0, 0]], chosen)).state
        const steps = play(
          pairs.map(([a, b]) => [a, b, 0, 0]),
          chosen,
          start,
        )
        expect(eventsOf(steps)).toEqual([])
        expect(new Set(labelsOf(steps))).toEqual(new Set([isHeld ? 'open' : unknownLabel]))
      }),
    )
  })

  it('the order of the classes does not matter', () => {
    const distinct = fc
      .uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 4, maxLength: 4 })
      .map((values) => values.map((value) => value / 1000))
    const order = fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4, maxLength: 4 })
    fc.assert(
      fc.property(fc.array(distinct, { minLength: 1, maxLength: 30 }), order, options, (frames, places, chosen) => {
        const steady = { ...chosen, smoothingMs: 0 }
        let state: PolicyState = initialPolicy(0)
        const permuted = frames.map((scores, i) => {
          const prediction = scored(
            places.map((place) => scores[place]!),
            { labels: places.map((place) => classes[place]!) },
          )
          const next = observe(state, prediction, steady, i * 100)
          state = next.state
          return next
        })
        const plain = play(frames, steady)
        expect(labelsOf(permuted)).toEqual(labelsOf(plain))
        expect(eventsOf(permuted)).toEqual(eventsOf(plain))
      }),
    )
  })

  it('after a loss the past leaves no trace', () => {
    fc.assert(
      fc.property(rows, rows, options, (past, future, chosen) => {
        const lost = loseCamera(last(play(past, chosen)).state, 'camera_lost', 1e6).state
        const fresh = loseCamera(initialPolicy(0), 'camera_lost', 1e6).state
        const labels = (from: PolicyState) => labelsOf(play(future, chosen, { ...from, lastFrameMs: 1e6 }))
        expect(labels(lost)).toEqual(labels(fresh))
      }),
    )
  })

  it('time that runs backwards is taken as standing still', () => {
    fc.assert(
      fc.property(
        rows,
        fc.array(fc.integer({ min: -500, max: 500 }), { minLength: 40, maxLength: 40 }),
        options,
        (frames, jumps, chosen) => {
          let state = initialPolicy(0)
          let now = 0
          for (const [i, scores] of frames.entries()) {
            const before = state.decision.sinceMs
            state = observe(state, scored(scores), chosen, (now += jumps[i]!)).state
            expect(state.decision.sinceMs).toBeGreaterThanOrEqual(before)
            for (const value of state.smoothed!) expect(value >= 0 && value <= 1).toBe(true)
          }
        },
      ),
    )
  })

  it('a step changes neither the state nor the prediction that it was given', () => {
    fc.assert(
      fc.property(rows, options, (frames, chosen) => {
        const { state } = last(play(frames, chosen))
        const copy = structuredClone(state)
        const prediction = scored([0.1, 0.2, 0.3, 0.4])
        const scores = prediction.scores.slice()
        observe(state, prediction, chosen, 1e4)
        loseCamera(state, 'camera_lost', 1e4)
        expect(state).toEqual(copy)
        expect(prediction.scores).toEqual(scores)
      }),
    )
  })

  it('one change of label is one event', () => {
    fc.assert(
      fc.property(rows, options, (frames, chosen) => {
        const steps = play(frames, chosen)
        const labels = [unknownLabel, ...labelsOf(steps)]
        const changes = labels.slice(1).filter((label, i) => label !== labels[i]).length
        expect(eventsOf(steps)).toHaveLength(changes)
      }),
    )
  })
})

it('the defaults settle on a clear picture within a second of ten frames', () => {
  expect(last(play(Array(10).fill([0.44, 0.19, 0.15, 0.05]), policyDefaults)).state.decision.label).toBe('open')
})
