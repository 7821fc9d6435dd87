/** Compares heat maps with their definition. */
import { expect } from 'vitest'
import { openEngine, type EngineChoice } from '../../src/engine/select.js'
import { heatOf } from '../../src/heat/open.js'
import { planHeat } from '../../src/heat/plan.js'
import { loadModel } from '../../src/model/load.js'
import { Random } from '../random.js'

/** How near the maps come to the logits. */
export interface Outcome {
  /** The largest difference between logits and means of the maps, as a share of the range of the logits. */
  readonly error: number
  readonly places: number
}

/** Runs a model on two pictures; the reason where it has no heat map. */
export async function check(path: string, choice: EngineChoice): Promise<Outcome | string> {
  const model = await loadModel(path)
  const plan = planHeat(model, undefined)
  if ('reason' in plan) return plan.reason
  const engine = await openEngine(model, choice, { threads: 1, extraOutputs: plan.extraOutputs })
  try {
    const opened = heatOf(plan, engine)
    if ('reason' in opened) return opened.reason
    const random = new Random(11)
    const runs: { logits: number[]; means: number[] }[] = []
    let places = 0
    for (let i = 0; i < 2; i++) {
      const input = engine.inputs[0]!.data as Float32Array
      for (let at = 0; at < input.length; at++) input[at] = random.normal()
      await engine.run()
      const logits = [...(engine.outputs[0]!.data as Float32Array)]
      const maps = logits.map((_, k) => opened.heat(k))
      places = maps[0]!.values.length
      runs.push({ logits, means: maps.map(({ values }) => values.reduce((sum, v) => sum + v, 0) / values.length) })
    }
    const [a, b] = [runs[0]!, runs[1]!]
    const range = Math.max(...a.logits.map(Math.abs), ...b.logits.map(Math.abs), ...a.means.map(Math.abs))
    const errors = a.logits.map((logit, k) => Math.abs(logit - b.logits[k]! - (a.means[k]! - b.means[k]!)) / range)
    expect(Math.max(...a.logits.map((logit, k) => Math.abs(logit - b.logits[k]!)))).toBeGreaterThan(0) // the pictures differ
    return { error: Math.max(...errors), places }
  } finally {
    await engine.close()
  }
}
