/**
 * The view of each camera and how its zones' regions lie in it: one file for each camera beside the settings, with the views
 * that are compared with and, for each region, where the view lay when it was drawn.
 */
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../../clock.js'
import type { Frame } from '../../frame.js'
import { moveOf, type AnchorView } from '../../lens/anchor.js'
import type { ReferenceView, ReferenceViews } from '../../lens/references.js'
import { ViewWatch, type SeenView, type ViewState } from '../../lens/view-watch.js'
import type { Logger } from '../../log.js'
import { composed, inverted, type Place } from '../../pixels/place.js'
import { openStateFile, type StateFile } from '../../state-file.js'
import type { ZoneDefinition } from '../../zone/definition.js'
import type { RegionAnchor, RegionPlace } from '../../zone/zone-options.js'

const number = z.number()
const place = z.strictObject({ a: number, b: number, dx: number, dy: number, aspect: number.positive() })
const side = z.int().min(32).max(256)
const keptView = z
  .strictObject({
    width: side,
    height: side,
    /** Base64 of one byte for each pixel. */
    levels: z.base64().max(100_000),
    place,
    steps: z.int().min(0),
    takenMs: number,
  })
  .refine(
    ({ width, height, levels }) => Buffer.from(levels, 'base64').length === width * height,
    'a view has as many levels as pixels',
  )
const schema = z.strictObject({
  version: z.literal(1),
  views: z.array(keptView).max(16),
  /** By region: where the first view lay when it was drawn. */
  drawn: z.record(z.string().max(10_000), place),
})
type Kept = z.output<typeof schema>

/** How a camera's view is, for people. */
export interface ViewReport {
  /** `off`: no zone follows the view. */
  readonly state: ViewState | 'off'
  /** Shares of the picture's width and height, to the right and down. */
  readonly shift: { readonly x: number; readonly y: number }
  /** Clockwise. */
  readonly degrees: number
  readonly zoom: number
  /** Wall times, milliseconds; null where there is none. */
  readonly seenMs: number | null
  readonly referenceMs: number | null
  /** Views that are compared with. */
  readonly views: number
}

/** The view of one camera. */
export class CameraView {
  readonly #file: StateFile<Kept>
  readonly #watch: ViewWatch
  #drawn: Readonly<Record<string, Place>>
  #isLive = false
  #zones: readonly ZoneDefinition[] = []

  constructor(file: StateFile<Kept>, clock: Clock) {
    this.#file = file
    this.#drawn = file.value.drawn
    this.#watch = new ViewWatch({
      views: file.value.views.map(viewOf),
      onViews: (views) => this.#write(views),
      wall: () => clock.wall(),
    })
  }

  /** Resolves when what is kept is on disk. */
  close(): Promise<void> {
    return this.#file.close()
  }

  /** The camera was opened. `isLive`: see `Camera.isLive`. */
  opened(isLive: boolean): void {
    this.#isLive = isLive
    this.#watch.opened()
  }

  /** The zones that the camera has now. What was kept for other regions is forgotten. */
  keep(zones: readonly ZoneDefinition[]): void {
    this.#zones = zones.filter(({ anchor }) => anchor !== false)
    const regions = new Set(zones.map(regionOf))
    const rest = Object.entries(this.#drawn).filter(([region]) => regions.has(region))
    if (rest.length === Object.keys(this.#drawn).length) return
    this.#drawn = Object.fromEntries(rest)
    this.#write(this.#watch.views)
  }

  /** Shows it a frame, before the zones get it. A frame that cannot be read says nothing. */
  observe(frame: Frame, nowMs: number): void {
    if (!this.#isFollowed()) return
    try {
      this.#watch.observe(frame, nowMs)
    } catch {
      return
    }
    if (this.#watch.seen.state === 'held') this.#noteDrawn()
  }

  /** Shows it the only frame of a camera: what is not found in it has moved. */
  show(frame: Frame, isLive: boolean): void {
    this.opened(isLive)
    for (let look = 0; look < 4; look++) this.observe(frame, look * 1000)
  }

  /** How a zone follows the view. */
  anchorOf(definition: ZoneDefinition): RegionAnchor {
    const region = regionOf(definition)
    let [seen, drawn, now]: [SeenView | null, Place | undefined, RegionPlace] = [null, undefined, null]
    return {
      place: () => {
        if (!this.#follows(definition)) return null
        const { seen: latest } = this.#watch
        const own = this.#drawn[region]
        if (latest === seen && own === drawn) return now
        ;[seen, drawn] = [latest, own]
        now = placeOf(latest, own)
        return now
      },
    }
  }

  /** Takes the next frame as the view; see `ViewWatch.accept`. False where no zone follows the view. */
  accept(isSame: boolean): boolean {
    if (!this.#isFollowed()) return false
    // Regions lie in the new view as they were drawn.
    if (!isSame) this.#drawn = {}
    this.#watch.accept(isSame)
    return true
  }

  get report(): ViewReport {
    const { seen, seenMs, views } = this.#watch
    return {
      state: this.#isFollowed() ? seen.state : 'off',
      ...moveOf(seen.place),
      seenMs,
      referenceMs: views[0]?.takenMs ?? null,
      views: views.length,
    }
  }

  /** The view that regions belong to, and the picture of the last look; null before there is one. */
  get pictures(): { readonly reference: AnchorView | null; readonly present: AnchorView | null } {
    return { reference: this.#watch.views[0] ?? null, present: this.#watch.present }
  }

  #isFollowed(): boolean {
    return this.#zones.some((zone) => this.#follows(zone))
  }

  /** A region that is the whole picture has nothing to follow. */
  #follows({ anchor, shape }: ZoneDefinition): boolean {
    return shape !== null && (anchor ?? this.#isLive)
  }

  /** Regions that are new were drawn in the present picture. */
  #noteDrawn(): void {
    const fresh = this.#zones.filter((zone) => this.#drawn[regionOf(zone)] === undefined)
    if (fresh.length === 0) return
    const { place: now } = this.#watch.seen
    this.#drawn = { ...this.#drawn, ...Object.fromEntries(fresh.map((zone) => [regionOf(zone), now])) }
    this.#write(this.#watch.views)
  }

  #write(views: ReferenceViews): void {
    void this.#file.replace({ version: 1, views: views.map(keptOf), drawn: this.#drawn })
  }
}

/** The views of all cameras. */
export interface Views {
  of(camera: string): CameraView
  close(): Promise<void>
}

/** Opens the views of a node's cameras in a folder; null keeps nothing. */
export function openViews(folder: string | null, log: Pick<Logger, 'warn'>, clock: Clock): Views {
  const views = new Map<string, CameraView>()
  return {
    of(camera) {
      const known = views.get(camera)
      if (known) return known
      const path = folder === null ? null : join(folder, `view-${camera}.json`)
      const empty: Kept = { version: 1, views: [], drawn: {} }
      const made = new CameraView(openStateFile({ path, schema, empty, log }), clock)
      views.set(camera, made)
      return made
    },
    async close() {
      for (const view of views.values()) await view.close()
    },
  }
}

function placeOf({ state, place: now }: SeenView, drawn: Place | undefined): RegionPlace {
  if (state === 'moved' || state === 'checking') return state
  return drawn === undefined || drawn === now ? null : composed(now, inverted(drawn))
}

const regionOf = ({ shape }: ZoneDefinition): string => JSON.stringify(shape)

const viewOf = ({ levels, ...view }: Kept['views'][number]): ReferenceView => ({
  ...view,
  levels: Float32Array.from(Buffer.from(levels, 'base64')),
})

const keptOf = ({ levels, ...view }: ReferenceView): Kept['views'][number] => ({
  ...view,
  levels: Buffer.from(Uint8Array.from(levels)).toString('base64'),
})
