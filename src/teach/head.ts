/** A head: what teaching finds, from the vectors of the taught pictures. No file and no engine here. */
import { arithmetic } from './arithmetic.js'
import type { VectorSpace } from '../arithmetic.js'
import {
  joined,
  meanOf,
  noveltyParts,
  partLength,
  partStart,
  partWeights,
  manyPictures,
  type Part,
  type RawVector,
} from './features.js'
import { noveltyCause, type NoveltyCause, type NoveltyLimits } from '../decision/novelty.js'
import { nearestDistance, nearestDistances, noveltyLimits, type Distances, type SightStatistics } from './novelty.js'
import { PairProducts } from './products.js'
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
  /**
   * Their unit vectors over their number, joined, of the pictures as they are, [taughtCount, length]: the product with unit
   * vectors is the mean cosine.
   */
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

/** More pictures are fitted by their first looks alone. */
const mostWithLooks = 500

/** The looks that a head is fitted to: a head of many pictures needs no further ones of each. */
export function looksToFit(looks: readonly TaughtLook[]): readonly TaughtLook[] {
  const firsts = [...new Map(looks.toReversed().map((look) => [look.picture, look])).values()].reverse()
  return firsts.length <= mostWithLooks ? looks : firsts
}

/** What fits of one network share. */
export interface FitMemory {
  /** Of whole vectors, where the state that has fewest has this many pictures. */
  spaceFor(fewest: number): VectorSpace
  /** Of ordinary pictures. */
  readonly mean: Float32Array
  /** Products of pairs that were made. */
  readonly pairs: PairProducts
  /** Of the parts that tell what is novel, each of length 1. */
  readonly novelty: VectorSpace
  /** These parts of ordinary pictures. */
  readonly ordinary: readonly RawVector[]
}

/** An empty memory for a network; its ordinary pictures are always the same. */
export function fitMemory(ordinary: readonly RawVector[], parts: readonly Part[]): FitMemory {
  const mean = meanOf(ordinary)
  const spaceOf = (fewest: number): VectorSpace => ({
    mean,
    lengths: lengthsOf(parts),
    weights: partWeights(parts, fewest),
  })
  const [few, many] = [spaceOf(1), spaceOf(manyPictures)]
  const novel = noveltyParts(parts).map((i) => parts[i]!)
  const novelty = {
    mean: noveltyOf(mean, parts),
    lengths: lengthsOf(novel),
    weights: new Float32Array(novel.length).fill(1),
  }
  const spaceFor = (fewest: number): VectorSpace => (fewest < manyPictures ? few : many)
  return { mean, spaceFor, pairs: new PairProducts(), novelty, ordinary: ordinary.map((raw) => noveltyOf(raw, parts)) }
}

/** Fits a head. Every state needs a picture. The same looks in the same order give the same bits on every machine. */
export async function fitHead(lesson: Lesson, memory: FitMemory): Promise<Fit> {
  const { states, parts, looks, none } = lesson
  const vectors = looks.map(({ raw }) => raw)
  const groups = groupsOf(looks.map(({ picture }) => picture))
  const pictures = new Uint32Array(states.length)
  for (const [first] of groups) pictures[looks[first!]!.state]! += 1
  const fewest = Math.min(...pictures)
  const space = memory.spaceFor(fewest)
  const ridge = await fitRidge({
    products: await memory.pairs.of(vectors, space),
    states: looks.map(({ state }) => state),
    stateCount: states.length,
    groups,
  })
  const temperature = temperatureFor(fewest)
  const firsts = groups.map(([first]) => looks[first!]!)
  const { taught, limits, distances } = await fitNovelty(parts, firsts, memory, none)
  return {
    head: {
      states,
      ...taught,
      ...(await linear(vectors, ridge, space, temperature)),
      noveltyParts: noveltyParts(parts),
      limits: fewest < 2 ? null : limits,
    },
    ridge,
    temperature,
    distances,
  }
}

/** What tells whether a picture is like these; `none` are raw vectors of pictures that must be novel. */
export async function fitNovelty(
  parts: readonly Part[],
  looks: readonly Pick<TaughtLook, 'raw' | 'sight'>[],
  { mean, novelty, ordinary }: FitMemory,
  none: readonly RawVector[] = [],
): Promise<{
  readonly taught: Pick<Head, 'mean' | 'taught' | 'taughtCount'>
  readonly limits: NoveltyLimits
  /** The distance of each look to the nearest other one. */
  readonly distances: readonly number[]
}> {
  const seen = looks.map(({ raw }) => noveltyOf(raw, parts))
  const distances = await distancesOf(
    { taught: seen, ordinary, none: none.map((raw) => noveltyOf(raw, parts)) },
    novelty,
  )
  const weights = novelty.weights.map((weight) => weight / novelty.lengths.length)
  const taught = await arithmetic().joinVectors(seen, { ...novelty, weights })
  return {
    taught: { mean, taught, taughtCount: seen.length },
    limits: noveltyLimits(
      distances,
      looks.map(({ sight }) => sight),
    ),
    distances: distances.taught,
  }
}

const lengthsOf = (parts: readonly Part[]): Uint32Array => Uint32Array.from(parts, partLength)

/** The parts of a vector that tell what is novel: the last ones. */
function noveltyOf(vector: Float32Array, parts: readonly Part[]): Float32Array {
  return vector.subarray(partStart(parts, noveltyParts(parts)[0]!))
}

/** Distances to the nearest taught picture, the mean over the parts. */
async function distancesOf(
  { taught, ordinary, none }: Readonly<Record<'taught' | 'ordinary' | 'none', readonly Float32Array[]>>,
  space: VectorSpace,
): Promise<Distances> {
  const products = await arithmetic().byteProducts([...taught, ...ordinary, ...none], taught, space)
  const cosines = products.map((value) => value / space.lengths.length)
  const all = nearestDistances(cosines, taught.length, (i, j) => i === j)
  const end = taught.length + ordinary.length
  return { taught: all.slice(0, taught.length), ordinary: all.slice(taught.length, end), none: all.slice(end) }
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

/** Weights for parts of length 1: the weight of a part counts once in the vectors that were fitted and once here. */
async function linear(
  vectors: readonly Float32Array[],
  { alpha, intercept }: Ridge,
  space: VectorSpace,
  temperature: number,
): Promise<Pick<Head, 'weights' | 'bias'>> {
  const scaled = { ...space, weights: space.weights.map((weight) => weight * weight * temperature) }
  return {
    weights: await arithmetic().weightedSums(vectors, scaled, alpha, intercept.length),
    bias: Float32Array.from(intercept, (value) => value * temperature),
  }
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
