/** Prepares a model for heat maps: finds its head, and the extra output that the engine needs. */
import { expandContrib } from '../model/contrib.js'
import { findHeatHead } from '../model/metadata/heat-head.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import { prepareGraph } from '../model/prepare.js'
import { elementCount, type InputSize } from '../tensor.js'
import type { HeatPlan } from './open.js'

/**
 * Finds the head that computes the value `scores` (default the first output). Returns a reason when the model cannot have
 * heat maps.
 *
 *     const plan = planHeat(model, undefined)
 *     const engine = await openEngine(model, 'auto', 'reason' in plan ? {} : { extraOutputs: plan.extraOutputs })
 *     const heat = heatOf(plan, engine)
 */
export function planHeat(
  model: LoadedModel,
  inputSize: InputSize | undefined,
  scores = model.graph.outputs[0]!.name,
): HeatPlan | { readonly reason: string } {
  // A map that a QLinear operator averages is read as real numbers, which its expansion names.
  const { graph } = prepareGraph(expandContrib(model.graph), inputSize ? { inputSize } : {})
  const shape = graph.values.get(scores)?.shape
  if (!shape?.every((size) => typeof size === 'number')) return { reason: 'the shape of its scores is unknown' }
  const classes = elementCount(shape as readonly number[])
  const head = findHeatHead(graph, scores, classes)
  if ('reason' in head) return head
  if (graph.inputs.some(({ name }) => name === head.map))
    return { reason: 'the mean is taken over the picture itself, not over a feature map' }
  return { head, classes, extraOutputs: [head.map] }
}
