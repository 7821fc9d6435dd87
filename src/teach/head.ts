/** A head: what teaching finds, from the vectors of the taught pictures. No file and no engine here. */
import type { EngineOptions } from '../engine/engine.js'
import { joined, meanOf, partLength, partStart, type Part, type RawVector } from './features.js'
import { noveltyCause, type NoveltyCause, type NoveltyLimits } from '../decision/novelty.js'
import { nearestDistance, noveltyLimits, type SightStatistics } from './novelty.js'
import { productsOf } from './products.js'
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
  /** Index of the part whose vectors tell what is novel: the mean of the head's map. */
  readonly noveltyPart: number
  /** Unit vectors of that part, [taughtCount, length]. */
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
}

/**
 * Logits are predictions times this. It is fixed: on the tasks of docs/teach.md it is nearer to calibrated than one that is
 * fitted to left-out pictures.
 */
function temperatureFor(fewest: number): number {
  return 8 + (2 * (Math.min(Math.max(fewest, 1), 5) - 1)) / 4
}

/** Fits a head. Every state needs a picture. The same looks in the same order give the same bits on one target. */
export async function fitHead({ states, parts, looks, ordinary, none }: Lesson, engine: EngineOptions): Promise<Fit> {
  const mean = meanOf(ordinary)
  const vectors = looks.map(({ raw }) => joined(raw, mean, parts))
  const groups = groupsOf(looks.map(({ picture }) => picture))
  const ridge = fitRidge({
    products: await productsOf(vectors, engine),
    states: looks.map(({ state }) => state),
    stateCount: states.length,
    groups,
  })
  const fewest = Math.min(...states.map((_, s) => groups.filter(([i]) => looks[i!]!.state === s).length))
  const temperature = temperatureFor(fewest)
  const { weights, bias } = linear(vectors, ridge, parts, temperature)
  const noveltyPart = parts.findIndex(({ cells }) => cells === 1)
  const unit = (raw: RawVector): Float32Array => unitPart(raw, mean, parts, noveltyPart)
  const taught = looks.map(({ raw }) => unit(raw))
  const limits =
    fewest < 2
      ? null
      : noveltyLimits(
          taught,
          looks.map(({ picture }) => picture),
          { ordinary: ordinary.map(unit), none: none.map(unit) },
          groups.map(([first]) => looks[first!]!.sight),
        )
  return {
    head: {
      states,
      mean,
      weights,
      bias,
      noveltyPart,
      taught: concatenated(taught),
      taughtCount: taught.length,
      limits,
    },
    ridge,
    temperature,
  }
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
  const start = partStart(parts, head.noveltyPart)
  const unit = units.subarray(start, start + partLength(parts[head.noveltyPart]!))
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
  vectors.forEach((vector, i) => {
    for (let s = 0; s < states; s++) {
      const factor = alpha[i * states + s]!
      for (let k = 0; k < length; k++) sums[s * length + k]! += factor * vector[k]!
    }
  })
  const weights = new Float32Array(sums.length)
  parts.forEach((part, p) => {
    const start = partStart(parts, p)
    for (let k = start; k < start + partLength(part); k++)
      for (let s = 0; s < states; s++) weights[k * states + s] = sums[s * length + k]! * part.weight * temperature
  })
  return { weights, bias: Float32Array.from(intercept, (value) => value * temperature) }
}

function unitPart(raw: RawVector, mean: Float32Array, parts: readonly Part[], index: number): Float32Array {
  const start = partStart(parts, index)
  const end = start + partLength(parts[index]!)
  return joined(raw.subarray(start, end), mean.subarray(start, end), [{ ...parts[index]!, weight: 1 }])
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
