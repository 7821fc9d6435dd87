/** How good a head is, from the predictions of its taught pictures by heads that did not see them. */
import type { Fit, TaughtLook } from './head.js'
import { groupsOf } from './head.js'

/** A taught picture that its head calls something else when it was not taught. */
export interface Doubt {
  /** Index of the picture. */
  readonly picture: number
  readonly taught: string
  readonly called: string
  /** Probability of the other state, 0 to 1. */
  readonly score: number
}

/** The report on a head. */
export interface Report {
  /** Pictures of each state. */
  readonly pictures: Readonly<Record<string, number>>
  /** Share of pictures that are right when left out, 0 to 1; null where a state has one picture. */
  readonly accuracy: number | null
  /** 95 % interval of the accuracy (Wilson). */
  readonly interval: readonly [low: number, high: number] | null
  /** Counts by taught state, then by the state that the picture is called. */
  readonly confusion: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** The state whose pictures are most often wrong; null if none is. */
  readonly weakest: string | null
  /** Pictures that may carry the wrong state, the most certain first. */
  readonly doubts: readonly Doubt[]
}

/** A doubt needs this probability of another state. */
const leastDoubt = 0.6

/** Judges a fit by its left-out predictions. */
export function reportOf(states: readonly string[], looks: readonly TaughtLook[], fit: Fit): Report {
  const groups = groupsOf(looks.map(({ picture }) => picture))
  const judged = groups.map(([first]) => judge(states.length, looks[first!]!, first!, fit))
  const count = (of: (one: Judged) => boolean): number => judged.filter(of).length
  const pictures = Object.fromEntries(states.map((name, s) => [name, count(({ taught }) => taught === s)]))
  const confusion = Object.fromEntries(
    states.map((name, s) => [
      name,
      Object.fromEntries(
        states.map((other, t) => [other, count(({ taught, called }) => taught === s && called === t)]),
      ),
    ]),
  )
  const isJudged = Object.values(pictures).every((number) => number > 1)
  const right = count(({ taught, called }) => taught === called)
  return {
    pictures,
    accuracy: isJudged ? right / judged.length : null,
    interval: isJudged ? wilson(right, judged.length) : null,
    confusion: isJudged ? confusion : {},
    weakest: isJudged ? weakestOf(states, pictures, confusion) : null,
    doubts: isJudged ? doubtsOf(states, judged) : [],
  }
}

interface Judged {
  readonly picture: number
  readonly taught: number
  readonly called: number
  readonly score: number
}

function judge(stateCount: number, { state, picture }: TaughtLook, at: number, { ridge, temperature }: Fit): Judged {
  const logits = ridge.leftOut.subarray(at * stateCount, (at + 1) * stateCount).map((value) => value * temperature)
  const called = logits.indexOf(Math.max(...logits))
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - logits[called]!), 0)
  return { picture, taught: state, called, score: 1 / sum }
}

function weakestOf(
  states: readonly string[],
  pictures: Readonly<Record<string, number>>,
  confusion: Report['confusion'],
): string | null {
  const share = (name: string): number => confusion[name]![name]! / pictures[name]!
  const weakest = states.reduce((worst, name) => (share(name) < share(worst) ? name : worst))
  return share(weakest) < 1 ? weakest : null
}

function doubtsOf(states: readonly string[], judged: readonly Judged[]): readonly Doubt[] {
  return judged
    .filter(({ taught, called, score }) => taught !== called && score >= leastDoubt)
    .sort((a, b) => b.score - a.score)
    .map(({ picture, taught, called, score }) => ({ picture, taught: states[taught]!, called: states[called]!, score }))
}

/** Wilson's score interval of a share at 95 %. */
function wilson(right: number, all: number): readonly [number, number] {
  const z = 1.96
  const share = right / all
  const centre = share + (z * z) / (2 * all)
  const spread = z * Math.sqrt((share * (1 - share)) / all + (z * z) / (4 * all * all))
  const scale = 1 + (z * z) / all
  return [Math.max(0, (centre - spread) / scale), Math.min(1, (centre + spread) / scale)]
}
