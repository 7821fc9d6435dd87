/** How good a head is, from the predictions of its taught pictures by heads that did not see them. */
import type { Fit, TaughtLook } from './head.js'
import { groupsOf } from './head.js'
import { canLeaveOut } from './ridge.js'

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
  /** Groups of pictures that are left out together: those of one state within ten minutes, else single pictures. */
  readonly groups: number
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
  /** Whether the pictures are enough to rely on. */
  readonly enough: boolean
  /** What to do next, in one sentence. */
  readonly advice: string
}

/**
 * A doubt needs this lead of another state in the left-out predictions, which are 1 for a state and 0 for the others. With 5 %
 * wrong labels (scripts/teach/labels.mjs) 0.2 is right 7 times in 10, 0.3 8 times, and 0.5 misses a quarter of them.
 */
const leastLead = 0.3

/** Pictures of one state that were taken within this time show the same moment and are left out together. */
const sameMomentMs = 600_000

/** What is known of the taught pictures besides their looks. */
export interface Circumstances {
  /** When each of them was taken, null where that is unknown. */
  readonly times?: readonly (number | null)[]
  /** What they are. */
  readonly noun?: 'pictures' | 'clips'
}

/** Judges a fit by its left-out predictions. */
export async function reportOf(
  states: readonly string[],
  looks: readonly TaughtLook[],
  fit: Fit,
  { times = [], noun = 'pictures' }: Circumstances = {},
): Promise<Report> {
  const own = groupsOf(looks.map(({ picture }) => picture))
  const firsts = own.map(([first]) => first!)
  const momentGroups = groupsOf(momentsOf(looks, times))
  const problem = { states: looks.map(({ state }) => state), stateCount: states.length }
  const groups = canLeaveOut({ ...problem, groups: momentGroups }) ? momentGroups : own
  const leftOut = groups.length === own.length ? fit.ridge.leftOut : await fit.ridge.leftOutBy(groups)
  const judged = firsts.map((first) => judge(states.length, looks[first]!, leftOut, { first, fit }))
  const alone = firsts.map((first) => judge(states.length, looks[first]!, fit.ridge.leftOut, { first, fit }))
  const count = (of: (one: Judged) => boolean): number => judged.filter(of).length
  const pictures = Object.fromEntries(states.map((name, s) => [name, count(({ taught }) => taught === s)]))
  const isJudged = Object.values(pictures).every((number) => number > 1)
  const right = count(({ taught, called }) => taught === called)
  const accuracy = isJudged ? right / judged.length : null
  const confusion = isJudged ? confusionOf(states, judged) : {}
  const weakest = isJudged ? weakestOf(states, pictures, confusion) : null
  return {
    pictures,
    groups: groups.length,
    accuracy,
    interval: isJudged ? wilson(right, judged.length) : null,
    confusion,
    weakest,
    doubts: isJudged ? doubtsOf(states, alone) : [],
    ...verdictOf(pictures, accuracy, { weakest, noun }),
  }
}

function confusionOf(states: readonly string[], judged: readonly Judged[]): Report['confusion'] {
  const count = (s: number, t: number): number =>
    judged.filter(({ taught, called }) => taught === s && called === t).length
  return Object.fromEntries(
    states.map((name, s) => [name, Object.fromEntries(states.map((other, t) => [other, count(s, t)]))]),
  )
}

/** A number for each look: the same for pictures of one state that were taken within the time of a moment. */
function momentsOf(looks: readonly TaughtLook[], times: readonly (number | null)[]): readonly number[] {
  const moments = new Map<number, number>()
  const pictures = [...new Map(looks.map(({ picture, state }) => [picture, state]))]
  const starts = new Map<number, { readonly picture: number; readonly atMs: number }>()
  const at = (picture: number): number => times[picture] ?? Number.NaN
  for (const [picture, state] of pictures.sort(([a], [b]) => at(a) - at(b) || a - b)) {
    const start = starts.get(state)
    const isSame = start !== undefined && at(picture) - start.atMs < sameMomentMs
    if (!isSame) starts.set(state, { picture, atMs: at(picture) })
    moments.set(picture, isSame ? start.picture : picture)
  }
  return looks.map(({ picture }) => moments.get(picture)!)
}

/** Fewer pictures of a state are not enough, whatever the accuracy. */
const leastPictures = 5
const leastAccuracy = 0.9

function verdictOf(
  pictures: Report['pictures'],
  accuracy: number | null,
  { weakest, noun }: Pick<Report, 'weakest'> & Required<Pick<Circumstances, 'noun'>>,
): Pick<Report, 'enough' | 'advice'> {
  const few = Object.entries(pictures).filter(([, number]) => number < leastPictures)
  if (few.length > 0) {
    const missing = few.map(([state, number]) => `${leastPictures - number} of ${state}`).join(', ')
    return { enough: false, advice: `Teach more ${noun}: ${missing}.` }
  }
  if ((accuracy ?? 0) < leastAccuracy)
    return { enough: false, advice: `Teach more ${noun} of ${weakest ?? 'each state'}, at other times of the day.` }
  return {
    enough: true,
    advice:
      weakest === null ? `These ${noun} are enough.` : `These ${noun} are enough; more of ${weakest} would help most.`,
  }
}

interface Judged {
  readonly picture: number
  readonly taught: number
  readonly called: number
  readonly score: number
  /** Of the called state before the taught one. */
  readonly lead: number
}

function judge(
  stateCount: number,
  { state, picture }: TaughtLook,
  leftOut: Float64Array,
  { first: at, fit }: { readonly first: number; readonly fit: Fit },
): Judged {
  const logits = leftOut.subarray(at * stateCount, (at + 1) * stateCount).map((value) => value * fit.temperature)
  const called = logits.indexOf(Math.max(...logits))
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - logits[called]!), 0)
  return { picture, taught: state, called, score: 1 / sum, lead: (logits[called]! - logits[state]!) / fit.temperature }
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
    .filter(({ lead }) => lead >= leastLead)
    .sort((a, b) => b.lead - a.lead)
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
