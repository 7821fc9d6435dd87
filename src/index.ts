/** The library: everything that a program may import from 'gapcam'. */
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
