/** A head: what teaching finds, from the vectors of the taught pictures. No file and no engine here. */
import type { EngineOptions } from '../engine/engine.js'
import { joined, meanOf, noveltyParts, partLength, partStart, type Part, type RawVector } from './features.js'
import { noveltyCause, type NoveltyCause, type NoveltyLimits } from '../decision/novelty.js'
import { nearestDistance, nearestDistances, noveltyLimits, type Distances, type SightStatistics } from './novelty.js'
import { PairProducts, productsOf } from './products.js'
import { fitRidge, type Ridge } from './ridge.js'

/** One look at a taught picture. */
export interface TaughtLook {
  /** Index of the state. */
  readonly state: number
  /** Index of the picture; looks at the same picture share it. The first look shows it unchanged. */
  readonly picture: number
  readonly raw: RawVector
  readonly sight: SightStatistics
}

/** A fitted head. */
export interface Head {
  readonly states: readonly string[]
  /** Means of ordinary pictures, in the order of the raw vector. */
  readonly mean: Float32Array
  /** [vector, states], for parts of length 1: the weights of the parts and the temperature are in it. */
  readonly weights: Float32Array
  readonly bias: Float32Array
  /** Indices of the parts whose vectors tell what is novel. */
  readonly noveltyParts: readonly number[]
  /** Their unit vectors over their number, joined, [taughtCount, length]: the product with unit vectors is the mean cosine. */
  readonly taught: Float32Array
  readonly taughtCount: number
  /** Null where a state has one picture: nothing tells how far its pictures lie apart. */
  readonly limits: NoveltyLimits | null
}

/** What a head is fitted to. */
export interface Lesson {
  readonly states: readonly string[]
  readonly parts: readonly Part[]
  readonly looks: readonly TaughtLook[]
  /** Raw vectors of ordinary pictures. */
  readonly ordinary: readonly RawVector[]
  /** Raw vectors of pictures that are none of the states. */
  readonly none: readonly RawVector[]
}

/** A head and the regression behind it, whose left-out predictions tell how good it is. */
export interface Fit {
  readonly head: Head
  readonly ridge: Ridge
  /** Multiplies predictions to give logits. */
  readonly temperature: number
  /** The distance of each taught picture to the nearest other one. */
  readonly distances: readonly number[]
}

/**
 * Logits are predictions times this. It is fixed: on the tasks of docs/teach.md it is nearer to calibrated than one that is
 * fitted to left-out pictures.
 */
function temperatureFor(fewest: number): number {
  return 8 + (2 * (Math.min(Math.max(fewest, 1), 5) - 1)) / 4
}

/** What fits of one network share: vectors that were made, and products of pairs. */
export interface FitMemory {
  readonly mean: Float32Array
  readonly vectors: WeakMap<RawVector, Float32Array>
  readonly pairs: PairProducts
}

/** An empty memory for a network; its ordinary pictures are always the same. */
export function fitMemory(ordinary: readonly RawVector[], engine: EngineOptions): FitMemory {
  return { mean: meanOf(ordinary), vectors: new WeakMap(), pairs: new PairProducts(engine) }
}

/** Fits a head. Every state needs a picture. The same looks in the same order give the same bits on one target. */
export async function fitHead(lesson: Lesson, engine: EngineOptions, memory?: FitMemory): Promise<Fit> {
  const { states, parts, looks, ordinary, none } = lesson
  const { mean, vectors: known, pairs } = memory ?? fitMemory(ordinary, engine)
  const vectors = looks.map(({ raw }) => {
    const vector = known.get(raw) ?? joined(raw, mean, parts)
    known.set(raw, vector)
    return vector
  })
  const groups = groupsOf(looks.map(({ picture }) => picture))
  const ridge = fitRidge({
    products: await pairs.of(vectors),
    states: looks.map(({ state }) => state),
    stateCount: states.length,
    groups,
  })
  const fewest = Math.min(...states.map((_, s) => groups.filter(([i]) => looks[i!]!.state === s).length))
  const temperature = temperatureFor(fewest)
  const { weights, bias } = linear(vectors, ridge, parts, temperature)
  const novelty = noveltyParts(parts)
  const unit = (raw: RawVector): Float32Array => unitParts(raw, { mean, parts, indices: novelty })
  const taught = looks.map(({ raw }) => unit(raw).map((value) => value / novelty.length))
  const firsts = groups.map(([first]) => first!)
  const distances = await distancesOf(
    {
      taught,
      units: firsts.map((first) => unit(looks[first]!.raw)),
      firsts,
      pictures: looks.map(({ picture }) => picture),
    },
    { ordinary: ordinary.map(unit), none: none.map(unit) },
    engine,
  )
  const limits =
    fewest < 2
      ? null
      : noveltyLimits(
          distances,
          firsts.map((first) => looks[first]!.sight),
        )
  return {
    head: {
      states,
      mean,
      weights,
      bias,
      noveltyParts: novelty,
      taught: concatenated(taught),
      taughtCount: taught.length,
      limits,
    },
    ridge,
    temperature,
    distances: distances.taught,
  }
}

/** Distances to the nearest taught look, in one product on the engine. */
async function distancesOf(
  {
    taught,
    units,
    firsts,
    pictures,
  }: {
    readonly taught: readonly Float32Array[]
    readonly units: readonly Float32Array[]
    readonly firsts: readonly number[]
    readonly pictures: readonly number[]
  },
  { ordinary, none }: { readonly ordinary: readonly Float32Array[]; readonly none: readonly Float32Array[] },
  engine: EngineOptions,
): Promise<Distances> {
  const rows = [...units, ...ordinary, ...none]
  const isOwn = (i: number, j: number): boolean => i < firsts.length && pictures[firsts[i]!] === pictures[j]
  const all = nearestDistances(await productsOf(rows, taught, engine), taught.length, isOwn)
  const end = firsts.length + ordinary.length
  return { taught: all.slice(0, firsts.length), ordinary: all.slice(firsts.length, end), none: all.slice(end) }
}

/** What a head says of a picture. */
export interface Answer {
  /** Index of the state with the best score. */
  readonly state: number
  /** Its probability, 0 to 1. */
  readonly score: number
  /** Why the picture is none of the states; null if it may be one, or if the head has no limits. */
  readonly cause: NoveltyCause | null
}

/** Answers for a picture in plain arithmetic, as the written model does. */
export function answerOf(
  head: Head,
  parts: readonly Part[],
  { raw, sight }: Pick<TaughtLook, 'raw' | 'sight'>,
): Answer {
  const units = joined(
    raw,
    head.mean,
    parts.map((part) => ({ ...part, weight: 1 })),
  )
  const count = head.states.length
  const logits = Float64Array.from(head.bias)
  for (let k = 0; k < units.length; k++)
    for (let s = 0; s < count; s++) logits[s]! += units[k]! * head.weights[k * count + s]!
  const best = logits.indexOf(Math.max(...logits))
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - logits[best]!), 0)
  const unit = concatenated(head.noveltyParts.map((i) => partOf(units, parts, i)))
  const taught = Array.from({ length: head.taughtCount }, (_, i) =>
    head.taught.subarray(i * unit.length, (i + 1) * unit.length),
  )
  const cause = head.limits ? noveltyCause(nearestDistance(unit, taught), sight, head.limits) : null
  return { state: best, score: 1 / sum, cause }
}

/** Indices by equal key, in the order of their first appearance. */
export function groupsOf(keys: readonly number[]): readonly (readonly number[])[] {
  const groups = new Map<number, number[]>()
  keys.forEach((key, i) => {
    const group = groups.get(key)
    if (group) group.push(i)
    else groups.set(key, [i])
  })
  return [...groups.values()]
}

function linear(
  vectors: readonly Float32Array[],
  { alpha, intercept }: Ridge,
  parts: readonly Part[],
  temperature: number,
): { weights: Float32Array; bias: Float32Array } {
  const states = intercept.length
  const length = vectors[0]!.length
  const sums = new Float64Array(length * states)
  const nothing = new Float32Array(length)
  // Four vectors at a time, so that each sum is read and written less often.
  for (let i = 0; i < vectors.length; i += 4) {
    const [a, b, c, d] = [0, 1, 2, 3].map((k) => vectors[i + k] ?? nothing) as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ]
    for (let s = 0; s < states; s++) {
      const [p, q, r, t] = [0, 1, 2, 3].map((k) => alpha[(i + k) * states + s] ?? 0) as [number, number, number, number]
      const start = s * length
      for (let k = 0; k < length; k++) sums[start + k]! += p * a[k]! + q * b[k]! + (r * c[k]! + t * d[k]!)
    }
  }
  const weights = new Float32Array(sums.length)
  parts.forEach((part, p) => {
    const start = partStart(parts, p)
    for (let k = start; k < start + partLength(part); k++)
      for (let s = 0; s < states; s++) weights[k * states + s] = sums[s * length + k]! * part.weight * temperature
  })
  return { weights, bias: Float32Array.from(intercept, (value) => value * temperature) }
}

function unitParts(
  raw: RawVector,
  of: { readonly mean: Float32Array; readonly parts: readonly Part[]; readonly indices: readonly number[] },
): Float32Array {
  const { mean, parts, indices } = of
  const units = indices.map((i) => joined(partOf(raw, parts, i), partOf(mean, parts, i), [{ ...parts[i]!, weight: 1 }]))
  return concatenated(units)
}

function partOf(vector: Float32Array, parts: readonly Part[], index: number): Float32Array {
  const start = partStart(parts, index)
  return vector.subarray(start, start + partLength(parts[index]!))
}

function concatenated(vectors: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(vectors.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const vector of vectors) {
    all.set(vector, at)
    at += vector.length
  }
  return all
}
