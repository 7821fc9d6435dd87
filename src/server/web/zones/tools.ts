/** The buttons below the picture that draw a zone, and what must be decided there. */
import type { Shape } from '../../../pixels/shape.js'
import type { CameraState } from '../../messages.js'
import { el, setText } from '../dom.js'
import { text } from '../text.js'
import { saidBy } from './layer.js'
import { middleShapes, type Pen, type PenKind } from './pen.js'

export interface ZoneTools {
  readonly element: HTMLElement
  readonly isDrawing: boolean
  /** Stops drawing. */
  stop(): void
  /** How many corners of a polygon are set. */
  corners(count: number): void
  /** What is wrong with the region; empty for nothing. */
  fault(sentence: string): void
  /** A zone was changed elsewhere while it was dragged here; null: decided. */
  conflict(open: { readonly name: string; readonly onMine: () => void } | null): void
  /** The camera asks about the whole picture too; null: it does not. */
  own(camera: CameraState | null): void
}

interface ZoneToolActions {
  readonly pen: Pen
  /** Drawing has begun or ended. */
  onUse(): void
  /** The user wants a region in the middle instead of drawing one. */
  onMiddle(shape: Shape): void
  onOwnRemove(): void
}

export function createZoneTools({ pen, onUse, onMiddle, onOwnRemove }: ZoneToolActions): ZoneTools {
  let kind: PenKind | null = null
  const words = text.zones.tools
  const button = (label: string, onClick: () => void, name = ''): HTMLButtonElement => {
    const made = el('button', { type: 'button', class: name }, label)
    made.addEventListener('click', onClick)
    return made
  }
  const rectangle = button(words.rectangle, () => use('rectangle'), 'primary')
  const polygon = button(words.polygon, () => use('polygon'))
  const middle = button(words.middle, () => {
    if (kind) onMiddle(middleShapes[kind])
  })
  const [back, close] = [button(words.back, () => pen.back()), button(words.close, () => pen.close(), 'primary')]
  const cancel = button(words.cancel, () => use(null), 'quiet')
  const idle = el('div', { class: 'zone-tools' }, rectangle, polygon)
  const drawing = el('div', { class: 'zone-tools', hidden: true }, middle, back, close, cancel)
  const hint = el('p', { class: 'note', role: 'status' }, words.hint)
  const fault = el('p', { class: 'fault', role: 'alert', hidden: true })
  const conflict = createConflict()
  const own = createOwn(onOwnRemove)

  function use(next: PenKind | null): void {
    const last = kind
    kind = next
    pen.use(next)
    idle.toggleAttribute('hidden', next !== null)
    drawing.toggleAttribute('hidden', next === null)
    for (const element of [back, close]) element.toggleAttribute('hidden', next !== 'polygon')
    setText(hint, next === null ? words.hint : words.hints[next])
    setText(fault, '')
    fault.hidden = true
    onUse()
    if (next) middle.focus({ preventScroll: true })
    else if (last) (last === 'rectangle' ? rectangle : polygon).focus({ preventScroll: true })
  }

  return {
    element: el(
      'div',
      { role: 'toolbar', class: 'zone-toolbar', 'aria-label': words.label },
      idle,
      drawing,
      hint,
      fault,
      conflict.element,
      own.element,
    ),
    get isDrawing() {
      return kind !== null
    },
    stop() {
      if (kind) use(null)
    },
    corners(count) {
      back.disabled = count === 0
      close.disabled = count < 3
    },
    fault(sentence) {
      setText(fault, sentence)
      fault.toggleAttribute('hidden', sentence === '')
    },
    conflict: conflict.show,
    own: own.show,
  }
}

function createConflict(): { element: HTMLElement; show: ZoneTools['conflict'] } {
  const sentence = el('p', {})
  const mine = el('button', { type: 'button' }, text.zones.keepMine)
  const theirs = el('button', { type: 'button', class: 'quiet' }, text.zones.takeTheirs)
  const element = el(
    'div',
    { class: 'told', role: 'alert', hidden: true },
    sentence,
    el('div', { class: 'row' }, theirs, mine),
  )
  let keep: (() => void) | null = null
  const show: ZoneTools['conflict'] = (open) => {
    keep = open?.onMine ?? null
    element.toggleAttribute('hidden', open === null)
    setText(sentence, open ? text.zones.conflict(open.name) : '')
  }
  mine.addEventListener('click', () => {
    keep?.()
    show(null)
  })
  theirs.addEventListener('click', () => show(null))
  return { element, show }
}

/** Says that the camera still has its question about the whole picture, and offers to remove it. */
function createOwn(onRemove: () => void): { element: HTMLElement; show: ZoneTools['own'] } {
  const said = el('span', {})
  const remove = el('button', { type: 'button', class: 'quiet' }, text.zones.ownRemove)
  remove.addEventListener('click', onRemove)
  const element = el('div', { class: 'zone-own', hidden: true }, said, remove)
  return {
    element,
    show(camera) {
      element.toggleAttribute('hidden', camera === null)
      if (camera) setText(said, text.zones.own(saidBy(camera)))
    },
  }
}
