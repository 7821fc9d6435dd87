/** Heat maps of an open engine. `plan.ts` says what the engine must be opened with. */
import type { Engine } from '../engine/engine.js'
import type { HeatHead } from '../model/metadata/heat-head.js'
import { featureMapOf, gridHeatOf, type GridPlan } from './grid-plan.js'
import { createHeatSource, type Heat } from './map.js'

/** What heat maps of a model need. */
export interface HeatPlan {
  readonly head: HeatHead
  readonly classes: number
  /** The engine must be opened with these. */
  readonly extraOutputs: readonly string[]
}

/** The heat source of an engine that was opened with the plan's extra outputs. */
export function heatOf(plan: HeatPlan | GridPlan | { readonly reason: string }, engine: Engine): Heat {
  if ('reason' in plan) return plan
  if ('grid' in plan) return gridHeatOf(plan, engine)
  const { head, classes } = plan
  const map = featureMapOf(engine, head.map, head.layout)
  if (!map) return { reason: `the engine does not output the feature map ${head.map}` }
  const { width, height, channels } = map
  if (width * height === 1)
    return {
      reason:
        'its feature map is 1 by 1 at this input size, so that a map has only one place; use a larger --input-size',
    }
  if (head.weights(0).length !== channels)
    return { reason: `its feature map has ${channels} channels and its head ${head.weights(0).length}` }
  return { heat: createHeatSource(head, map, classes) }
}
