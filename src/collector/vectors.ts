/**
 * Vectors of kept pictures: the means of the two feature maps of the network that comes with gapcam. It is opened when a vector
 * is missing and closed some time after the last one, since it takes memory.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { EngineOptions } from '../engine/engine.js'
import { isOfOnePicture } from '../errors.js'
import { decodePicture } from '../pixels/decode.js'
import { partLength, type Part, type RawVector } from '../teach/features.js'
import type { Teacher } from '../teach/teacher.js'
import type { PictureStore } from './store.js'

/** The vector of a picture: the means of the last feature map, then those of the middle one. */
export interface PictureVector {
  /** How many values belong to the last map. */
  readonly split: number
  readonly values: Float32Array
}

/** The first number of a file; vectors of another network get another one. */
const vectorVersion = 1

/** What `Vectors` needs. */
export interface VectorsOptions {
  readonly store: PictureStore
  /** The network that looks. */
  readonly model: string
  readonly engine: EngineOptions
  /** Time without a look after which the network is closed; default a minute. */
  readonly idleMs?: number | undefined
}

/** Looks at one picture at a time. */
export class Vectors {
  readonly #options: VectorsOptions
  #teacher: Promise<Teacher> | null = null
  #idle: AbortController | null = null
  #looking: Promise<unknown> = Promise.resolve()
  /** Pictures that cannot be decoded. */
  readonly #broken = new Set<string>()

  constructor(options: VectorsOptions) {
    this.#options = options
  }

  /** The vector that is kept of a picture; null where there is none yet. */
  async known(name: string): Promise<PictureVector | null> {
    const bytes = await this.#options.store.vector(name)
    if (bytes === null || bytes.length % 4 !== 0) return null
    const [version, split, ...values] = new Float32Array(new Uint8Array(bytes).buffer)
    if (version !== vectorVersion || split === undefined || values.length === 0) return null
    return { split, values: Float32Array.from(values) }
  }

  /** The vector of a picture, computed where it is not kept; null for a picture that is gone or cannot be decoded. */
  async of(name: string): Promise<PictureVector | null> {
    const known = await this.known(name)
    if (known || this.#broken.has(name)) return known
    const looked = this.#looking.then(() => this.#look(name))
    this.#looking = looked.catch(() => undefined)
    return looked
  }

  /** Closes the network. */
  async close(): Promise<void> {
    this.#idle?.abort()
    await this.#looking
    const teacher = this.#teacher
    this.#teacher = null
    await (await teacher?.catch(() => null))?.close()
  }

  async #look(name: string): Promise<PictureVector | null> {
    const { store, model, engine } = this.#options
    const bytes = await store.picture(name)
    if (bytes === null) return null
    // Loaded when it is needed: a node that collects nothing needs no compiler.
    this.#teacher ??= import('../teach/teacher.js').then(({ openTeacher }) => openTeacher({ model, engine }))
    const teacher = await this.#teacher
    try {
      const { raw } = await teacher.glanceAt(await decodePicture(bytes, name))
      const vector = vectorIn(raw, teacher.parts)
      const file = Float32Array.of(vectorVersion, vector.split, ...vector.values)
      await store.keepVector(name, new Uint8Array(file.buffer))
      return vector
    } catch (error) {
      if (!isOfOnePicture(error)) throw error
      this.#broken.add(name)
      return null
    } finally {
      this.#closeLater()
    }
  }

  #closeLater(): void {
    this.#idle?.abort()
    const idle = new AbortController()
    this.#idle = idle
    const { idleMs = 60_000 } = this.#options
    void wait(idleMs, undefined, { signal: idle.signal, ref: false }).then(
      () => this.close(),
      () => undefined,
    )
  }
}

/** The means of whole maps, which are the last parts of a raw vector. */
function vectorIn(raw: RawVector, parts: readonly Part[]): PictureVector {
  const lengths = parts.filter(({ cells }) => cells === 1).map(partLength)
  const values = raw.slice(raw.length - lengths.reduce((sum, length) => sum + length, 0))
  return { split: lengths[0]!, values }
}

/** Deviations below this are of a feature that is the same in all pictures. */
const leastDeviation = 1e-3

/**
 * Vectors as they are compared with each other: each feature centred on their mean and divided by its deviation, each part brought to
 * the same length, all of length 1. With the deviations 1,000 pictures of six cameras need 14 clicks at most, without up to 34.
 */
export function compared(vectors: readonly PictureVector[]): readonly Float32Array[] {
  const length = vectors[0]?.values.length ?? 0
  const [mean, squares] = [new Float64Array(length), new Float64Array(length)]
  for (const { values } of vectors)
    for (let i = 0; i < length; i++) {
      mean[i]! += values[i]! / vectors.length
      squares[i]! += values[i]! ** 2 / vectors.length
    }
  const deviation = squares.map((square, i) => Math.sqrt(Math.max(square - mean[i]! ** 2, leastDeviation ** 2)))
  return vectors.map(({ values, split }) => {
    const result = values.map((value, i) => (value - mean[i]!) / deviation[i]!)
    const parts = split === length ? [result] : [result.subarray(0, split), result.subarray(split)]
    for (const part of parts) {
      const norm = Math.sqrt(part.reduce((sum, value) => sum + value * value, 0) * parts.length)
      if (norm > 0) for (let i = 0; i < part.length; i++) part[i]! /= norm
    }
    return result
  })
}
