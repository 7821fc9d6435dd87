/**
 * The one interface of the executors (native, CUDA, onnxruntime). An engine owns one model at one input size.
 * Its tensors are its own memory, the same from open to close: the caller writes `inputs`, calls `run`, and reads
 * `outputs` before the next `run`. One run at a time; `run` never blocks the event loop.
 */
import type { EngineName } from '../decision/prediction.js'
import type { Preprocessor, PreprocessSpec } from '../pixels/spec.js'
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
  /** The kernels' target for native ('avx2', 'neon', …), generation and precision for cuda ('sm_87-fp16'), the execution provider for onnxruntime ('cpu'). */
  readonly target: string
  readonly threads: number
  /** One sentence: why this engine. */
  readonly reason: string
  /** The executors and targets that were not taken, each with its reason. */
  readonly rejected: readonly Rejection[]
  /** How the GPU is, where the engine was opened on one; `engine` says who computed the last result. */
  readonly cuda?: CudaFacts
}

export interface CudaFacts {
  /** The driver's name of the device. */
  readonly device: string
  /** Compute capability as in the names of cubins: 'sm_87'. */
  readonly generation: string
  readonly precision: CudaPrecision
  /** The newest CUDA that the driver speaks: '12.6'. */
  readonly driver: string
  /** Where the kernels come from. */
  readonly kernels: string
  /** The self-test's largest difference from the CPU engine, as a share of the output's range. */
  readonly selfTest: number
  /** The least times of a run that `auto` compared; null where nobody asked. */
  readonly measured: { readonly cudaMs: number; readonly nativeMs: number } | null
  /** `serving`; `waiting` after a fault until it is tried again; `off` for the rest of this process. */
  readonly state: 'serving' | 'waiting' | 'off'
  /** Runs that failed; each of these frames was computed by the CPU engine. */
  readonly faults: number
  /** Runs that were tried after a wait. */
  readonly retries: number
  /** Frames that the CPU engine computed. */
  readonly framesOnCpu: number
  readonly lastFault: string | null
  /** Only a new process can use CUDA again. */
  readonly restartWanted: boolean
}

export type CudaPrecision = 'fp16' | 'fp32'

export interface Rejection {
  readonly name: string
  readonly reason: string
}

export interface Engine {
  readonly inputs: readonly EngineTensor[]
  readonly outputs: readonly EngineTensor[]
  run(): Promise<void>
  /**
   * A pass of its own for frames into `inputs[0]`, the only input, where it has a better one than the CPU's. To be closed
   * before the engine.
   */
  preprocessor?(spec: PreprocessSpec): Preprocessor
  describe(): EngineDescription
  /** Waits for a run in progress, then frees everything; the tensors must not be touched afterwards. */
  close(): Promise<void>
}

export interface EngineOptions {
  /** Threads that compute, 1 to 64; 'auto' (the default) is what `autoThreads` in threads.ts says of this machine, or a tuning found. */
  readonly threads?: number | 'auto'
  /** Forces a native target, as GAPCAM_TARGET does; an unsupported one is an error. */
  readonly target?: string
  /** What CUDA computes in; 'auto' (the default) is fp16 where that passes the self-test, else fp32. */
  readonly cudaPrecision?: CudaPrecision | 'auto'
  /** Is told, in a sentence, of each fault after which the engine went on by itself. */
  readonly onFault?: (sentence: string) => void
  /** Height and width for models that leave them free, or that are size-agnostic up to GAP. */
  readonly inputSize?: InputSize
  /** The outputs that are wanted, by name; all of the model's where this is not given. Nothing else is computed. */
  readonly outputs?: readonly string[]
  /** Extra outputs by value name, such as the feature map before GAP. */
  readonly extraOutputs?: readonly string[]
}
