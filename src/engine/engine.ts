/**
 * The one interface of the executors (native, onnxruntime, later CUDA). An engine owns one model at one input size.
 * Its tensors are its own memory, the same from open to close: the caller writes `inputs`, calls `run`, and reads
 * `outputs` before the next `run`. One run at a time; `run` never blocks the event loop.
 */
import type { EngineName } from '../prediction.js'
import type { InputSize, Tensor } from '../tensor.js'

export interface EngineTensor extends Tensor {
  /**
   * Whether `shape` and `data` are in the model file's own order. If not, the file says NCHW and this is its NHWC
   * permutation, which the pixel path writes directly.
   */
  readonly inFileOrder: boolean
}

/** Why an executor was taken or not; every field ends up in logs, JSON output and health. */
export interface EngineDescription {
  readonly engine: EngineName
  /** The kernels' target for native ('avx2', 'neon', …), the execution provider for onnxruntime ('cpu'). */
  readonly target: string
  readonly threads: number
  /** One sentence: why this engine. */
  readonly reason: string
  /** The executors and targets that were not taken, each with its reason. */
  readonly rejected: readonly Rejection[]
}

export interface Rejection {
  readonly name: string
  readonly reason: string
}

export interface Engine {
  readonly inputs: readonly EngineTensor[]
  readonly outputs: readonly EngineTensor[]
  run(): Promise<void>
  describe(): EngineDescription
  /** Waits for a run in progress, then frees everything; the tensors must not be touched afterwards. */
  close(): Promise<void>
}

export interface EngineOptions {
  /** Threads that compute; 'auto' leaves one core to Node where there are more than two. */
  readonly threads?: number | 'auto'
  /** Forces a native target, as GAPCAM_TARGET does; an unsupported one is an error. */
  readonly target?: string
  /** Height and width for models that leave them free, or that are size-agnostic up to GAP. */
  readonly inputSize?: InputSize
  /** Extra outputs by value name, such as the feature map before GAP. */
  readonly extraOutputs?: readonly string[]
}
