/**
 * The handles of the selected zone. A drag, or the arrow keys on a handle, moves the zone or one corner; Shift makes larger
 * steps, Escape takes the change back, Delete removes a corner or the zone.
 */
import { boundsOf, cornersOf, isPolygon, type Shape } from '../../../pixels/shape.js'
import { el, svg } from '../dom.js'
import type { Point } from '../geometry.js'
import { text } from '../text.js'
import { middleAfter, moved, pointsOf, withCorner, withCornerAfter, withoutCorner } from './outline.js'

export interface HandleEvents {
  /** The region while it changes; null when the change was taken back. */
  onDraft(shape: Shape | null): void
  /** The change is finished. */
  onDone(shape: Shape): void
  onRemove(): void
}

export interface Handles {
  readonly element: HTMLElement
  /** Places the handles on a zone; null hides them. Ignored while one of them is dragged. */
  show(zone: { readonly id: string; readonly name: string; readonly shape: Shape } | null): void
}

/** How a handle changes the shape that it began with when it is moved by these shares. */
type Change = (shape: Shape, dx: number, dy: number) => Shape

const steps: Readonly<Record<string, Point>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
}
const [smallStep, largeStep] = [0.005, 0.05]
/** A change by keys is finished when no key comes for this long: one write for many steps. */
const keyPauseMs = 500

export function createHandles(events: HandleEvents): Handles {
  const grip = svg('polygon', { class: 'zone-grip' })
  const gripLayer = svg('svg', { class: 'zone-shapes', viewBox: '0 0 1 1', preserveAspectRatio: 'none' }, grip)
  gripLayer.setAttribute('aria-hidden', 'true')
  const buttons = el('div', { class: 'zone-handles', role: 'group' })
  const element = el('div', { class: 'zone-layer', hidden: true }, gripLayer, buttons)
  const edit = new Edit(element, events, (shape) => place(shape))
  let shown = ''

  edit.allow(grip, moved)

  /** Moves the handles that exist. A focused handle keeps the focus. */
  function place(shape: Shape): void {
    grip.setAttribute('points', pointsOf(shape))
    const { x, y, width, height } = boundsOf(shape)
    const corners = cornersOf(shape)
    for (const button of buttons.children) {
      const { index = '', kind } = (button as HTMLElement).dataset
      const i = Number(index)
      // A corner that was removed has its handle until they are made anew.
      if (i >= corners.length) continue
      const [left, top] =
        kind === 'move' ? [x + width / 2, y + height / 2] : kind === 'add' ? middleAfter(corners, i) : corners[i]!
      const { style } = button as HTMLElement
      style.left = `${left * 100}%`
      style.top = `${top * 100}%`
    }
  }

  /** Makes the handles anew: another zone, or another number of corners. */
  function build(name: string, shape: Shape): void {
    const focused = document.activeElement as HTMLElement | null
    const again = buttons.contains(focused) ? { ...focused!.dataset } : null
    buttons.setAttribute('aria-label', text.zones.handles(name))
    buttons.replaceChildren(
      ...cornersOf(shape).map((_, i) => cornerHandle(edit, shape, i)),
      ...(isPolygon(shape) ? shape.map((_, i) => addHandle(edit, i)) : []),
      moveHandle(edit, name, events),
    )
    if (again) find(buttons, again)?.focus({ preventScroll: true })
  }

  return {
    element,
    show(zone) {
      element.toggleAttribute('hidden', zone === null)
      if (!zone) {
        shown = ''
        return edit.stop()
      }
      if (edit.isDragging) return
      const shape = edit.begin(zone.id, zone.shape)
      const next = `${zone.id} ${zone.name} ${isPolygon(shape)} ${cornersOf(shape).length}`
      if (next !== shown) build(zone.name, shape)
      shown = next
      place(shape)
    },
  }
}

const find = (buttons: HTMLElement, { kind, index }: DOMStringMap): HTMLElement | null =>
  buttons.querySelector(`[data-kind="${kind}"][data-index="${index}"]`) ?? buttons.querySelector('[data-kind="move"]')

function handle(kind: 'corner' | 'add' | 'move', index: number, label: string): HTMLButtonElement {
  const attributes = { type: 'button', class: `handle ${kind}`, 'data-kind': kind, 'data-index': index }
  return el('button', { ...attributes, 'aria-label': label, title: label })
}

function cornerHandle(edit: Edit, shape: Shape, index: number): HTMLElement {
  const isFree = isPolygon(shape)
  const button = handle('corner', index, text.zones.corner(index + 1, isFree))
  edit.allow(button, (before, dx, dy) => {
    const [x, y] = cornersOf(before)[index]!
    return withCorner(before, index, [x + dx, y + dy])
  })
  button.addEventListener('keydown', ({ key }) => {
    if (isFree && (key === 'Delete' || key === 'Backspace'))
      edit.finish((before) => (isPolygon(before) ? withoutCorner(before, index) : before))
  })
  return button
}

/** A click adds a corner in the middle of an edge; a drag also moves it. */
function addHandle(edit: Edit, index: number): HTMLElement {
  const button = handle('add', index, text.zones.addCorner(index + 1))
  const added = (before: Shape): Shape => (isPolygon(before) ? withCornerAfter(before, index) : before)
  edit.allow(button, (before, dx, dy) => {
    const next = added(before)
    const [x, y] = cornersOf(next)[index + 1]!
    return withCorner(next, index + 1, [x + dx, y + dy])
  })
  button.addEventListener('click', ({ detail }) => {
    // By keyboard; a press has added the corner already.
    if (detail === 0) edit.finish(added)
  })
  return button
}

function moveHandle(edit: Edit, name: string, { onRemove }: HandleEvents): HTMLElement {
  const button = handle('move', 0, text.zones.move(name))
  edit.allow(button, moved)
  button.addEventListener('keydown', ({ key }) => {
    if (key === 'Delete') onRemove()
  })
  return button
}

/** The change of one shape that is under way, by pointer or by keys. */
class Edit {
  readonly #surface: HTMLElement
  readonly #events: HandleEvents
  readonly #place: (shape: Shape) => void
  #zone = ''
  /** The shape as it is stored. */
  #base: Shape = []
  /** The shape as it is shown while it differs. */
  #draft: Shape | null = null
  #isDragging = false
  #timer = 0

  constructor(surface: HTMLElement, events: HandleEvents, place: (shape: Shape) => void) {
    this.#surface = surface
    this.#events = events
    this.#place = place
  }

  get isDragging(): boolean {
    return this.#isDragging
  }

  /** The shape of the zone that is shown from now on; gives the shape to draw. */
  begin(zone: string, shape: Shape): Shape {
    if (zone !== this.#zone) this.stop()
    this.#zone = zone
    if (this.#draft === null) this.#base = shape
    return this.#draft ?? shape
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#draft = null
    this.#drags(false)
    this.#zone = ''
  }

  /** Finishes a change that needs no drag. */
  finish(change: (shape: Shape) => Shape): void {
    this.#show(change(this.#draft ?? this.#base))
    this.#done()
  }

  /** Lets an element make a change, by drag and by arrow keys. */
  allow(element: HTMLElement | SVGElement, change: Change): void {
    this.#allowDrag(element, change)
    element.addEventListener('keydown', (event) => {
      const { key, shiftKey } = event as KeyboardEvent
      const step = steps[key]
      if (step) {
        event.preventDefault()
        const by = shiftKey ? largeStep : smallStep
        this.#show(change(this.#draft ?? this.#base, step[0] * by, step[1] * by))
        clearTimeout(this.#timer)
        this.#timer = window.setTimeout(() => this.#done(), keyPauseMs)
      } else if (key === 'Enter' && this.#draft) {
        event.preventDefault()
        this.#done()
      } else if (key === 'Escape' && this.#draft) {
        event.stopPropagation()
        this.#revert()
      }
    })
  }

  #allowDrag(element: HTMLElement | SVGElement, change: Change): void {
    let start: Point | null = null
    let before: Shape = []
    element.addEventListener('pointerdown', (event) => {
      const { clientX, clientY, pointerId, button } = event as PointerEvent
      if (button !== 0 || this.#isDragging) return
      element.setPointerCapture(pointerId)
      start = [clientX, clientY]
      before = this.#draft ?? this.#base
      this.#drags(true)
    })
    element.addEventListener('pointermove', (event) => {
      if (!start) return
      const { clientX, clientY } = event as PointerEvent
      const { width, height } = this.#surface.getBoundingClientRect()
      this.#show(change(before, (clientX - start[0]) / width, (clientY - start[1]) / height))
    })
    const end = (isKept: boolean): void => {
      if (!start) return
      start = null
      this.#drags(false)
      if (!isKept) return this.#revert()
      // A press without a drag adds a corner where the handle does, and changes nothing else.
      const pressed = change(before, 0, 0)
      if (!this.#draft && cornersOf(pressed).length !== cornersOf(before).length) this.#show(pressed)
      this.#done()
    }
    element.addEventListener('pointerup', () => end(true))
    element.addEventListener('pointercancel', () => end(false))
  }

  /** While a handle is dragged, the others are hidden. */
  #drags(isOn: boolean): void {
    this.#isDragging = isOn
    this.#surface.classList.toggle('is-dragging', isOn)
  }

  #show(shape: Shape): void {
    if (JSON.stringify(shape) === JSON.stringify(this.#draft ?? this.#base)) return
    this.#draft = shape
    this.#place(shape)
    this.#events.onDraft(shape)
  }

  #revert(): void {
    clearTimeout(this.#timer)
    this.#draft = null
    this.#place(this.#base)
    this.#events.onDraft(null)
  }

  #done(): void {
    clearTimeout(this.#timer)
    const shape = this.#draft
    this.#draft = null
    if (!shape) return
    this.#base = shape
    this.#events.onDone(shape)
  }
}
