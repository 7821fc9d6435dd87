/**
 * Opens the CUDA engine for a model. It needs a driver, a device, kernels for the device, and a session that passes a
 * self-test against the CPU engine. Unless the user asks for CUDA by name, it must also be faster than the CPU in a
 * short measurement. Each failure is a reason, not an error.
 */
import { loadAddon, type Addon, type CudaDevice, type CudaSession } from '../addon.js'
import { messageOf } from '../errors.js'
import { findCubin, type Cubin } from './cubins.js'
import { CudaEngine, runInstead } from './cuda.js'
import type { CudaPrecision, Engine, EngineOptions } from './engine.js'
import { toEngineTensor, type CompiledModel } from './native.js'
import { compileCubin } from './nvrtc.js'

/** The device with the addon that found it, or what is missing. */
export type CudaDeviceFound = { readonly addon: Addon; readonly device: CudaDevice } | { readonly why: string }

/** Looks for a driver and a device. */
export async function findCudaDevice(): Promise<CudaDeviceFound> {
  const loaded = loadAddon()
  if ('reason' in loaded) return { why: loaded.reason }
  try {
    return { addon: loaded.addon, device: await loaded.addon.describeCuda() }
  } catch (error) {
    return { why: messageOf(error) }
  }
}

/** What to open, and where. */
export interface CudaRequest {
  readonly addon: Addon
  readonly device: CudaDevice
  readonly compiled: CompiledModel
  /**
   * The CPU engine of the same plan. The CUDA engine owns it afterwards; after a failure it still belongs to the
   * caller.
   */
  readonly cpu: Engine
  /** The user asked for CUDA by name: it is used even if it is slower. */
  readonly isAsked: boolean
  readonly options: EngineOptions
}

/** The engine, or the reason why CUDA is not used. */
export type CudaAttempt = { readonly engine: Engine } | { readonly why: string; readonly cause?: unknown }

/**
 * Tries the shipped kernels, then kernels that NVRTC compiles here.
 *
 *     const attempt = await tryCuda({ addon, device, compiled, cpu, isAsked: false, options })
 *     const engine = 'engine' in attempt ? attempt.engine : cpu
 */
export async function tryCuda(request: CudaRequest): Promise<CudaAttempt> {
  const { addon, device } = request
  const sm = device.major * 10 + device.minor
  const shipped = await findCubin(sm)
  const attempt: CudaAttempt = 'why' in shipped ? shipped : await tryKernels(request, shipped)
  // NVRTC is tried if no cubin is shipped for this generation, or if the driver is too old to load the shipped one.
  const isTried = 'engine' in attempt || (!('why' in shipped) && !attempt.why.startsWith('cuModuleLoadData'))
  if (isTried || addon.cudaOff() !== null) return attempt
  const compiled = await compileCubin(addon, sm, attempt.why)
  return 'why' in compiled ? compiled : tryKernels(request, compiled)
}

async function tryKernels(request: CudaRequest, { image, origin }: Cubin): Promise<CudaAttempt> {
  const { cudaPrecision = 'auto' } = request.options
  let attempt: CudaAttempt = { why: '' }
  for (const precision of cudaPrecision === 'auto' ? (['fp16', 'fp32'] as const) : [cudaPrecision]) {
    const opened = await openCudaSession(request, precision, image)
    if ('why' in opened) attempt = opened
    else {
      const { session, selfTest } = opened
      if (selfTest <= tolerance[precision]) return serve(request, { session, selfTest, precision, origin })
      await session.close()
      attempt = { why: `its self-test in ${precision} is off by ${selfTest.toPrecision(2)} of the output's range` }
    }
    if (request.addon.cudaOff() !== null) break
  }
  return attempt
}

/** The largest difference from the CPU engine that the self-test accepts, as a share of an output's range. */
const tolerance: Readonly<Record<CudaPrecision, number>> = { fp16: 2e-2, fp32: 1e-4 }

/** Opens a session and runs its self-test. */
async function openCudaSession(
  { addon, compiled: { outline, constants }, cpu }: CudaRequest,
  precision: CudaPrecision,
  image: Uint8Array,
): Promise<{ session: CudaSession; selfTest: number } | { why: string; cause: unknown }> {
  let session: CudaSession | null = null
  try {
    session = await addon.openCudaSession(outline, { image, precision, constants })
    return { session, selfTest: await runSelfTest(session, cpu) }
  } catch (error) {
    await session?.close()
    return { why: messageOf(error), cause: error }
  }
}

/**
 * One inference on both engines: the largest difference of any output as a share of its range; NaN if one is not
 * finite.
 */
async function runSelfTest(session: CudaSession, cpu: Engine): Promise<number> {
  const [inputs, outputs] = [session.inputs.map(toEngineTensor), session.outputs.map(toEngineTensor)]
  for (const { data } of inputs) fillWave(data as Float32Array)
  await session.run()
  const computed = outputs.map(({ data }) => Float32Array.from(data as Float32Array))
  await runInstead(cpu, { inputs, outputs })
  const worst = outputs.reduce((most, { data }, i) => Math.max(most, difference(data as Float32Array, computed[i]!)), 0)
  for (const { data } of [...inputs, ...outputs, ...cpu.inputs, ...cpu.outputs]) (data as Float32Array).fill(0)
  return worst
}

/** Values of the size of a normalized picture, without a period that could hide a wrong layout. */
function fillWave(data: Float32Array): void {
  for (let i = 0; i < data.length; i++) data[i] = Math.sin(i * 0.37) + Math.sin(i * 0.0113) * 0.8
}

function difference(right: Float32Array, computed: Float32Array): number {
  let [least, most, worst] = [Infinity, -Infinity, 0]
  for (let i = 0; i < right.length; i++) {
    least = Math.min(least, right[i]!)
    most = Math.max(most, right[i]!)
    worst = Math.max(worst, Math.abs(right[i]! - computed[i]!))
  }
  // An output of one value has no range: its size is used instead.
  const range = most - least
  return worst === 0 ? 0 : worst / (range > 0 ? range : Math.max(Math.abs(most), 1))
}

interface Opened {
  readonly session: CudaSession
  readonly selfTest: number
  readonly precision: CudaPrecision
  readonly origin: string
}

/** Makes the engine of a session that passed its self-test, if CUDA is asked for or faster. */
async function serve(request: CudaRequest, opened: Opened): Promise<CudaAttempt> {
  const { session } = opened
  if (request.isAsked) return { engine: engineOf(request, opened, null) }
  try {
    const times = await measure(session, request.cpu)
    if (times.cudaMs < times.nativeMs) return { engine: engineOf(request, opened, times) }
    await session.close()
    return { why: `slower here: ${sentence(times)}` }
  } catch (error) {
    await session.close()
    return { why: messageOf(error), cause: error }
  }
}

interface Times {
  readonly cudaMs: number
  readonly nativeMs: number
}

/** `measured` is null when CUDA was asked for. */
function engineOf(
  request: CudaRequest,
  { session, selfTest, precision, origin }: Opened,
  measured: Times | null,
): Engine {
  const { addon, device, cpu, options } = request
  const { driverVersion, major, minor, name } = device
  const rejected = cpu.describe().rejected.filter((rejection) => rejection.name !== 'cuda')
  const slower = measured ? [{ name: 'native', reason: `slower here: ${sentence(measured)}` }] : []
  return new CudaEngine({
    session,
    cpu,
    addon,
    facts: {
      device: name,
      generation: `sm_${major}${minor}`,
      precision,
      kernels: origin,
      selfTest,
      measured,
      driver: `${Math.floor(driverVersion / 1000)}.${Math.floor((driverVersion % 1000) / 10)}`,
    },
    reason: measured ? `the faster one here (${sentence(measured)})` : 'asked for',
    rejected: [...slower, ...rejected],
    onFault: options.onFault ?? (() => undefined),
  })
}

const sentence = ({ cudaMs, nativeMs }: Times): string => `cuda ${digits(cudaMs)} ms, native ${digits(nativeMs)} ms`

const digits = (ms: number): string => (ms < 100 ? ms.toPrecision(3) : ms.toFixed(0))

/**
 * The shortest times of alternating runs: at least three of each, then up to 20 within half a second. It stops early
 * when CUDA is more than ten times slower.
 */
async function measure(session: CudaSession, cpu: Engine): Promise<Times> {
  for (const engine of [session, cpu]) await engine.run()
  const end = performance.now() + 500
  let [cudaMs, nativeMs] = [Infinity, Infinity]
  for (let round = 0; round < 20 && (round < 3 || performance.now() < end); round++) {
    cudaMs = Math.min(cudaMs, await timed(session))
    nativeMs = Math.min(nativeMs, await timed(cpu))
    if (cudaMs > 10 * nativeMs) break
  }
  return { cudaMs, nativeMs }
}

async function timed(engine: { run(): Promise<void> }): Promise<number> {
  const start = performance.now()
  await engine.run()
  return performance.now() - start
}
