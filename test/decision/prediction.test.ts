import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createPredictor,
  type PredictionContext,
  type PredictorOptions,
  type RawOutputs,
} from '../../src/decision/prediction.js'

const context: PredictionContext = {
  engine: 'native',
  target: 'scalar',
  frameSeq: 7,
  wallTime: 1_700_000_000_000,
  timings: { capture: 1, preprocess: 2, infer: 3, total: 6 },
}
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `class ${i}`)

function predict(outputs: RawOutputs, options: Partial<PredictorOptions> = {}) {
  return createPredictor({ labels: names(outputs.length), modelId: 'm', ...options })(outputs, context)
}

function predicted(outputs: RawOutputs, options: Partial<PredictorOptions> = {}) {
  const outcome = predict(outputs, options)
  if (!outcome.ok) throw new Error(outcome.reason)
  return outcome.prediction
}

const logitRow = fc
  .array(fc.float({ min: -80, max: 80, noNaN: true }), { minLength: 1, maxLength: 40 })
  .map((row) => Float32Array.from(row))

describe('softmax', () => {
  it('gives the closed form for three logits', () => {
    const { scores } = predicted(Float32Array.of(1, 2, 3))
    const sum = Math.exp(1) + Math.exp(2) + Math.exp(3)
    expect([...scores]).toEqual([1, 2, 3].map((x) => Math.fround(Math.exp(x) / sum)))
  })

  it('stays finite for logits far outside the range of exp', () => {
    expect([...predicted(Float32Array.of(1e30, -1e30, 1e30)).scores]).toEqual([0.5, 0, 0.5])
  })

  it('sums to one and does not change when every logit shifts', () => {
    fc.assert(
      fc.property(logitRow, fc.integer({ min: -64, max: 64 }), (row, shift) => {
        const scores = Float32Array.from(predicted(row).scores)
        expect(scores.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 4)
        const shifted = predicted(row.map((x) => x + shift)).scores
        scores.forEach((score, i) => expect(shifted[i]).toBeCloseTo(score, 3))
      }),
    )
  })
})

describe('ranking', () => {
  it('equals a stable sort of all scores, ties in order of index', () => {
    const fewValues = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(fewValues, fc.integer({ min: 1, max: 8 }), (values, topK) => {
        const { top, scores } = predicted(Float32Array.from(values), { topK })
        const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, topK)
        expect(top.map(({ index }) => index)).toEqual(order)
        for (const { index, label, score } of top) {
          expect(label).toBe(`class ${index}`)
          expect(score).toBe(scores[index])
        }
      }),
    )
  })

  it('carries frame, model and executor of this very result', () => {
    expect(predicted(Float32Array.of(0, 1), { modelId: 'dock-7', modelSha256: 'ab' })).toMatchObject({
      ...context,
      modelId: 'dock-7',
      modelSha256: 'ab',
    })
  })
})

describe('outputs that already are probabilities', () => {
  it('are not activated again', () => {
    expect([...predicted(Float32Array.of(0.25, 0.75), { scoreActivation: 'none' }).scores]).toEqual([0.25, 0.75])
  })

  it('are dequantised with the scale and zero point of the graph', () => {
    const { top, logits } = predicted(Uint8Array.of(0, 64, 192), {
      scoreActivation: 'none',
      quantization: { scale: 1 / 256, zeroPoint: 0 },
    })
    expect([...logits]).toEqual([0, 0.25, 0.75])
    expect(top[0]).toEqual({ index: 2, label: 'class 2', score: 0.75 })
    const signed = predicted(Int8Array.of(-128, 0), {
      scoreActivation: 'none',
      quantization: { scale: 1 / 256, zeroPoint: -128 },
    })
    expect([...signed.scores]).toEqual([0, 0.5])
  })

  it('are answers when all are zero: nothing was found', () => {
    expect(predicted(Float32Array.of(0, 0), { scoreActivation: 'none' }).top[0]).toMatchObject({ index: 0, score: 0 })
  })

  it('may be given as logarithms', () => {
    const { scores } = predicted(Float32Array.of(Math.log(0.25), -1e30), { scoreActivation: 'exp' })
    expect([scores[0]!.toFixed(6), scores[1]]).toEqual(['0.250000', 0])
  })
})

describe('one output with two labels', () => {
  const binary = { labels: ['off', 'on'], isBinary: true } as const

  it.each([
    ['sigmoid', Math.log(3), 0.75],
    ['none', 0.75, 0.75],
    ['none', 0, 0],
  ] as const)('%s of %d scores the second label, and the first gets the rest', (scoreActivation, output, score) => {
    const { scores } = predicted(Float32Array.of(output), { ...binary, scoreActivation })
    expect(scores[1]).toBeCloseTo(score, 6)
    expect(scores[0]).toBeCloseTo(1 - score, 6)
  })

  it('takes no third label', () => {
    expect(() => createPredictor({ ...binary, labels: ['a', 'b', 'c'], modelId: 'm' })).toThrow(TypeError)
  })
})

describe('sigmoid', () => {
  it('scores each class by itself', () => {
    expect([...predicted(Float32Array.of(0, 500, -500), { scoreActivation: 'sigmoid' }).scores]).toEqual([0.5, 1, 0])
  })
})

describe('logits that are not finite', () => {
  it.each([
    [NaN, 'nan'],
    [Infinity, 'infinite'],
    [-Infinity, 'infinite'],
  ] as const)('%s anywhere gives no prediction', (bad, reason) => {
    fc.assert(
      fc.property(logitRow, fc.nat(), (row, place) => {
        row[place % row.length] = bad
        for (const scoreActivation of ['softmax', 'sigmoid', 'none'] as const) {
          expect(predict(row, { scoreActivation })).toEqual({ ok: false, reason })
        }
      }),
    )
  })

  it('do not spoil the next frame', () => {
    const predictor = createPredictor({ labels: names(2), modelId: 'm' })
    expect(predictor(Float32Array.of(NaN, 0), context).ok).toBe(false)
    const next = predictor(Float32Array.of(0, 0), context)
    expect(next.ok && [...next.prediction.scores]).toEqual([0.5, 0.5])
  })
})

it("a row of another length is the programmer's mistake", () => {
  expect(() => createPredictor({ labels: names(3), modelId: 'm' })(new Float32Array(2), context)).toThrow(
    /Expected 3 outputs/,
  )
  expect(() => createPredictor({ labels: names(3), modelId: 'm', topK: 0 })).toThrow(TypeError)
})
