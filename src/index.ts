/**
 * The library: everything that a program may import from 'gapcam'. Importing it loads no model, no broker and no other
 * part of a running node; `startNode` loads them when it is called.
 */
import type { RunningNode, StartNodeOptions } from './run/embedded.js'

export { openModel, type Feed, type Model, type OpenModelOptions } from './library/model.js'
export {
  conv2d,
  globalAveragePool,
  type Conv2dOptions,
  type FloatTensor,
  type FloatTensorLike,
} from './library/functional.js'
export { GapcamError, type ErrorCode } from './errors.js'
export type { CudaFacts, CudaPrecision, EngineDescription, EngineOptions, Rejection } from './engine/engine.js'
export type { EngineChoice } from './engine/select.js'
export type { EngineName } from './decision/prediction.js'
export type { InputSize, Layout, Tensor, TensorData, TensorInfo, TensorType } from './tensor.js'
export type { NodeConfig, NodeLabel, RunningNode, StartNodeOptions } from './run/embedded.js'

/**
 * Starts a node in this process: cameras to labels on MQTT, as `gapcam run` does, without taking over the process.
 * Rejects with a GapcamError such as CONFIG_INVALID, MODEL_NOT_FOUND or PORT_IN_USE; nothing stays open then.
 *
 *     const node = await startNode({ config: { cameras: [{ id: 'door', source: '/dev/video0' }] } })
 *     for await (const { camera, label } of node.labels()) console.log(camera, label)
 */
export async function startNode(options: StartNodeOptions = {}): Promise<RunningNode> {
  const { startEmbedded } = await import('./run/embedded.js')
  return startEmbedded(options, async (parts) => (await import('./server/page.js')).startPage(parts))
}
