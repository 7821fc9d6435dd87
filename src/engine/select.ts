/**
 * Chooses the executor of a model and says why. 'auto' takes the native engine if the addon loads, passes its self-test,
 * covers the whole model and opens; otherwise onnxruntime runs the whole model. On top of the native engine, 'auto' takes
 * CUDA if there is a device, its results are right and it is faster. A named engine that cannot serve is an error.
 */
import { loadAddon, type Addon, type CudaDevice } from '../addon.js'
import { GapcamError, messageOf } from '../errors.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import type { EngineName } from '../decision/prediction.js'
import type { InputSize } from '../tensor.js'
import { bytesFor } from './bytes.js'
import { findCudaDevice, tryCuda } from './cuda-open.js'
import type { Engine, EngineOptions, Rejection } from './engine.js'
import { integerTest } from './integer-test.js'
import { openNative, type CompiledModel, type CompiledSplit, type NativeEngine } from './native.js'
import { selfTest } from './self-test.js'
import { resolveThreads } from './threads.js'

export type EngineChoice = EngineName | 'auto'

/** A choice that takes the native engine or CUDA where they can serve. */
export type OwnChoice = Exclude<EngineChoice, 'onnxruntime'>

/**
 * Opens a model file, or a loaded model, on the chosen engine. `onCompiled` receives the compiled model if the native
 * engine or CUDA serves it. Rejects with MODEL_* or ENGINE_*.
 *
 *     const engine = await openEngine('model.onnx', 'auto', { threads: 2 })
 *     await engine.run() // reads engine.inputs, writes engine.outputs; engine.close() in the end
 */
export async function openEngine(
  model: string | LoadedModel,
  choice: EngineChoice,
  options: EngineOptions = {},
  onCompiled?: (compiled: CompiledModel) => void,
): Promise<Engine> {
  // A kept plan needs neither reader nor compiler; they are loaded only here.
  const loaded = typeof model === 'string' ? await (await import('../model/load.js')).loadModel(model) : model
  let rejected: readonly Rejection[] = []
  if (choice !== 'onnxruntime') {
    const { compileModel } = await import('./compile.js')
    const own = await openOwn((wanted) => compileModel(loaded, options, wanted), choice, options)
    if ('engine' in own) {
      if (own.compiled) onCompiled?.(own.compiled)
      return own.engine
    }
    if (choice !== 'auto') throw unavailable(choice, own.native)
    rejected = [...own.rejected, { name: 'native', reason: own.native.why }]
  }
  const native = rejected.find(({ name }) => name === 'native')
  if (native) {
    const split = await openParts(loaded, options, native.reason, onCompiled)
    if (split) return split
  }
  const reason = native ? `native engine not used: ${native.reason}` : 'asked for'
  const { openFallback } = await import('./fallback.js')
  try {
    return await openFallback(loaded, options, { threads: resolveThreads(options.threads), reason, rejected })
  } catch (error) {
    throw native && error instanceof GapcamError ? neither(error, native.reason, options.inputSize) : error
  }
}

/** The model in two parts, where the greater one can be computed natively; null where it cannot. */
async function openParts(
  loaded: LoadedModel,
  options: EngineOptions,
  why: string,
  onCompiled?: (compiled: CompiledModel) => void,
): Promise<Engine | null> {
  const outputs = [
    ...new Set([...(options.outputs ?? loaded.graph.outputs.map(({ name }) => name)), ...(options.extraOutputs ?? [])]),
  ]
  const { partitionModel } = await import('../model/partition.js')
  const partition = partitionModel(loaded, outputs, options)
  if ('why' in partition) return null
  const { compileModel } = await import('./compile.js')
  const wanted = ofBody(options, partition)
  const body = await openOwn((target) => compileModel(loaded, wanted, target), 'auto', wanted)
  if (!('engine' in body)) return null
  const split = { partition, outputs, why }
  const engine = await withTail(body.engine, split, options)
  if (body.compiled) onCompiled?.({ ...body.compiled, split })
  return engine
}

const ofBody = (options: EngineOptions, { boundary }: CompiledSplit['partition']): EngineOptions => ({
  ...options,
  outputs: boundary,
  extraOutputs: [],
})

/** The two parts as one engine. Where the second one does not open, the first one is closed. */
async function withTail(body: Engine, split: CompiledSplit, options: EngineOptions): Promise<Engine> {
  const { openSplit } = await import('./split.js')
  return openSplit(body, split, resolveThreads(options.threads))
}

/**
 * Opens a model that was compiled before, as `openEngine` would; resolves with the reason where the native engine cannot
 * serve it. Rejects with ENGINE_UNAVAILABLE if the chosen engine or target is not there.
 */
export async function openCompiled(
  compiled: CompiledModel,
  choice: OwnChoice,
  options: EngineOptions,
): Promise<Engine | { readonly why: string }> {
  const { split } = compiled
  const own = await openOwn(compiled, choice, split ? ofBody(options, split.partition) : options)
  if (!('engine' in own)) return { why: own.native.why }
  return split
    ? withTail(own.engine, split, options).catch((error: unknown) => ({ why: messageOf(error) }))
    : own.engine
}

/** Where a plan is to run: CUDA runs the plan of a CPU target that computes in float32. */
export interface Wanted {
  readonly target: string
  readonly isForCuda: boolean
}

/** What a plan must be made for so that `openEngine` would open it on this machine. */
export async function wantedHere(addon: Addon, choice: OwnChoice, options: EngineOptions): Promise<Wanted> {
  return { target: targetFor(addon, options), isForCuda: !('why' in (await gpuFor(choice, options))) }
}

const targetFor = (addon: Addon, options: EngineOptions): string => forcedTarget(options) ?? bestTarget(addon)

/** The one target with half precision. */
export const halfTarget = 'neonhalf'

/** The target that the options or the environment name. */
const forcedTarget = ({ target, precision }: EngineOptions): string | undefined =>
  target ?? (precision === 'fp16' ? halfTarget : process.env['GAPCAM_TARGET'])

/** A compiled model, or what compiles one. */
type Source = CompiledModel | ((wanted: Wanted) => CompiledModel | { readonly why: string })

interface Opened {
  readonly engine: Engine
  /** What may be kept for the next start. */
  readonly compiled: CompiledModel | null
}

interface NotOpened {
  readonly native: Failure
  /** The engines that were rejected before. */
  readonly rejected: readonly Rejection[]
}

interface Failure {
  readonly why: string
  readonly cause?: unknown
}

/** The native engine, or CUDA on top of it. */
async function openOwn(source: Source, choice: OwnChoice, options: EngineOptions): Promise<Opened | NotOpened> {
  const gpu = await gpuFor(choice, options)
  if (choice === 'cuda' && 'why' in gpu) throw unavailable('cuda', gpu)
  const isTold = choice === 'auto' && 'why' in gpu && 'addon' in loadAddon()
  const rejected = isTold ? [{ name: 'cuda', reason: gpu.why }] : []
  const reason = choice === 'native' ? 'asked for' : 'covers the whole model'
  const native = await tryNative({ source, isForCuda: !('why' in gpu), options, reason, before: rejected })
  if ('why' in native) return { native, rejected }
  const { compiled } = native
  if ('why' in gpu) return { compiled, engine: native.engine }
  const cuda = await openOnGpu(native, gpu, choice === 'cuda', options)
  if ('engine' in cuda) return { compiled, engine: cuda.engine }
  const alone = await withoutCuda(source, native, gpu.addon, { options, reason, before: rejected })
  alone.engine.rejectOther('cuda', cuda.why)
  return alone
}

/** The native engine where CUDA does not serve. Its plan may be another one, in 8 bits; that one is not kept. */
async function withoutCuda(
  source: Source,
  native: NativeOpened,
  addon: Addon,
  rest: Pick<NativeRequest, 'options' | 'reason' | 'before'>,
): Promise<{ readonly engine: NativeEngine; readonly compiled: CompiledModel | null }> {
  const alone =
    typeof source === 'function'
      ? source({ target: targetFor(addon, rest.options), isForCuda: false })
      : native.compiled
  if ('why' in alone || Buffer.compare(alone.outline, native.compiled.outline) === 0) return native
  const opened = await tryNative({ source: alone, isForCuda: false, ...rest })
  if ('why' in opened) return native
  await native.engine.close()
  return { engine: opened.engine, compiled: null }
}

/** The GPU that is to be tried, or why none is. */
async function gpuFor(choice: OwnChoice, options: EngineOptions): ReturnType<typeof findCudaDevice> {
  const target = forcedTarget(options)
  const isForCpu = choice === 'native' || (choice === 'auto' && target !== undefined)
  return isForCpu ? { why: `${target ?? 'native'} was asked for` } : findCudaDevice()
}

/** The error if no engine can serve: each engine's reason, and the input size, because a wrong size often causes it. */
function neither(
  { code, message, hint, cause }: GapcamError,
  reason: string,
  inputSize: InputSize | undefined,
): GapcamError {
  const size = inputSize ? ` with input size ${inputSize.height}x${inputSize.width}` : ''
  return new GapcamError(code, `${message}; native engine not used${size}: ${reason}`, { cause, hint })
}

function unavailable(name: 'cuda' | 'native', { why, cause }: Failure): GapcamError {
  const hint =
    name === 'cuda'
      ? { hint: 'docs/jetson.md says what CUDA needs; --engine auto takes the best engine that is there.' }
      : {}
  return new GapcamError('ENGINE_UNAVAILABLE', `${name} engine: ${why}`, { cause, ...hint })
}

/** The CUDA engine on top of a native one, or why CUDA cannot serve. Rejects if CUDA was requested and cannot. */
async function openOnGpu(
  native: NativeOpened,
  gpu: { addon: Addon; device: CudaDevice },
  isAsked: boolean,
  options: EngineOptions,
): Promise<{ readonly engine: Engine } | { readonly why: string }> {
  const cuda = await tryCuda({ ...gpu, compiled: native.compiled, cpu: native.engine, isAsked, options })
  if ('engine' in cuda || !isAsked) return cuda
  await native.engine.close()
  throw unavailable('cuda', cuda)
}

interface NativeOpened {
  readonly engine: NativeEngine
  readonly compiled: CompiledModel
}

interface NativeRequest {
  readonly source: Source
  readonly isForCuda: boolean
  readonly options: EngineOptions
  readonly reason: string
  /** The engines that were rejected before. */
  readonly before: readonly Rejection[]
}

async function tryNative({
  source,
  isForCuda,
  options,
  reason,
  before,
}: NativeRequest): Promise<NativeOpened | Failure> {
  const loaded = loadAddon()
  if ('reason' in loaded) return { why: loaded.reason }
  const { addon } = loaded
  const target = forcedTarget(options)
  // It runs while the model is compiled, or else while the kept plan is opened.
  if (typeof source === 'function') void testedTarget(addon, target)
  const compiled = typeof source === 'function' ? source({ target: targetFor(addon, options), isForCuda }) : source
  if ('why' in compiled) return compiled
  const { threads, sentence } = compiled.tuned
  const opening = openNative(addon, compiled, {
    threads: resolveThreads(
      options.threads === undefined || options.threads === 'auto' ? (threads ?? 'auto') : options.threads,
    ),
    reason: sentence === '' ? reason : `${reason}; ${sentence}`,
    rejected: [...before, ...rejectedTargets(addon, target)],
    ...(target === undefined ? {} : { target }),
  }).catch((error: unknown): Failure => ({ why: messageOf(error), cause: error }))
  const [wrongFloats, opened] = await Promise.all([testedTarget(addon, target), opening])
  if ('why' in opened) return wrongFloats === null ? opened : { why: wrongFloats }
  const wrong = wrongFloats ?? (opened.hasIntegers ? await testedIntegers(addon, targetFor(addon, options)) : null)
  if (wrong === null) return { engine: opened, compiled }
  await opened.close()
  return { why: wrong }
}

const selfTests = new Map<string, Promise<string | null>>()

/** The self-test of a target, run once per process. Throws ENGINE_UNAVAILABLE if a forced target is not supported here. */
function testedTarget(addon: Addon, target: string | undefined): Promise<string | null> {
  const key = target ?? ''
  const known = selfTests.get(key)
  if (known) return known
  const supported = addon.describeTargets()
  const named = supported.find(({ name }) => name === target)
  if (target !== undefined && !named?.supported) {
    if (target === halfTarget)
      throw new GapcamError(
        'ENGINE_UNAVAILABLE',
        `half precision cannot be used: ${named?.reason ?? 'only Arm processors with ARMv8.2 FP16 have it'}`,
        { hint: 'Leave the precision at auto or fp32.' },
      )
    const why = named ? named.reason : `known targets are ${supported.map(({ name }) => name).join(', ')}`
    throw new GapcamError('ENGINE_UNAVAILABLE', `target ${target} cannot be used: ${why}`, {
      hint: 'Leave GAPCAM_TARGET unset to take the best one.',
    })
  }
  const test = selfTest(addon, target).catch((error: unknown) => `its self-test failed: ${messageOf(error)}`)
  selfTests.set(key, test)
  return test
}

const integerTests = new Map<string, Promise<string | null>>()

/** The self-test of a target's integer kernels, run once per process, and only for models that need them. */
function testedIntegers(addon: Addon, target: string): Promise<string | null> {
  const known = integerTests.get(target)
  if (known) return known
  const test = integerTest(addon, target, bytesFor(target, true) ?? 'uint8').catch(
    (error: unknown) => `its self-test on bytes failed: ${messageOf(error)}`,
  )
  integerTests.set(target, test)
  return test
}

/** The name of the first target that this machine supports. */
export function bestTarget(addon: Addon): string {
  return addon.describeTargets().find(({ supported }) => supported)?.name ?? 'scalar'
}

/** All targets but the chosen one, each with the reason. */
function rejectedTargets(addon: Addon, forced: string | undefined): Rejection[] {
  const targets = addon.describeTargets()
  const chosen = forced ?? bestTarget(addon)
  const why = forced === undefined ? 'a better target is there' : `${forced} was asked for`
  return targets
    .filter(({ name }) => name !== chosen)
    .map(({ name, supported, reason }) => ({ name, reason: supported ? why : reason }))
}
