/**
 * The one interface of the executors (native, CUDA, onnxruntime). An engine owns one model at one input size.
 * Its tensors are its own memory, the same from open to close: the caller writes `inputs`, calls `run`, and reads
 * `outputs` before the next `run`. One run at a time; `run` never blocks the event loop.
 */
import type { NativePixelPass } from '../addon-pixels.js'
import type { Frame } from '../frame.js'
import type { Precision } from '../model/precision.js'
import type { EngineName } from '../decision/prediction.js'
import type { PixelCode, Preprocessor, PreprocessSpec } from '../pixels/spec.js'
import type { InputSize, Tensor } from '../tensor.js'

export interface EngineTensor extends Tensor {
  /**
   * Whether `shape` and `data` are in the model file's own order. If not, the file says NCHW and this is its NHWC
   * permutation, which the pixel path writes directly.
   */
  readonly inFileOrder: boolean
  /** Of bytes that stand for real numbers; only the native engine has such tensors, and only if it was asked for them. */
  readonly code?: PixelCode | undefined
  /**
   * Of an output whose size only a run tells (`EngineOptions.hasOpenOutputs`): the elements of the last run, the number of
   * axes, and their sizes. `data` has room for at least that many; `shape` is that of the first run.
   */
  readonly live?: Int32Array | undefined
}

/** Which executor was chosen and why. Every field appears in logs, JSON output and health. */
export interface EngineDescription {
  readonly engine: EngineName
  /** native: the kernels' target ('avx2', 'neon', …). cuda: generation and precision ('sm_87-fp16'). onnxruntime: 'cpu'. */
  readonly target: string
  readonly threads: number
  /** One sentence: why this engine was chosen. */
  readonly reason: string
  /** The executors and targets that were not chosen, each with its reason. */
  readonly rejected: readonly Rejection[]
  /** The parts of a model that one engine does not cover as a whole, in order. */
  readonly parts?: readonly EnginePart[]
  /** The state of the GPU if the engine was opened on one; `engine` names the executor of the last result. */
  readonly cuda?: CudaFacts
}

/** A part of a model, the engine that computes it, and what it holds, as part of a sentence. */
export interface EnginePart {
  readonly engine: EngineName
  readonly what: string
}

export interface CudaFacts {
  /** The driver's name of the device. */
  readonly device: string
  /** Compute capability, spelled as in cubin names: 'sm_87'. */
  readonly generation: string
  readonly precision: CudaPrecision
  /** The newest CUDA version that the driver supports: '12.6'. */
  readonly driver: string
  /** The origin of the kernels: shipped cubins or NVRTC. */
  readonly kernels: string
  /** The largest difference from the CPU engine in the self-test, as a share of the output's range. */
  readonly selfTest: number
  /** The shortest run times that `auto` compared; null if CUDA was requested by name. */
  readonly measured: { readonly cudaMs: number; readonly nativeMs: number } | null
  /** `serving`; `waiting` after a fault until the next attempt; `off` for the rest of this process. */
  readonly state: 'serving' | 'waiting' | 'off'
  /** Failed runs; the CPU engine computed each of these frames instead. */
  readonly faults: number
  /** Attempts after a wait. */
  readonly retries: number
  /** Frames computed by the CPU engine. */
  readonly framesOnCpu: number
  readonly lastFault: string | null
  /** True if only a new process can use CUDA again. */
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
   * Writes a frame into `inputs[0]`, the only input, and runs, without a return to JavaScript in between. Resolves with the
   * milliseconds of the pass. Rejects with FRAME_INVALID, and then has not run, or with ENGINE_FAILED. Absent where the engine
   * needs two steps.
   */
  look?(pass: NativePixelPass, frame: Frame): Promise<number>
  /**
   * A pixel pass that writes `inputs[0]`, the only input; present only if it is faster than the CPU's pass. Close it
   * before the engine.
   */
  preprocessor?(spec: PreprocessSpec): Preprocessor
  describe(): EngineDescription
  /** Waits for a run in progress, then frees everything. The tensors are invalid afterwards. */
  close(): Promise<void>
}

export interface EngineOptions {
  /** Compute threads, 1 to 64; 'auto' (the default) takes the tuning's count, else `autoThreads` in threads.ts. */
  readonly threads?: number | 'auto'
  /** Forces a native target, as GAPCAM_TARGET does. An unsupported target is an error. */
  readonly target?: string
  /**
   * 'fp16' computes convolutions in half precision on the CPU. It needs an Arm processor with ARMv8.2 FP16; elsewhere it is
   * an error. 'auto' lets a classifier measure whether it may, and is 'fp32' otherwise. Default 'fp32'.
   */
  readonly precision?: Precision | 'auto' | undefined
  /** Whether every value of the network is an output, to measure what the values reach. Default false. */
  readonly isObserved?: boolean
  /** Precision of CUDA; 'auto' (the default) is fp16 if that passes the self-test, else fp32. */
  readonly cudaPrecision?: CudaPrecision | 'auto'
  /** Whether 8-bit networks compute in 8 bits rather than in float32; default where the target has kernels for it. */
  readonly integers?: boolean
  /**
   * Whether the native engine may take a picture as the bytes of its first quantised tensor (`EngineTensor.code`) rather
   * than as real numbers. Default false.
   */
  readonly byteInputs?: boolean
  /** Receives one sentence for each fault that the engine recovered from. */
  readonly onFault?: (sentence: string) => void
  /** Height and width for models with free input sizes, and for models that work at any size up to GAP. */
  readonly inputSize?: InputSize | undefined
  /** Names of the values to compute, outputs or inner values; default all outputs. Nothing else is computed. */
  readonly outputs?: readonly string[] | undefined
  /** Whether outputs may have another size in each run, as the boxes of a detector. Default false. */
  readonly hasOpenOutputs?: boolean | undefined
  /** Inner values to return in addition, for example the feature map before GAP. */
  readonly extraOutputs?: readonly string[] | undefined
}
