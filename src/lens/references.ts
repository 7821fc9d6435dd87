/**
 * The views of one camera that others are compared with: the one in which regions were drawn, first, and a few of the same
 * place in other light. Plain data, as it is kept on disk, and the rules by which a view is added.
 */
import { composed, stillPlace, type Place } from '../pixels/place.js'
import { isWithinBounds, type AnchorView } from './anchor.js'

/** One view that is kept. */
export interface ReferenceView extends AnchorView {
  /** Where the first view lies in this one. */
  readonly place: Place
  /** How many registrations lie between the first view and this one: each adds its small error. */
  readonly steps: number
  /** Wall time, milliseconds. */
  readonly takenMs: number
}

/** Of one camera, the first view first; empty before its first picture. */
export type ReferenceViews = readonly ReferenceView[]

/** By day, by night, and two more, such as dusk and lamps. */
export const mostViews = 4
const mostSteps = 8
/** A view that fits less well than this, or in other light than by this factor, is worth another one. */
const goodCorrelation = 0.8
const otherLight = 1.5
const leastUnsureMs = 60_000

/** The first view of a camera: regions belong to it. */
export function firstView(view: AnchorView, takenMs: number): ReferenceView {
  return { ...copyOf(view), place: stillPlace(view.width / view.height), steps: 0, takenMs }
}

/** What a look found: the view that fitted, where that lies in the present picture, and how well it fits. */
export interface Fit {
  readonly view: ReferenceView
  readonly place: Place
  readonly correlation: number
  /** See `Anchored`. */
  readonly isSure: boolean
}

/** Where the first view lies in the present picture; null beyond the bounds that are followed. */
export function placeOfFit({ view, place }: Pick<Fit, 'view' | 'place'>): Place | null {
  const whole = composed(place, view.place)
  return isWithinBounds(whole) ? whole : null
}

/**
 * Whether the present picture looks so different from the view that fitted that it should be kept too. `unsureMs`: for how
 * long it was found at the expected place alone, as after a switch to infrared. What passes the camera is gone before.
 */
export function isWorthKeeping(present: AnchorView, { view, correlation, isSure }: Fit, unsureMs: number): boolean {
  if (view.steps >= mostSteps) return false
  if (!isSure) return unsureMs >= leastUnsureMs
  const [now, before] = [lightOf(present), lightOf(view)]
  return correlation < goodCorrelation || now > before * otherLight || before > now * otherLight
}

/** The views with one more of the same place. The oldest makes room, never the first. */
export function withView(views: ReferenceViews, present: AnchorView, fit: Fit, takenMs: number): ReferenceViews {
  const place = composed(fit.place, fit.view.place)
  const added: ReferenceView = { ...copyOf(present), place, steps: fit.view.steps + 1, takenMs }
  const [first, ...others] = views
  const kept = others.length < mostViews - 1 ? others : [...others].sort((a, b) => a.takenMs - b.takenMs).slice(1)
  return [first!, ...kept, added]
}

/** The mean level, at least 1. */
export function lightOf({ levels }: AnchorView): number {
  let sum = 0
  for (const level of levels) sum += level
  return Math.max(1, sum / levels.length)
}

/** Levels as they are kept on disk: whole numbers. */
function copyOf({ width, height, levels }: AnchorView): AnchorView {
  return { width, height, levels: levels.map((level) => Math.round(level)) }
}
