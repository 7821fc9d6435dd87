/** The figures of an evaluation, by hand and against their definitions on drawn answers. */
import { describe, expect, it } from 'vitest'
import { evaluate, thresholdFor, thresholds, type Answer } from '../../src/eval/metrics.js'
import { Random } from '../random.js'

const answer = (truth: number, predicted: number, score: number, rank = truth === predicted ? 0 : 1): Answer => ({
  truth,
  predicted,
  score,
  rank,
})

describe('by hand', () => {
  const answers = [
    answer(0, 0, 0.95),
    answer(0, 0, 0.85),
    answer(0, 1, 0.55),
    answer(1, 1, 0.75),
    answer(1, 2, 0.35, 7),
  ]
  const figures = evaluate(answers)
  it('accuracy, precision, recall and confusion', () => {
    expect(figures).toMatchObject({ pictures: 5, top1: 0.6, top5: 0.8 })
    expect(figures.balanced).toBeCloseTo((2 / 3 + 1 / 2) / 2, 12)
    expect(figures.classes).toEqual([
      { index: 0, shown: 3, said: 2, precision: 1, recall: 2 / 3 },
      { index: 1, shown: 2, said: 2, precision: 0.5, recall: 0.5 },
      { index: 2, shown: 0, said: 1, precision: 0, recall: null },
    ])
    expect(figures.confusion).toEqual([
      { truth: 0, predicted: 0, count: 2 },
      { truth: 0, predicted: 1, count: 1 },
      { truth: 1, predicted: 1, count: 1 },
      { truth: 1, predicted: 2, count: 1 },
    ])
  })
  it('calibration: every answer in a bin of its own', () => {
    expect(figures.ece).toBeCloseTo((0.05 + 0.15 + 0.55 + 0.25 + 0.35) / 5, 12)
  })
  it('thresholds: the most answers that are right often enough', () => {
    expect(thresholdFor(answers, 1)).toEqual({ threshold: 0.75, precision: 1, coverage: 0.6 })
    expect(thresholdFor(answers, 0.75)).toEqual({ threshold: 0.55, precision: 0.75, coverage: 0.8 })
    expect(thresholdFor(answers, 0.5)).toEqual({ threshold: 0.35, precision: 0.6, coverage: 1 })
    expect(thresholdFor([answer(0, 1, 0.9)], 0.5)).toBeNull()
  })
  it('answers of one score are given or kept back together', () => {
    expect(thresholds([answer(0, 0, 0.5), answer(0, 1, 0.5), answer(1, 1, 0.4)])).toEqual([
      { threshold: 0.5, precision: 0.5, coverage: 2 / 3 },
      { threshold: 0.4, precision: 2 / 3, coverage: 1 },
    ])
  })
  it('scores of 0 and 1 have a bin', () => {
    expect(evaluate([answer(0, 0, 0), answer(0, 0, 1)]).bins.reduce((sum, { count }) => sum + count, 0)).toBe(2)
  })
  it('nothing is not evaluated', () => expect(() => evaluate([])).toThrow(TypeError))
})

it('a classifier that means what it says is calibrated, one that boasts is not', () => {
  const random = new Random(7)
  const drawn = (confidence: (score: number) => number): Answer[] =>
    Array.from({ length: 6000 }, () => {
      const score = random.next()
      return answer(0, random.next() < confidence(score) ? 0 : 1, score)
    })
  expect(evaluate(drawn((score) => score)).ece).toBeLessThan(0.03)
  expect(evaluate(drawn((score) => score * score)).ece).toBeGreaterThan(0.12)
})

it('a chosen threshold has its precision, and one step lower has not, on drawn answers', () => {
  const random = new Random(9)
  for (let i = 0; i < 50; i++) {
    const answers = Array.from({ length: random.between(1, 60) }, () =>
      answer(0, random.between(0, 1), random.between(0, 20) / 20),
    )
    const wanted = random.next()
    const chosen = thresholdFor(answers, wanted)
    const precisionAt = (threshold: number): number => {
      const given = answers.filter(({ score }) => score >= threshold)
      return given.filter(({ truth, predicted }) => truth === predicted).length / given.length
    }
    for (const { score } of answers)
      if (score < (chosen?.threshold ?? Infinity)) expect(precisionAt(score)).toBeLessThan(wanted)
    if (chosen) expect([precisionAt(chosen.threshold), chosen.precision >= wanted]).toEqual([chosen.precision, true])
  }
})
