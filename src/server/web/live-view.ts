/** The live picture with its layers: heat map or mask, the part that the network does not see, focus box and region. */
import type { PictureHeader, Region } from '../messages.js'
import { el, setText, svg } from './dom.js'
import { boxToFrame, boxToView, tidy, type Box, type View } from './geometry.js'
import { createBoxLayer } from './box-layer.js'
import { createHeatLayer } from './heat-layer.js'
import { createMaskLayer } from './mask-layer.js'
import { allowDrawing } from './region-drawing.js'
import { text } from './text.js'
import { drawTurned } from './turned.js'

export interface LiveView {
  readonly element: HTMLElement
  /** Resolves when the picture is drawn. */
  show(header: PictureHeader, jpeg: Blob, view: View): Promise<void>
  layers(visible: { readonly heat: boolean; readonly focus: boolean }): void
  /** The configured region; null: the whole frame. */
  roi(region: Region | null): void
  /** While it is on, dragging on the picture draws a region. */
  drawing(isOn: boolean): void
  /** A message over the picture; an empty one hides it. */
  note(message: string): void
}

/**
 * `onRegion` gets a region that was drawn on the picture, in shares of the frame. `layers` lie over the picture, the last
 * one above the others.
 */
export function createLiveView(onRegion: (region: Region) => void, layers: readonly HTMLElement[]): LiveView {
  const label = text.picture.none
  const picture = el('canvas', { class: 'picture', role: 'img', 'aria-label': label, width: 640, height: 480 })
  const [heat, labels] = [createHeatLayer(), createMaskLayer()]
  const { overlay, unseen, roiBox, focusBox, draft } = createOverlay()
  const boxes = createBoxLayer()
  const note = el('p', { class: 'live-view-note', role: 'status' }, text.picture.none)
  const element = el(
    'div',
    { class: 'live-view' },
    picture,
    heat.element,
    labels.element,
    overlay,
    boxes.element,
    ...layers,
    note,
  )
  let view: View = { rotate: 0, flipX: false, flipY: false }
  let isFocusVisible = true
  const region = allowDrawing(
    overlay,
    (box) => place(draft, box),
    (box) => onRegion(tidy(boxToFrame(box, view))),
  )

  return {
    element,
    async show(header, jpeg, nextView) {
      const bitmap = await createImageBitmap(jpeg)
      view = nextView
      drawTurned(picture, bitmap, view)
      element.style.setProperty('--ratio', String(picture.width / picture.height))
      bitmap.close()
      const seen = boxToView(header.shown, view)
      unseen.setAttribute('d', `M0 0H1V1H0Z M${seen.x} ${seen.y}h${seen.width}v${seen.height}h${-seen.width}Z`)
      place(focusBox, isFocusVisible && header.focus ? boxToView(header.focus, view) : null)
      picture.setAttribute('aria-label', text.picture.of(header.camera, header.label))
      picture.dataset['seq'] = String(header.seq)
      heat.draw(header.heat, seen)
      labels.draw(header.mask, seen)
      boxes.draw(header.boxes, view)
    },
    layers(visible) {
      heat.show(visible.heat)
      labels.show(visible.heat)
      isFocusVisible = visible.focus
      if (!isFocusVisible) place(focusBox, null)
      boxes.show(visible.focus)
    },
    roi: (box) => place(roiBox, box && boxToView(box, view)),
    drawing(isOn) {
      region.enable(isOn)
      element.classList.toggle('drawing', isOn)
    },
    note(message) {
      setText(note, message)
      note.toggleAttribute('hidden', message === '')
    },
  }
}

interface Overlay {
  readonly overlay: SVGSVGElement
  /** Darkens what the network does not see. */
  readonly unseen: SVGPathElement
  readonly roiBox: SVGRectElement
  readonly focusBox: SVGRectElement
  /** The region that is being drawn. */
  readonly draft: SVGRectElement
}

/** Shapes over the picture, in shares of the view. */
function createOverlay(): Overlay {
  const unseen = svg('path', { class: 'unseen', 'fill-rule': 'evenodd' })
  const roiBox = svg('rect', { class: 'roi', hidden: true })
  const focusBox = svg('rect', { class: 'focus', rx: 0.008, hidden: true })
  const draft = svg('rect', { class: 'draft', hidden: true })
  const attributes = { class: 'overlay', viewBox: '0 0 1 1', preserveAspectRatio: 'none', 'aria-hidden': 'true' }
  return { overlay: svg('svg', attributes, unseen, roiBox, focusBox, draft), unseen, roiBox, focusBox, draft }
}

/** Moves a rectangle to a box; null hides it. */
function place(rect: SVGRectElement, box: Box | null): void {
  rect.toggleAttribute('hidden', box === null)
  if (box) for (const name of ['x', 'y', 'width', 'height'] as const) rect.setAttribute(name, String(box[name]))
}
