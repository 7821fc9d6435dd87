/**
 * Draws the region of a new zone over the picture: a rectangle by dragging, a polygon by a press for each corner. Pressing
 * the first corner again, a double press, or Enter closes the polygon; Backspace takes the last corner back.
 */
import type { Shape } from '../../../pixels/shape.js'
import { el, svg } from '../dom.js'
import { boxOf, tidy, type Point } from '../geometry.js'
import { pointOf } from '../region-drawing.js'
import { faultOf, rounded } from './outline.js'

export type PenKind = 'rectangle' | 'polygon'

export interface PenEvents {
  /** Corners that are set so far; their number changes what can be done next. */
  onCorners(count: number): void
  onShape(shape: Shape): void
  /** The shape that was drawn cannot be a region; drawing goes on. */
  onFault(fault: string): void
}

export interface Pen {
  readonly element: HTMLElement
  /** Starts to draw; null stops. */
  use(kind: PenKind | null): void
  /** Closes the polygon. */
  close(): void
  /** Takes the last corner back. */
  back(): void
}

/** A press that is nearer to the first corner closes the polygon; CSS pixels. */
const closingPx = 16
/** A smaller drag is a press by mistake; in shares. */
const leastSide = 0.02

/** Regions for those who do not draw: in the middle of the picture, to be moved by its handles. */
export const middleShapes: Readonly<Record<PenKind, Shape>> = {
  rectangle: { x: 0.35, y: 0.35, width: 0.3, height: 0.3 },
  polygon: [
    [0.35, 0.35],
    [0.65, 0.35],
    [0.65, 0.65],
    [0.35, 0.65],
  ],
}

export function createPen(events: PenEvents): Pen {
  return new Drawing(events)
}

class Drawing implements Pen {
  readonly element: HTMLElement
  readonly #events: PenEvents
  readonly #line = svg('polygon', { class: 'pen-line' })
  readonly #first = el('span', { class: 'pen-first', hidden: true })
  readonly #surface: SVGSVGElement
  #kind: PenKind | null = null
  #corners: readonly Point[] = []
  #start: Point | null = null

  constructor(events: PenEvents) {
    this.#events = events
    const attributes = { class: 'pen-surface', viewBox: '0 0 1 1', preserveAspectRatio: 'none' }
    this.#surface = svg('svg', attributes, this.#line)
    this.element = el('div', { class: 'zone-layer', hidden: true }, this.#surface, this.#first)
    this.#listen()
  }

  use(kind: PenKind | null): void {
    this.#kind = kind
    this.element.toggleAttribute('hidden', kind === null)
    this.#start = null
    this.#set([])
  }

  close(): void {
    if (this.#corners.length >= 3) this.#finish(this.#corners)
  }

  back(): void {
    this.#set(this.#corners.slice(0, -1))
  }

  #listen(): void {
    const surface = this.#surface
    surface.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return
      event.preventDefault()
      surface.setPointerCapture(event.pointerId)
      this.#start = pointOf(surface, event)
      // Enter closes the polygon and does not press the button that began it.
      if (document.activeElement instanceof HTMLElement) document.activeElement.blur()
    })
    surface.addEventListener('pointermove', (event) => {
      const at = pointOf(surface, event)
      if (this.#kind === 'polygon' && this.#corners.length > 0) this.#draw([...this.#corners, at])
      else if (this.#kind === 'rectangle' && this.#start) this.#draw(cornersOfBox(this.#start, at))
    })
    surface.addEventListener('pointerup', (event) => {
      if (this.#start) this.#release(this.#start, pointOf(surface, event))
      this.#start = null
    })
    surface.addEventListener('pointercancel', () => {
      this.#start = null
      this.#draw(this.#corners)
    })
    surface.addEventListener('dblclick', () => this.close())
  }

  #release(from: Point, to: Point): void {
    if (this.#kind === 'polygon') return this.#press(to)
    this.#draw([])
    const box = boxOf(from, to)
    if (box.width > leastSide && box.height > leastSide) this.#finish(tidy(box))
  }

  #press(at: Point): void {
    if (this.#corners.length >= 3 && this.#isNear(this.#corners[0], at)) return this.#finish(this.#corners)
    // The second press of a double press is no corner.
    if (!this.#isNear(this.#corners.at(-1), at)) this.#set([...this.#corners, at])
  }

  #isNear(corner: Point | undefined, at: Point): boolean {
    const { width, height } = this.#surface.getBoundingClientRect()
    return corner !== undefined && Math.hypot((corner[0] - at[0]) * width, (corner[1] - at[1]) * height) < closingPx
  }

  #set(corners: readonly Point[]): void {
    this.#corners = corners
    this.#draw(corners)
    this.#events.onCorners(corners.length)
  }

  #draw(points: readonly Point[]): void {
    this.#line.setAttribute('points', points.map(([x, y]) => `${x},${y}`).join(' '))
    const [first] = this.#corners
    this.#first.toggleAttribute('hidden', !first)
    if (first) Object.assign(this.#first.style, { left: `${first[0] * 100}%`, top: `${first[1] * 100}%` })
  }

  #finish(shape: Shape): void {
    const fault = faultOf(shape)
    if (fault === null) this.#events.onShape(rounded(shape))
    else this.#events.onFault(fault)
  }
}

const cornersOfBox = ([x0, y0]: Point, [x1, y1]: Point): readonly Point[] => [
  [x0, y0],
  [x1, y0],
  [x1, y1],
  [x0, y1],
]
