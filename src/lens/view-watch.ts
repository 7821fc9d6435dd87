/**
 * Watches whether a camera still has the view in which regions were drawn, and where that view lies in its picture now. A
 * frame costs a coarse comparison; a look, a registration of a millisecond or two, follows at most once a second where
 * something has changed, and sooner while the view is in doubt.
 */
import type { Frame } from '../frame.js'
import { createGridMeter } from '../pixels/grid.js'
import { composed, distanceOf, inverted, stillPlace, type Place } from '../pixels/place.js'
import { createAnchor, viewMeterOf, type Anchor, type AnchorView, type ViewMeter } from './anchor.js'
import {
  firstView,
  isWorthKeeping,
  lightOf,
  placeOfFit,
  withView,
  type Fit,
  type ReferenceView,
  type ReferenceViews,
} from './references.js'

/**
 * `starting`: no picture yet. `held`: the view is found, the place says where. `checking`: it was not found, and is looked
 * for again before that is told. `moved`: the camera shows something else. `unsure`: the picture has too little to compare;
 * the last place stands.
 */
export type ViewState = 'starting' | 'held' | 'checking' | 'moved' | 'unsure'

/** The view of now. The object stays the same until something changes. */
export interface SeenView {
  readonly state: ViewState
  /** Where the first view lies in the present picture, as far as it is known. */
  readonly place: Place
}

export interface ViewWatchOptions {
  readonly views: ReferenceViews
  /** The views that are kept have changed. */
  readonly onViews: (views: ReferenceViews) => void
  /** Wall time, milliseconds. */
  readonly wall: () => number
}

/** A view that fits, and where the first one lies. */
interface Found {
  readonly fit: Fit
  readonly place: Place
}

const [columns, rows] = [32, 24]
/** A cell of the coarse picture that differs by more than this has changed. */
const cellLevels = 12
/** Less than this share of changed cells is noise, or something small; from the second on most of the picture differs. */
const [someChanged, mostChanged] = [0.02, 0.3]
const lookEveryMs = 1000
const checkEveryMs = 250
const lookAtLatestMs = 60_000
/** Looks in a row that do not find the view before it counts as moved. */
const missesToMoved = 3
/** A view in other light is kept this seldom. */
const keepEveryMs = 600_000
/** Places that differ by less than this, in heights, are the same: what follows them is not rebuilt for nothing. */
const samePlace = 0.001
/** Standard deviation of the levels below which a picture shows nothing. */
const emptyLevels = 4

/** Belongs to one camera. Needs the native addon for looks; without it the view is `unsure` for good. */
export class ViewWatch {
  readonly #options: ViewWatchOptions
  #views: ReferenceViews
  readonly #anchors = new WeakMap<ReferenceView, Anchor>()
  readonly #coarse = createGridMeter({ x: 0, y: 0, width: 1, height: 1 }, columns, rows, 2)
  readonly #cells = new Float32Array(columns * rows)
  readonly #lookedCells = new Float32Array(columns * rows)
  #present: AnchorView | null = null
  #measure: ViewMeter | null = null
  #seen: SeenView
  #lastFit: Fit | null = null
  /** Since when the view is found at the expected place alone. */
  #unsureSinceMs: number | null = null
  #misses = 0
  #lastLookMs = -Infinity
  #lastKeptMs = -Infinity
  #seenMs: number | null = null
  #wish: 'first' | 'same' | null = null

  constructor(options: ViewWatchOptions) {
    this.#options = options
    this.#views = options.views
    this.#seen = { state: 'starting', place: stillPlace(aspectOf(options.views[0])) }
  }

  get seen(): SeenView {
    return this.#seen
  }

  /** Views that are compared with, the first one first. */
  get views(): ReferenceViews {
    return this.#views
  }

  /** The picture of the last look; null before the first. Valid until the next frame. */
  get present(): AnchorView | null {
    return this.#present
  }

  /** Wall time when the view was last found; null: not since the start. */
  get seenMs(): number | null {
    return this.#seenMs
  }

  /** The camera was opened: whatever it shows first is looked at. */
  opened(): void {
    this.#lastLookMs = -Infinity
    this.#misses = 0
    if (this.#seen.state === 'moved') this.#tell('checking', this.#seen.place)
  }

  /**
   * The next frame is the view that regions belong to. `isSame`: the camera has not moved, and the picture only looks
   * different; it is kept beside the others, at the place where the view was last seen.
   */
  accept(isSame: boolean): void {
    this.#wish = isSame && this.#views.length > 0 ? 'same' : 'first'
  }

  /** Shows it a frame. Throws FRAME_INVALID. */
  observe(frame: Frame, nowMs: number): void {
    this.#coarse(frame, this.#cells)
    if (!this.#isDue(nowMs)) return
    this.#lastLookMs = nowMs
    this.#lookedCells.set(this.#cells)
    this.#look(frame, nowMs)
  }

  #isDue(nowMs: number): boolean {
    if (this.#wish !== null) return true
    const sinceMs = nowMs - this.#lastLookMs
    if (sinceMs >= lookAtLatestMs) return true
    if (sinceMs < checkEveryMs) return false
    if (this.#seen.state === 'checking' || this.#seen.state === 'starting') return true
    const changed = this.#changed()
    return changed >= mostChanged || (changed >= someChanged && sinceMs >= lookEveryMs)
  }

  /** The share of cells that differ from those of the last look. */
  #changed(): number {
    let changed = 0
    for (let i = 0; i < this.#cells.length; i++)
      if (Math.abs(this.#cells[i]! - this.#lookedCells[i]!) > cellLevels) changed++
    return changed / this.#cells.length
  }

  #look(frame: Frame, nowMs: number): void {
    this.#measure ??= viewMeterOf(this.#views[0] ?? frame)
    const present = this.#measure(frame)
    this.#present = present
    if (this.#wish !== null) return this.#take(present)
    if (this.#views.length === 0) return isEmpty(present) ? undefined : this.#take(present)
    if (isEmpty(present)) return this.#miss('unsure')
    const found = this.#find(present)
    if (found === 'unsure') return this.#replaceBlank(present)
    if (found === null) return this.#miss('moved')
    this.#found(found, present, nowMs)
  }

  #found({ fit, place }: Found, present: AnchorView, nowMs: number): void {
    const wallMs = this.#options.wall()
    this.#misses = 0
    this.#lastFit = fit
    this.#seenMs = wallMs
    this.#unsureSinceMs = fit.isSure ? null : (this.#unsureSinceMs ?? nowMs)
    this.#tell('held', place)
    if (nowMs - this.#lastKeptMs < keepEveryMs) return
    if (!isWorthKeeping(present, fit, nowMs - (this.#unsureSinceMs ?? nowMs))) return
    this.#lastKeptMs = nowMs
    this.#keep(withView(this.#views, present, fit, wallMs))
  }

  /** A reference that was taken in the dark, or of nothing, gives way to the first picture that shows something. */
  #replaceBlank(present: AnchorView): void {
    const [view] = this.#views
    const isBlank = this.#views.length === 1 && this.#anchorOf(view!)?.locate(view!.levels).state === 'unsure'
    const next = firstView(present, this.#options.wall())
    if (!isBlank || this.#anchorOf(next)?.locate(next.levels).state !== 'held') return this.#miss('unsure')
    this.#keep([next])
    this.#tell('held', next.place)
  }

  /** The present picture becomes a reference. */
  #take(present: AnchorView): void {
    const [wish, wallMs] = [this.#wish, this.#options.wall()]
    const view = this.#lastFit?.view ?? this.#views[0]
    this.#wish = null
    this.#misses = 0
    this.#seenMs = wallMs
    if (wish === 'same' && view) {
      // The place of the first view is the one that was last seen: of a reference at that very place.
      const fit: Fit = {
        view: { ...view, place: this.#seen.place },
        place: stillPlace(this.#seen.place.aspect),
        correlation: 0,
        isSure: true,
      }
      this.#keep(withView(this.#views, present, fit, wallMs))
      return this.#tell('held', this.#seen.place)
    }
    const first = firstView(present, wallMs)
    this.#lastFit = null
    this.#keep([first])
    this.#tell('held', first.place)
  }

  /** The first view that fits, of those in the most similar light first. */
  #find(present: AnchorView): Found | 'unsure' | null {
    const light = Math.log(lightOf(present))
    const difference = (view: ReferenceView): number => Math.abs(Math.log(lightOf(view)) - light)
    let isUnsure = true
    for (const view of [...this.#views].sort((a, b) => difference(a) - difference(b))) {
      const expected = composed(this.#seen.place, inverted(view.place))
      const found = this.#anchorOf(view)?.locate(present.levels, expected)
      if (!found || found.state === 'unsure') continue
      isUnsure = false
      if (found.state !== 'held') continue
      const fit = { ...found, view }
      const place = placeOfFit(fit)
      if (place) return { fit, place }
    }
    return isUnsure ? 'unsure' : null
  }

  #anchorOf(view: ReferenceView): Anchor | null {
    const known = this.#anchors.get(view)
    if (known) return known
    const made = createAnchor(view)
    if ('reason' in made) return null
    this.#anchors.set(view, made)
    return made
  }

  /** A view that is not found is looked for again; one that has moved stays so until it is found. */
  #miss(why: 'moved' | 'unsure'): void {
    if (this.#seen.state === 'moved') return
    if (why === 'unsure') {
      if (this.#seen.state !== 'checking') this.#tell('unsure', this.#seen.place)
      return
    }
    this.#misses++
    this.#tell(this.#misses >= missesToMoved ? 'moved' : 'checking', this.#seen.place)
  }

  #tell(state: ViewState, place: Place): void {
    const before = this.#seen
    const isSame = distanceOf(before.place, place) < samePlace
    if (before.state === state && isSame) return
    this.#seen = { state, place: isSame ? before.place : place }
  }

  #keep(views: ReferenceViews): void {
    this.#views = views
    this.#options.onViews(views)
  }
}

function isEmpty({ levels }: AnchorView): boolean {
  let [sum, squares] = [0, 0]
  for (const level of levels) {
    sum += level
    squares += level * level
  }
  const mean = sum / levels.length
  return squares / levels.length - mean * mean < emptyLevels * emptyLevels
}

const aspectOf = (view: AnchorView | undefined): number => (view ? view.width / view.height : 4 / 3)
