/** What a caller says about the classifier that it wants. */
import type { ClipOptions, Task } from '../decision/task.js'
import type { EngineOptions } from '../engine/engine.js'
import type { PlanCacheOptions } from '../engine/plan-cache.js'
import type { EngineChoice } from '../engine/select.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import type { ResizeMode } from '../pixels/spec.js'

export interface ClassifierOptions extends EngineOptions {
  readonly model: string
  /** The model of this path, where the caller has read or made it already. It is not kept. */
  readonly loaded?: LoadedModel | undefined
  readonly engine?: EngineChoice
  /** A label file; default the manifest's, then NAME.labels.txt and NAME.txt beside the model. */
  readonly labels?: string | undefined
  readonly resize?: ResizeMode | undefined
  /** What the network is asked; default what its manifest says or its outputs show. */
  readonly task?: Task | undefined
  /** How clips are made of frames, of a model that looks at clips; default as its manifest says. */
  readonly clip?: ClipOptions | undefined
  /** Opens the engine with the feature map as a further output, so that heat maps can be had; default false. */
  readonly heat?: boolean
  /** Opens the engine with the embedding of the picture as a further output; default false. */
  readonly embedding?: boolean
  /** Keeps the compiled model for the next start; default: it is not kept. */
  readonly planCache?: PlanCacheOptions | undefined
}
