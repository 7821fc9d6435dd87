/** Predictions with given scores, and the steps that the policy makes of them. */
import type { PolicyEvent } from '../../src/decision/decision.js'
import { initialPolicy, observe, type PolicyOptions, type PolicyStep } from '../../src/decision/policy.js'
import { createPredictor, type Prediction } from '../../src/decision/prediction.js'

export const classes = ['open', 'closed', 'broken', 'blocked']
export const bare: PolicyOptions = {
  smoothingMs: 0,
  threshold: 0.6,
  hysteresis: 0.1,
  consecutive: 1,
  margin: 0,
  staleAfterMs: 1000,
}

/** A prediction with these scores, which need not sum to 1. */
export function scored(
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
export function play(
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

export const labelsOf = (steps: readonly PolicyStep[]): string[] => steps.map(({ state }) => state.decision.label)
export const eventsOf = (steps: readonly PolicyStep[]): PolicyEvent[] => steps.flatMap(({ events }) => [...events])
export const last = (steps: readonly PolicyStep[]): PolicyStep => steps[steps.length - 1]!
