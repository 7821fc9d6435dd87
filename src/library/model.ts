/**
 * The library's model session: tensors in, tensors out, in the order of the model file. It copies all data, so callers
 * own what they pass and receive. Frames of a camera do not take this path.
 */
import { join } from 'node:path'
// Loaded with the package, not when a model is to be opened.
import '../engine/compile.js'
import type { CompiledModel } from '../engine/native.js'
import { placeOf, sourcesOf, type PlanPlace } from '../engine/plan-cache.js'
import { openCompiled, openEngine, type EngineChoice, type OwnChoice } from '../engine/select.js'
import { tuningFile } from '../engine/tuning.js'
import type { Engine, EngineDescription, EngineOptions, EngineTensor } from '../engine/engine.js'
import { expected } from '../errors.js'
import { cacheFolder } from '../folder.js'
import type { Graph, Value } from '../model/graph.js'
import { loadModel } from '../model/load.js'
import { prepareNative } from '../model/prepare.js'
import { isCodeType, portCodes, realOf } from '../model/quantized/code.js'
import { nchwToNhwc, nhwcToNchw } from '../engine/layout.js'
import {
  elementCount,
  imageLayout,
  tensorArrays,
  elementBytes,
  type Tensor,
  type TensorData,
  type TensorInfo,
  codeRange,
  storedOf,
  type Code,
} from '../tensor.js'

export interface OpenModelOptions extends EngineOptions {
  /** 'auto' (the default): native if it covers the model (CUDA if that is faster), else onnxruntime; see `describe()`. */
  readonly engine?: EngineChoice
  /**
   * Folder in which compiled models are kept for the next start, or false; default `plans` in $XDG_CACHE_HOME/gapcam or
   * ~/.cache/gapcam. At most 16 of them and 256 MiB.
   */
  readonly planCache?: string | false
}

/** Values of one input: a tensor, or only its elements in row-major order. */
export type Feed = TensorData | readonly number[] | Pick<Tensor, 'shape' | 'data'>

export interface Model {
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
  /**
   * Runs the model once. `feeds` holds every input by name, or is the feed of the only input. Resolves with every
   * output by name; the caller owns that memory. Calls queue up. Rejects with TypeError for a wrong feed and with a
   * GapcamError for a fault of the engine.
   */
  run(feeds: Feed | Readonly<Record<string, Feed>>): Promise<Record<string, Tensor>>
  describe(): EngineDescription
  /** Waits for runs in progress and frees the engine. */
  close(): Promise<void>
}

/**
 * Opens an ONNX file. Rejects with a GapcamError (MODEL_*, ENGINE_*).
 *
 *     const model = await openModel('model.onnx')
 *     const { logits } = await model.run(new Float32Array(3 * 224 * 224)) // model.close() in the end
 */
export async function openModel(path: string, options: OpenModelOptions = {}): Promise<Model> {
  if (typeof path !== 'string' || path === '') throw expected('a file name', 'path', path)
  const { engine: choice = 'auto', planCache = join(cacheFolder(), 'plans'), ...engineOptions } = options
  const place =
    planCache === false || choice === 'onnxruntime'
      ? null
      : await placeOf(path, { folder: planCache }, { choice, engine: engineOptions, beside: [tuningFile(path)] })
  const kept = place && (await openKept(place, choice as OwnChoice, engineOptions))
  if (kept) return kept
  const loaded = await loadModel(path, place?.bytes)
  let compiled: CompiledModel | undefined
  const engine = await openEngine(loaded, choice, engineOptions, (made) => {
    compiled = made
  })
  const codes = integerPorts(engine, loaded.graph)
  const facts = [...codes]
  return new EngineModel(engine, codes, compiled && place?.keep({ compiled, facts, table: null }, sourcesOf(loaded)))
}

/** The model as it was kept; null if it was not, or if it cannot be used any more. */
async function openKept(place: PlanPlace, choice: OwnChoice, options: EngineOptions): Promise<Model | null> {
  const kept = place.find()
  if (!kept) return null
  const codes = keptCodes(kept.facts)
  const engine = codes
    ? await openCompiled(kept.compiled, choice, options)
    : { why: 'its codes are not as they should be' }
  if (codes && !('why' in engine)) return new EngineModel(engine, codes)
  if ('why' in engine) place.refuse(engine.why)
  return null
}

// Checked by hand: opening a model must not load a schema library.
function keptCodes(facts: unknown): PortCodes | null {
  const isCode = ([name, code]: [unknown, Partial<Code> | null]): boolean =>
    typeof name === 'string' &&
    code !== null &&
    Object.hasOwn(codeRange, code.type ?? '') &&
    [code.scale, code.zeroPoint].every(Number.isFinite)
  const isList = Array.isArray(facts) && facts.every((entry) => Array.isArray(entry) && isCode(entry as never))
  return isList ? new Map(facts as [string, Code][]) : null
}

/**
 * A model session on an open engine. Closing the session closes the engine. With the file's `graph`, integers that the
 * engine has as real numbers are exchanged as the integers of the file.
 */
export function modelOf(engine: Engine, graph?: Graph): Model {
  return new EngineModel(engine, graph ? integerPorts(engine, graph) : new Map())
}

class EngineModel implements Model {
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
  readonly #engine: Engine
  #last: Promise<unknown> = Promise.resolve()
  #isClosed = false
  readonly #codes: PortCodes
  readonly #keeping: Promise<void> | undefined

  /** `keeping` writes the compiled model to disk meanwhile. */
  constructor(engine: Engine, codes: PortCodes, keeping?: Promise<void> | undefined) {
    this.#engine = engine
    this.#keeping = keeping
    this.#codes = codes
    const port = (tensor: EngineTensor): TensorInfo => {
      const info = inFileOrder(tensor)
      return { ...info, type: codes.get(info.name)?.type ?? info.type }
    }
    this.inputs = engine.inputs.map(port)
    this.outputs = engine.outputs.map(port)
  }

  run(feeds: Feed | Readonly<Record<string, Feed>>): Promise<Record<string, Tensor>> {
    const turn = this.#last.then(async () => {
      if (this.#isClosed) throw new TypeError('run needs an open model, and this one is closed')
      for (const input of this.#engine.inputs) {
        write(input, feedOf(feeds, input.name, this.#engine.inputs.length))
        toReal(input, this.#codes)
      }
      await this.#engine.run()
      return Object.fromEntries(this.#engine.outputs.map((output) => [output.name, stored(read(output), this.#codes)]))
    })
    this.#last = turn.catch(() => undefined)
    return turn
  }

  describe(): EngineDescription {
    return this.#engine.describe()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    await this.#last
    this.#isClosed = true
    await this.#keeping
    await this.#engine.close()
  }
}

type PortCodes = ReadonlyMap<string, Code>

/** The codes of those of the file's integer inputs and outputs that the engine has as float32. */
function integerPorts({ inputs, outputs }: Engine, graph: Graph): PortCodes {
  if (![...graph.inputs, ...graph.outputs].some(({ type }) => isCodeType(type))) return new Map()
  const sizes = new Map(inputs.map((input) => [input.name, inFileOrder(input).shape]))
  const sized = (value: Value): Value => ({ ...value, shape: sizes.get(value.name) ?? value.shape ?? [] })
  const codes = portCodes(prepareNative({ ...graph, inputs: graph.inputs.map(sized) }).graph)
  const real = new Set([...inputs, ...outputs].flatMap(({ name, type }) => (type === 'float32' ? [name] : [])))
  return new Map([...codes].filter(([name]) => real.has(name)))
}

/** Replaces the integers that were written to an input by the real numbers that they stand for. */
function toReal({ name, data }: EngineTensor, codes: PortCodes): void {
  const code = codes.get(name)
  if (!code) return
  for (let i = 0; i < data.length; i++) data[i] = realOf(code, Number(data[i]))
}

/** An output as the integers of the file. */
function stored(output: Tensor, codes: PortCodes): Tensor {
  const code = codes.get(output.name)
  if (!code) return output
  const data = new tensorArrays[code.type](new ArrayBuffer(output.data.length * elementBytes[code.type]))
  for (let i = 0; i < data.length; i++) data[i] = storedOf(code, Number(output.data[i]))
  return { ...output, type: code.type, data }
}

function inFileOrder(tensor: EngineTensor): TensorInfo {
  const { name, type, shape, layout } = tensor
  if (tensor.inFileOrder) return { name, type, shape, layout: layout === 'none' ? imageLayout(shape) : layout }
  const [n = 1, h = 1, w = 1, c = 1] = shape
  return { name, type, shape: [n, c, h, w], layout: 'nchw' }
}

function feedOf(feeds: Feed | Readonly<Record<string, Feed>>, name: string, count: number): Feed {
  if (isFeed(feeds)) {
    if (count === 1) return feeds
    throw expected('an object with every input by name', 'feeds', feeds)
  }
  const feed = feeds?.[name]
  if (!isFeed(feed)) throw expected('a tensor or its elements', `input ${name}`, feed)
  return feed
}

function isFeed(value: unknown): value is Feed {
  if (ArrayBuffer.isView(value) || Array.isArray(value)) return true
  return typeof value === 'object' && value !== null && 'shape' in value && 'data' in value
}

function write(input: EngineTensor, feed: Feed): void {
  const info = inFileOrder(input)
  const data = 'shape' in feed ? feed.data : feed
  if ('shape' in feed && feed.shape.join() !== info.shape.join()) {
    throw expected(`shape [${info.shape.join(', ')}]`, `input ${input.name}`, feed.shape)
  }
  if (data.length !== elementCount(info.shape))
    throw expected(`${elementCount(info.shape)} elements`, `input ${input.name}`, data.length)
  if (typeof data[0] === 'bigint' || typeof input.data[0] === 'bigint') {
    ;(input.data as BigInt64Array).set(Array.from(data as ArrayLike<number | bigint>, BigInt))
  } else if (input.inFileOrder) (input.data as Float32Array).set(data as ArrayLike<number>)
  else nchwToNhwc(data as ArrayLike<number>, info.shape, input.data as Float32Array)
}

function read(output: EngineTensor): Tensor {
  const { live } = output
  // Of the last run: the sizes of these outputs may change.
  const own = live ? { ...output, shape: [...live.subarray(2, 2 + live[1]!)] } : output
  const info = inFileOrder(own)
  const data = new tensorArrays[info.type](new ArrayBuffer(elementCount(info.shape) * elementBytes[info.type]))
  if (live) (data as Float32Array).set((output.data as Float32Array).subarray(0, data.length))
  else if (output.inFileOrder) (data as Float32Array).set(output.data as Float32Array)
  else nhwcToNchw(output.data as Float32Array, output.shape, data as Float32Array)
  return { ...info, data }
}
