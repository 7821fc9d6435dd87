/**
 * Whether CUDA may serve a model here: a driver and a device, kernels for it, a session that opens, a self-test against
 * the CPU engine on the same plan, and, where nobody asked for it by name, a short measurement that it is the faster one.
 */
import { loadAddon, type Addon, type CudaDevice, type CudaSession } from '../addon.js'
import { messageOf } from '../errors.js'
import { serializeOutline, type Plan } from '../model/plan.js'
import { findCubin, type Cubin } from './cubins.js'
import { CudaEngine, runInstead } from './cuda.js'
import type { CudaPrecision, Engine, EngineOptions } from './engine.js'
import { toEngineTensor } from './native.js'
import { compileCubin } from './nvrtc.js'

export type CudaDeviceFound = { readonly addon: Addon; readonly device: CudaDevice } | { readonly why: string }

/** The device that CUDA would run on, or what is missing. */
export async function findCudaDevice(): Promise<CudaDeviceFound> {
  const loaded = loadAddon()
  if ('reason' in loaded) return { why: loaded.reason }
  try {
    return { addon: loaded.addon, device: await loaded.addon.describeCuda() }
  } catch (error) {
    return { why: messageOf(error) }
  }
}

export interface CudaRequest {
  readonly addon: Addon
  readonly device: CudaDevice
  readonly plan: Plan
  /** The CPU engine of the same plan. The CUDA engine takes it over; without one it is left as it is. */
  readonly cpu: Engine
  /** Asked for by name: it need not be the faster one. */
  readonly isAsked: boolean
  readonly options: EngineOptions
}

export type CudaAttempt = { readonly engine: Engine } | { readonly why: string; readonly cause?: unknown }

export async function tryCuda(request: CudaRequest): Promise<CudaAttempt> {
  const { addon, device } = request
  const sm = device.major * 10 + device.minor
  const shipped = await findCubin(sm)
  const attempt: CudaAttempt = 'why' in shipped ? shipped : await tryKernels(request, shipped)
  // Where none are shipped this machine's own compiler makes them; and an older driver may refuse what a newer one made.
  const isTried = 'engine' in attempt || (!('why' in shipped) && !attempt.why.startsWith('cuModuleLoadData'))
  if (isTried || addon.cudaOff() !== null) return attempt
  const compiled = await compileCubin(addon, sm, attempt.why)
  return 'why' in compiled ? compiled : tryKernels(request, compiled)
}

async function tryKernels(request: CudaRequest, { image, origin }: Cubin): Promise<CudaAttempt> {
  const { cudaPrecision = 'auto' } = request.options
  let attempt: CudaAttempt = { why: '' }
  for (const precision of cudaPrecision === 'auto' ? (['fp16', 'fp32'] as const) : [cudaPrecision]) {
    const opened = await openSession(request, precision, image)
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

/** The largest differences from the CPU engine that pass, as shares of an output's range. */
const tolerance: Readonly<Record<CudaPrecision, number>> = { fp16: 2e-2, fp32: 1e-4 }

async function openSession(
  { addon, plan, cpu }: CudaRequest,
  precision: CudaPrecision,
  image: Uint8Array,
): Promise<{ session: CudaSession; selfTest: number } | { why: string; cause: unknown }> {
  let session: CudaSession | null = null
  try {
    session = await addon.openCudaSession(serializeOutline(plan), { image, precision, constants: plan.constants })
    return { session, selfTest: await goldenTest(session, cpu) }
  } catch (error) {
    await session?.close()
    return { why: messageOf(error), cause: error }
  }
}

/** One inference on both: the largest difference of any output as a share of its range; NaN where one is not finite. */
async function goldenTest(session: CudaSession, cpu: Engine): Promise<number> {
  const [inputs, outputs] = [session.inputs.map(toEngineTensor), session.outputs.map(toEngineTensor)]
  for (const { data } of inputs) fillWave(data as Float32Array)
  await session.run()
  const computed = outputs.map(({ data }) => Float32Array.from(data as Float32Array))
  await runInstead(cpu, { inputs, outputs })
  const worst = outputs.reduce((most, { data }, i) => Math.max(most, difference(data as Float32Array, computed[i]!)), 0)
  for (const { data } of [...inputs, ...outputs, ...cpu.inputs, ...cpu.outputs]) (data as Float32Array).fill(0)
  return worst
}

/** Values about as large as a normalised picture's, without a pattern that an error of layout could hide in. */
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
  // A range of nothing (one class, say) leaves the size of the value.
  const range = most - least
  return worst === 0 ? 0 : worst / (range > 0 ? range : Math.max(Math.abs(most), 1))
}

interface Opened {
  readonly session: CudaSession
  readonly selfTest: number
  readonly precision: CudaPrecision
  readonly origin: string
}

async function serve(request: CudaRequest, { session, selfTest, precision, origin }: Opened): Promise<CudaAttempt> {
  const { addon, device, cpu, isAsked, options } = request
  let measured: { cudaMs: number; nativeMs: number } | null = null
  if (!isAsked) {
    try {
      measured = await measure(session, cpu)
    } catch (error) {
      await session.close()
      return { why: messageOf(error), cause: error }
    }
    if (!(measured.cudaMs < measured.nativeMs)) {
      await session.close()
      return { why: `slower here: ${sentence(measured)}` }
    }
  }
  const { driverVersion, major, minor, name } = device
  const facts = {
    device: name,
    generation: `sm_${major}${minor}`,
    precision,
    kernels: origin,
    selfTest,
    measured,
    driver: `${Math.floor(driverVersion / 1000)}.${Math.floor((driverVersion % 1000) / 10)}`,
  }
  const rejected = cpu.describe().rejected.filter(({ name }) => name !== 'cuda')
  const slower = measured ? [{ name: 'native', reason: `slower here: ${sentence(measured)}` }] : []
  const reason = measured ? `the faster one here (${sentence(measured)})` : 'asked for'
  return {
    engine: new CudaEngine({
      session,
      cpu,
      addon,
      facts,
      reason,
      rejected: [...slower, ...rejected],
      onFault: options.onFault ?? (() => undefined),
    }),
  }
}

const sentence = ({ cudaMs, nativeMs }: { cudaMs: number; nativeMs: number }): string =>
  `cuda ${digits(cudaMs)} ms, native ${digits(nativeMs)} ms`

const digits = (ms: number): string => (ms < 100 ? ms.toPrecision(3) : ms.toFixed(0))

/** The least times of a few runs, taking turns: three of each, then until half a second is over. One far behind is not waited for. */
async function measure(session: CudaSession, cpu: Engine): Promise<{ cudaMs: number; nativeMs: number }> {
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
