/** Properties of the policy for any sequence of scores and any options. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { unknownLabel } from '../../src/decision/decision.js'
import { initialPolicy, loseCamera, observe, type PolicyOptions, type PolicyState } from '../../src/decision/policy.js'
import { bare, classes, eventsOf, labelsOf, last, play, scored } from './fixture.js'

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

  it('the smoothed score of a label is never below the threshold', () => {
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
