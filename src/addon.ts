/**
 * Loads the native addon once and types its functions. Where it does not load, the result is the reason. GAPCAM_ADDON names
 * another file; tests use it to make the addon unloadable.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Arithmetic } from './arithmetic.js'
import { messageOf } from './errors.js'
import type { NativeCapture, VideoControl, VideoDevice } from './addon-capture.js'
import type { FrameGeometry, NativePixelPass } from './addon-pixels.js'
import type { NativeFrame } from './frame.js'
import type { Layout, PixelData, TensorData, TensorType } from './tensor.js'
import { version } from './version.js'

export interface NativeTensor {
  readonly name: string
  readonly type: TensorType
  readonly layout: Layout
  readonly shape: readonly number[]
  /** Of int8 and uint8; 1 and 0 for other types. */
  readonly scale: number
  readonly zeroPoint: number
  /** A view of the session's own memory. */
  readonly data: TensorData
}

/** native/binding/session.cc */
export interface NativeSession {
  readonly inputs: readonly NativeTensor[]
  readonly outputs: readonly NativeTensor[]
  readonly target: string
  readonly threads: number
  readonly arenaBytes: number
  readonly packedBytes: number
  readonly steps: readonly NativeStep[]
  run(): Promise<void>
  runSync(): void
  /** Writes a frame into the only input and runs. Resolves with the milliseconds of the pass; rejects with FRAME_INVALID. */
  look(pass: NativePixelPass, frame: FrameGeometry, pixels: Uint8Array | NativeFrame): Promise<number>
  /** Runs the plan `rounds` times and times each step. Resolves with the minimum of each step in nanoseconds. */
  profile(rounds: number): Promise<Float64Array>
  close(): Promise<void>
}

/** One step of an open plan, in execution order. */
export interface NativeStep {
  readonly name: string
  readonly kind: string
  readonly kernel: string
  /** Floating-point operations of the direct algorithm: two for each multiply-add. */
  readonly flops: number
  /** Bytes of the tensors that it reads and writes, and of its constants in the plan. */
  readonly inputBytes: number
  readonly weightBytes: number
  readonly outputBytes: number
}

export interface SessionOptions {
  readonly threads: number
  readonly target?: string
  /** The constants of a plan buffer without constants, in the order of their offsets. They may be freed once the session is open. */
  readonly constants?: readonly { readonly offset: number; readonly bytes: Uint8Array }[]
}

/** native/binding/cuda.cc */
export interface CudaSession {
  readonly inputs: readonly NativeTensor[]
  readonly outputs: readonly NativeTensor[]
  /** Kernels that a run launches. */
  readonly launches: number
  readonly weightBytes: number
  readonly activationBytes: number
  /** Rejects with the driver's error. The outputs are then undefined, the inputs unchanged. */
  run(): Promise<void>
  /** A pixel pass on the GPU that writes the session's only input. */
  framePass(spec: Readonly<Record<string, unknown>>): CudaFramePass
  close(): Promise<void>
}

export interface CudaFramePass {
  /** Rejects with FRAME_INVALID or the driver's error. The input is then undefined. */
  run(frame: FrameGeometry, pixels: Uint8Array | NativeFrame): Promise<void>
  /** Rejects if the session is closed already. */
  close(): Promise<void>
}

export interface CudaSessionOptions {
  /** The kernels for the device's generation. */
  readonly image: Uint8Array
  readonly precision: 'fp16' | 'fp32'
  /** As in SessionOptions. */
  readonly constants?: SessionOptions['constants'] & {}
}

export interface CudaDevice {
  readonly name: string
  /** Compute capability. */
  readonly major: number
  readonly minor: number
  readonly multiprocessors: number
  /** Whether the GPU shares the processor's memory, as on a Jetson. */
  readonly isIntegrated: boolean
  readonly memoryBytes: number
  /** 1000 · major + 10 · minor of the newest CUDA that the driver speaks. */
  readonly driverVersion: number
}

export interface NativeTarget {
  readonly name: string
  readonly supported: boolean
  readonly reason: string
}

/** native/binding/jpeg.cc */
export interface NativeJpegShrinker {
  /** RGB levels of the size, which is 1/shrink of the picture's, rounded up; null where another decoder has to serve. */
  decode(bytes: Uint8Array, shrink: number, width: number, height: number): Promise<Uint8Array | null>
}

/** native/binding/anchor.cc: compares pictures of one size with a reference. */
export interface NativeViewAnchor {
  setReference(levels: Float32Array): void
  /** Fills `result` with a, b, x and y shift in pixels, correlation, agreeing, rival, textured; see native/image/anchor.h. */
  locate(levels: Float32Array, result: Float32Array): void
}

/** Which part of a frame (x, y, width, height in shares), how many cells, and how many samples across and down each. */
export interface GridLayout {
  readonly part: readonly [number, number, number, number]
  readonly columns: number
  readonly rows: number
  /** columns · samples: 4096 at most. */
  readonly samples: number
}

/** Where the picture lies in a network's input, and how input values become luma from 0 to 255. */
export interface LensLayout {
  readonly width: number
  readonly height: number
  readonly isNchw: boolean
  /** x, y, width, height in pixels of the input. */
  readonly rectangle: readonly [number, number, number, number]
  /** luma = offset + Σ weights · value, in the input's channel order. */
  readonly weights: readonly [number, number, number]
  readonly offset: number
}

export interface Addon extends Arithmetic {
  /** Maps a regular file privately. The mapping ends when the array is garbage collected. Throws if it cannot be mapped. */
  mapFile(path: string): Uint8Array
  /** Drops the pages under bytes of a mapped file from memory; a later access reads them again. */
  dropPages(bytes: Uint8Array): void
  /** 128 bits as 32 hexadecimal digits: tells files apart, but not those that were made to collide. */
  fingerprint(bytes: Uint8Array): string
  /** From now on the process keeps few free pages; for a program that runs for long. native/binding/memory.cc */
  keepHeapSmall(): void
  /** Returns the free pages of the process to the system. */
  releaseFreeMemory(): void
  readonly Capture: new (
    path: string,
    options: { readonly width?: number; readonly height?: number; readonly fps?: number; readonly stallMs?: number },
  ) => NativeCapture
  /** Throws an Error with a CAMERA_* code. */
  describeVideoDevice(path: string): VideoDevice
  /** A V4L2 device's integer, boolean and menu controls. Throws an Error with a CAMERA_* code. */
  videoControls(path: string): VideoControl[]
  setVideoControl(path: string, id: number, value: number): void
  readonly PixelPass: new (spec: Readonly<Record<string, unknown>>) => NativePixelPass
  readonly JpegShrinker: new () => NativeJpegShrinker
  /** Sides from 32 to 256 pixels. */
  readonly ViewAnchor: new (
    width: number,
    height: number,
  ) => NativeViewAnchor
  /** heat[place] = Σ map[place, channel] · weights[channel]; native/binding/measure.cc */
  heatProduct(map: Float32Array, weights: Float32Array, isNhwc: boolean, heat: Float32Array): void
  /** The mean luma of each cell of a part of a frame; see native/image/grid.h. Throws an Error with code FRAME_INVALID. */
  measureGrid(frame: FrameGeometry, pixels: Uint8Array | NativeFrame, grid: GridLayout, cells: Float32Array): void
  /** Fills `statistics` with sharpness, dark and bright shares, then 56 × 56 cells; see native/image/lens.h. */
  measureLens(pixels: PixelData, layout: LensLayout, statistics: Float32Array): void
  openSession(plan: Uint8Array, options: SessionOptions): Promise<NativeSession>
  openSessionSync(plan: Uint8Array, options: SessionOptions): NativeSession
  /** The first device of NVIDIA's driver. Rejects with a sentence that says what is missing. */
  describeCuda(): Promise<CudaDevice>
  /** The error after which CUDA is off for this process, or null. */
  cudaOff(): string | null
  /** Compiles CUDA C++ with this machine's NVRTC. Rejects with its first error. */
  compileCuda(source: string, options: readonly string[]): Promise<Uint8Array>
  /** NVRTC's version as 100 · major + minor; 0 without NVRTC. */
  nvrtcVersion(): number
  openCudaSession(plan: Uint8Array, options: CudaSessionOptions): Promise<CudaSession>
  /** Best first. */
  describeTargets(): readonly NativeTarget[]
  /** sd_notify(3): sends one datagram to the service manager's socket. Throws an Error with `errno` on failure. */
  notify(socket: string, state: string): void
  /** Ends the process at once. No handler runs and no thread is joined, so it works even when a thread hangs. */
  exitNow(status: number): never
  /**
   * Ends the process with a status and a message on stderr when the main thread has not called `beat` for `limitMs`; creates
   * `markFile` before.
   */
  watchMainThread(limitMs: number, status: number, lastWords: string, markFile?: string): NativeMainWatch
  /** Measures the peak FMA rate of one core in GFLOP/s. */
  measurePeak(target?: string): number
}

/** native/binding/service.cc */
export interface NativeMainWatch {
  /** Call it from the main thread, several times within the limit. */
  beat(): void
  stop(): void
}

export type LoadedAddon = { readonly addon: Addon } | { readonly reason: string }

let loaded: LoadedAddon | null = null

/**
 * The addon, loaded at the first call; later calls return the same result. Never throws: where it does not load,
 * `reason` says why.
 */
export function loadAddon(): LoadedAddon {
  loaded ??= load()
  return loaded
}

const platform = `${process.platform}-${process.arch}`

/**
 * The addon's file: that of GAPCAM_ADDON, else the one that was built here, else that of the optional package for this
 * platform (packaging/npm), which must have the version of this package.
 */
function findAddon(): { readonly file: string } | { readonly reason: string } {
  const named = process.env['GAPCAM_ADDON']
  if (named !== undefined) return { file: named }
  const built = fileURLToPath(new URL(`../prebuilds/${platform}/gapcam.node`, import.meta.url))
  return existsSync(built) ? { file: built } : packagedAddon()
}

/** The addon of `@gapcam/linux-x64` or `@gapcam/linux-arm64`, where npm installed it. */
function packagedAddon(): { readonly file: string } | { readonly reason: string } {
  const name = `@gapcam/${platform}`
  const { resolve } = createRequire(import.meta.url)
  try {
    const manifest = resolve(`${name}/package.json`)
    const found = (JSON.parse(readFileSync(manifest, 'utf8')) as { version?: unknown }).version
    return found === version
      ? { file: join(dirname(manifest), 'gapcam.node') }
      : {
          reason: `the package ${name} has version ${String(found)}, but gapcam has ${version}; npm install gapcam@${version} installs both in the same version`,
        }
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND'
    const why = isMissing
      ? `the package ${name} is not installed, and the addon is not built for ${platform}`
      : `the package ${name} cannot be read: ${messageOf(error)}`
    return {
      reason: `${why} (npm install --include=optional installs the package; npm run build:native builds the addon in a checkout; docs/porting.md)`,
    }
  }
}

function load(): LoadedAddon {
  const found = findAddon()
  if ('reason' in found) return { reason: `the native addon cannot be loaded: ${found.reason}` }
  try {
    return { addon: createRequire(import.meta.url)(found.file) as Addon }
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND'
    const why = isMissing ? `there is no file ${found.file}` : (messageOf(error).split('\n')[0] ?? '')
    return { reason: `the native addon cannot be loaded: ${why}` }
  }
}
