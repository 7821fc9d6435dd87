/**
 * Whether a model may compute in half precision: the same photographs in single and in half precision. It may where all
 * results are finite, the best class is the same unless two are close, each result stays near, and no value of the network
 * comes near the end of half precision.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { loadAddon } from '../addon.js'
import type { Engine, EngineOptions } from '../engine/engine.js'
import { NativeEngine } from '../engine/native.js'
import { halfTarget, openEngine } from '../engine/select.js'
import { messageOf } from '../errors.js'
import { frameOf, type Frame } from '../frame.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import { decodeFile } from '../pixels/decode.js'
import type { Region } from '../pixels/spec.js'
import type { TensorData } from '../tensor.js'
import type { ModelFacts } from './facts.js'
import type { Wiring } from './wiring.js'

const photos = new URL('../../models/photos/', import.meta.url)

/** Largest difference of a result, and the distance of the two best below which they are close, in shares of the range. */
const tolerance = 0.01
/** A quarter of what half precision holds: other pictures may reach more. */
const mostValue = 16_384
/** Parts of each photograph: with those of the package more than 16 pictures. */
const parts: readonly Region[] = [
  { x: 0, y: 0, width: 1, height: 1 },
  { x: 0, y: 0, width: 0.6, height: 0.6 },
  { x: 0.4, y: 0.4, width: 0.6, height: 0.6 },
]

interface Request {
  readonly model: LoadedModel
  readonly wanted: EngineOptions
  /** Whether the verdict is kept. */
  readonly isKept: boolean
}

/** Judges a model that is open in single precision. Never rejects: what cannot be judged stays in single precision. */
export async function judgePrecision(
  single: { readonly engine: Engine; readonly wiring: Wiring },
  request: Request,
): Promise<ModelFacts['precision']> {
  const why = reasonForSingle(single.engine, request)
  if (why !== null) return { isHalf: false, sentence: why === '' ? '' : `fp32, because ${why}` }
  const opened: Engine[] = []
  const open = async (options: EngineOptions): Promise<Engine> => {
    const engine = await openEngine(request.model, 'native', { ...request.wanted, ...options })
    opened.push(engine)
    return engine
  }
  try {
    const half = await open({ precision: 'fp16' })
    const observed = await open({ precision: 'fp32', isObserved: true })
    return await new Comparison(single, half, observed).judge()
  } catch (error) {
    return { isHalf: false, sentence: `fp32, because half precision could not be measured: ${messageOf(error)}` }
  } finally {
    for (const engine of opened) await engine.close()
  }
}

/** Why a model stays in single precision without a measurement; '' where half precision is not known at all. */
function reasonForSingle(engine: Engine, { wanted, isKept }: Request): string | null {
  const loaded = loadAddon()
  const half = 'addon' in loaded ? loaded.addon.describeTargets().find(({ name }) => name === halfTarget) : undefined
  const forced = wanted.target ?? process.env['GAPCAM_TARGET']
  if (!half || !(engine instanceof NativeEngine)) return ''
  if (!half.supported) return half.reason
  if (forced !== undefined) return `target ${forced} was asked for`
  if (engine.hasIntegers) return 'the network computes in 8 bits'
  return isKept ? null : 'half precision is measured only where compiled models are kept'
}

/** Runs pictures on all engines and notes what differs. */
class Comparison {
  readonly #single: { readonly engine: Engine; readonly wiring: Wiring }
  readonly #half: Engine
  readonly #observed: Engine
  #worst = 0
  #pictures = 0

  constructor(single: { readonly engine: Engine; readonly wiring: Wiring }, half: Engine, observed: Engine) {
    this.#single = single
    this.#half = half
    this.#observed = observed
  }

  async judge(): Promise<ModelFacts['precision']> {
    const list = JSON.parse(await readFile(new URL('photos.json', photos), 'utf8')) as readonly {
      readonly file: string
    }[]
    for (const { file } of list) {
      const frame = frameOf(await decodeFile(fileURLToPath(new URL(file, photos))))
      for (const roi of parts) {
        const why = await this.#wrongOf(frame, roi)
        if (why !== null) return { isHalf: false, sentence: `fp32, because in half precision ${why}` }
      }
    }
    const share = (100 * this.#worst).toPrecision(2)
    return {
      isHalf: true,
      sentence: `fp16, because ${this.#pictures} pictures differ from fp32 by at most ${share} % of the results' range`,
    }
  }

  /** What is wrong in half precision with a part of a picture; null if nothing is. */
  async #wrongOf(frame: Frame, roi: Region): Promise<string | null> {
    const { engine, wiring } = this.#single
    const pass = wiring.preprocessor({ ...wiring.picture.spec, roi })
    try {
      await pass.run(frame, wiring.picture.pixels.data as Float32Array)
    } finally {
      pass.close()
    }
    for (const other of [this.#half, this.#observed]) copyInputs(engine, other)
    await Promise.all([engine.run(), this.#half.run(), this.#observed.run()])
    this.#pictures++
    const most = Math.max(...this.#observed.outputs.map(({ data }) => largest(data)))
    if (!(most < mostValue))
      return `a value of the network reaches ${most.toPrecision(3)}, too near the end of its range`
    for (const [i, { name, data }] of engine.outputs.entries()) {
      const why = this.#differenceOf(name, data as Float32Array, this.#half.outputs[i]!.data as Float32Array)
      if (why !== null) return why
    }
    return null
  }

  #differenceOf(name: string, right: Float32Array, found: Float32Array): string | null {
    if (!found.every(Number.isFinite)) return `output ${name} is not finite`
    const ordered = right.toSorted()
    const range = Math.max(ordered.at(-1)! - ordered[0]!, Number.MIN_VALUE)
    const worst = right.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i]!)), 0) / range
    if (worst > tolerance) return `output ${name} is off by ${(100 * worst).toPrecision(2)} % of its range`
    this.#worst = Math.max(this.#worst, worst)
    const isClear =
      name === this.#single.wiring.output.name && (ordered.at(-1)! - (ordered.at(-2) ?? -Infinity)) / range > tolerance
    return isClear && bestOf(right) !== bestOf(found) ? 'another class is the best' : null
  }
}

function copyInputs(from: Engine, to: Engine): void {
  for (const [i, { data }] of from.inputs.entries()) (to.inputs[i]!.data as Float32Array).set(data as Float32Array)
}

function largest(data: TensorData): number {
  let most = 0
  for (let i = 0; i < data.length; i++) {
    const size = Math.abs(Number(data[i]))
    // Not a number is larger than anything.
    if (!(size <= most)) most = Number.isNaN(size) ? Infinity : size
  }
  return most
}

const bestOf = (values: Float32Array): number => values.indexOf(Math.max(...values))
