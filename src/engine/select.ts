/**
 * Chooses the executor of a model and says why. 'auto' takes the native engine if the addon loads, passes its self-test,
 * covers the whole model and opens; otherwise onnxruntime runs the whole model. On top of the native engine, 'auto' takes
 * CUDA if there is a device, its results are right and it is faster. A named engine that cannot serve is an error.
 */
import { loadAddon, type Addon, type CudaDevice } from '../addon.js'
import { GapcamError, messageOf } from '../errors.js'
import { compilePlan } from '../model/compile.js'
import { loadModel } from '../model/load.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import type { Plan } from '../model/plan.js'
import type { UnsupportedNode } from '../model/graph.js'
import { prepareNative, onlyOutputs } from '../model/prepare.js'
import type { EngineName } from '../decision/prediction.js'
import type { InputSize } from '../tensor.js'
import { findCudaDevice, tryCuda } from './cuda-open.js'
import type { Engine, EngineOptions, Rejection } from './engine.js'
import { openNative, type NativeEngine } from './native.js'
import { openFallback } from './fallback.js'
import { selfTest } from './self-test.js'
import { resolveThreads } from './threads.js'
import { inputSizes, readTuning, type TuningFound } from './tuning.js'

export type EngineChoice = EngineName | 'auto'

/**
 * Opens a model file, or a loaded model, on the chosen engine. Rejects with MODEL_* or ENGINE_*.
 *
 *     const engine = await openEngine('model.onnx', 'auto', { threads: 2 })
 *     await engine.run() // reads engine.inputs, writes engine.outputs; engine.close() in the end
 */
export async function openEngine(
  model: string | LoadedModel,
  choice: EngineChoice,
  options: EngineOptions = {},
): Promise<Engine> {
  const loaded = typeof model === 'string' ? await loadModel(model) : model
  const rejected: Rejection[] = []
  if (choice !== 'onnxruntime') {
    const target = options.target ?? process.env['GAPCAM_TARGET']
    const isForCpu = choice === 'native' || (choice === 'auto' && target !== undefined)
    const gpu = isForCpu ? { why: `${target ?? 'native'} was asked for` } : await findCudaDevice()
    if (choice === 'cuda' && 'why' in gpu) throw unavailable('cuda', gpu)
    if (choice === 'auto' && 'why' in gpu && 'addon' in loadAddon()) rejected.push({ name: 'cuda', reason: gpu.why })
    const native = await tryNative(
      loaded,
      options,
      choice === 'native' ? 'asked for' : 'covers the whole model',
      rejected,
    )
    if ('engine' in native) return 'why' in gpu ? native.engine : openOnGpu(native, gpu, choice === 'cuda', options)
    if (choice !== 'auto') throw unavailable(choice, native)
    rejected.push({ name: 'native', reason: native.why })
  }
  const native = rejected.find(({ name }) => name === 'native')
  const reason = native ? `native engine not used: ${native.reason}` : 'asked for'
  try {
    return await openFallback(loaded, options, { threads: resolveThreads(options.threads), reason, rejected })
  } catch (error) {
    throw native && error instanceof GapcamError ? neither(error, native.reason, options.inputSize) : error
  }
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

function unavailable(
  name: 'cuda' | 'native',
  { why, cause }: { readonly why: string; readonly cause?: unknown },
): GapcamError {
  const hint =
    name === 'cuda'
      ? { hint: 'docs/jetson.md says what CUDA needs; --engine auto takes the best engine that is there.' }
      : {}
  return new GapcamError('ENGINE_UNAVAILABLE', `${name} engine: ${why}`, { cause, ...hint })
}

/** The CUDA engine on top of a native one. If CUDA cannot serve: the native one, or an error if CUDA was requested. */
async function openOnGpu(
  native: NativeOpened,
  gpu: { addon: Addon; device: CudaDevice },
  isAsked: boolean,
  options: EngineOptions,
): Promise<Engine> {
  const cuda = await tryCuda({ ...gpu, plan: native.plan, cpu: native.engine, isAsked, options })
  if ('engine' in cuda) return cuda.engine
  if (isAsked) {
    await native.engine.close()
    throw unavailable('cuda', cuda)
  }
  native.engine.rejectOther('cuda', cuda.why)
  return native.engine
}

interface NativeOpened {
  readonly engine: NativeEngine
  readonly plan: Plan
}

type NativeAttempt = NativeOpened | { readonly why: string; readonly cause?: unknown }

async function tryNative(
  model: LoadedModel,
  options: EngineOptions,
  reason: string,
  before: readonly Rejection[],
): Promise<NativeAttempt> {
  const loaded = loadAddon()
  if ('reason' in loaded) return { why: loaded.reason }
  const target = options.target ?? process.env['GAPCAM_TARGET']
  const tested = testedTarget(loaded.addon, target) // runs while the plan is compiled
  const compiled = compile(model, options, target ?? bestTarget(loaded.addon))
  if ('why' in compiled) return compiled
  const { found } = compiled
  const wrong = await tested
  if (wrong !== null) return { why: wrong }
  const rejected = [...before, ...rejectedTargets(loaded.addon, target)]
  const threads = resolveThreads(
    options.threads === undefined || options.threads === 'auto' ? (found.tuning?.threads ?? 'auto') : options.threads,
  )
  const native = {
    threads,
    reason: found.sentence === '' ? reason : `${reason}; ${found.sentence}`,
    rejected,
    ...(target === undefined ? {} : { target }),
  }
  try {
    return { engine: await openNative(loaded.addon, compiled.plan, native), plan: compiled.plan }
  } catch (error) {
    return { why: messageOf(error), cause: error }
  }
}

function compile(
  model: LoadedModel,
  options: EngineOptions,
  target: string,
): { plan: Plan; found: TuningFound } | { why: string } {
  const prepared = prepareNative(
    onlyOutputs(model.graph, options.outputs),
    options.inputSize ? { inputSize: options.inputSize } : {},
  )
  const found = readTuning(model.path, { modelBytes: model.bytes.length, target, inputs: inputSizes(prepared) })
  const compiled = compilePlan(prepared, {
    ...(options.extraOutputs ? { extraOutputs: options.extraOutputs } : {}),
    ...(found.tuning ? { separate: found.tuning.separate } : {}),
  })
  if ('plan' in compiled) return { plan: compiled.plan, found }
  return { why: uncovered(compiled.unsupported) }
}

/** One sentence about the nodes that the native engine does not cover: the operators, and the reason of the first. */
function uncovered(nodes: readonly UnsupportedNode[]): string {
  const [first] = nodes
  const operators = [...new Set(nodes.map(({ op }) => op))].filter((op) => op !== 'input')
  const which =
    operators.length > 0 ? `${operators.slice(0, 6).join(', ')}${operators.length > 6 ? ', …' : ''} not covered; ` : ''
  return `${which}${first?.node}: ${first?.reason}`
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
    const why = named ? named.reason : `known targets are ${supported.map(({ name }) => name).join(', ')}`
    throw new GapcamError('ENGINE_UNAVAILABLE', `target ${target} cannot be used: ${why}`, {
      hint: 'Leave GAPCAM_TARGET unset to take the best one.',
    })
  }
  const test = selfTest(addon, target).catch((error: unknown) => `its self-test failed: ${messageOf(error)}`)
  selfTests.set(key, test)
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
