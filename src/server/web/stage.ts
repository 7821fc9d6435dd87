/** The picture and what lies over it: heat, what the network does not see, the focus box, the region. */
import type { PictureHeader, Region } from '../messages.js'
import { el, say, svg } from './dom.js'
import { boxOf, boxToFrame, boxToView, tidy, type Box, type View } from './geometry.js'
import { text } from './text.js'

export interface Stage {
  readonly element: HTMLElement
  show(header: PictureHeader, jpeg: Blob, view: View): Promise<void>
  layers(visible: { readonly heat: boolean; readonly focus: boolean }): void
  /** The region that is set; null: the whole frame. */
  roi(region: Region | null): void
  /** While a region is being drawn, dragging makes one. */
  drawing(isOn: boolean): void
  note(message: string): void
}

/** Viridis (S. van der Walt and N. Smith, 2015) at nine places; between them it is straight enough for the eye. */
const viridis = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
] as const

function colorOf(heat: number): readonly [number, number, number] {
  const place = Math.min(heat, 0.9999) * (viridis.length - 1)
  const [low, high, share] = [viridis[Math.floor(place)]!, viridis[Math.floor(place) + 1]!, place % 1]
  return [0, 1, 2].map((c) => low[c]! + (high[c]! - low[c]!) * share) as [number, number, number]
}

export function createStage(onRegion: (region: Region) => void): Stage {
  const picture = el('canvas', {
    class: 'picture',
    role: 'img',
    'aria-label': text.picture.none,
    width: 640,
    height: 480,
  })
  const heat = el('canvas', { class: 'heat', 'aria-hidden': 'true', hidden: true })
  const mask = svg('path', { class: 'unseen', 'fill-rule': 'evenodd' })
  const roiBox = svg('rect', { class: 'roi', hidden: true })
  const focusBox = svg('rect', { class: 'focus', rx: 0.008, hidden: true })
  const draft = svg('rect', { class: 'draft', hidden: true })
  const overlay = svg(
    'svg',
    { class: 'overlay', viewBox: '0 0 1 1', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    mask,
    roiBox,
    focusBox,
    draft,
  )
  const note = el('p', { class: 'stage-note', role: 'status' }, text.picture.none)
  const element = el('div', { class: 'stage' }, picture, heat, overlay, note)
  let view: View = { rotate: 0, flipX: false, flipY: false }
  let shown: Box = { x: 0, y: 0, width: 1, height: 1 }
  let visible = { heat: true, focus: true }
  let hasHeat = false
  let isDrawing = false
  let from: readonly [number, number] | null = null

  function place(rect: SVGRectElement, box: Box | null): void {
    rect.toggleAttribute('hidden', box === null)
    if (box) for (const name of ['x', 'y', 'width', 'height'] as const) rect.setAttribute(name, String(box[name]))
  }

  function draw(bitmap: ImageBitmap): void {
    const isTurned = view.rotate % 180 !== 0
    const [width, height] = isTurned ? [bitmap.height, bitmap.width] : [bitmap.width, bitmap.height]
    if (picture.width !== width || picture.height !== height) [picture.width, picture.height] = [width, height]
    element.style.setProperty('--ratio', String(width / height))
    const context = picture.getContext('2d')!
    context.setTransform(
      view.flipX ? -1 : 1,
      0,
      0,
      view.flipY ? -1 : 1,
      view.flipX ? width : 0,
      view.flipY ? height : 0,
    )
    context.translate(width / 2, height / 2)
    context.rotate((view.rotate * Math.PI) / 180)
    context.drawImage(bitmap, -bitmap.width / 2, -bitmap.height / 2)
  }

  /** The map lies over the whole input of the network, letterbox and all; what is outside the picture is cut off. */
  function drawHeat(map: PictureHeader['heat']): void {
    hasHeat = map !== null
    heat.toggleAttribute('hidden', !hasHeat || !visible.heat)
    if (!map || !visible.heat) return
    const { inside } = map
    const [width, height] = [shown.width / inside.width, shown.height / inside.height]
    const [left, top] = [shown.x - inside.x * width, shown.y - inside.y * height]
    Object.assign(heat.style, {
      left: `${left * 100}%`,
      top: `${top * 100}%`,
      width: `${width * 100}%`,
      height: `${height * 100}%`,
    })
    if (heat.width !== map.width || heat.height !== map.height) [heat.width, heat.height] = [map.width, map.height]
    const context = heat.getContext('2d')!
    const image = context.createImageData(map.width, map.height)
    const values = atob(map.values)
    for (let i = 0; i < values.length; i++) {
      const value = values.charCodeAt(i) / 255
      image.data.set([...colorOf(value), 255 * (0.15 + 0.45 * value)], i * 4)
    }
    context.putImageData(image, 0, 0)
  }

  const pointOf = (event: PointerEvent): readonly [number, number] => {
    const box = overlay.getBoundingClientRect()
    const share = (value: number): number => Math.min(1, Math.max(0, value))
    return [share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height)]
  }
  overlay.addEventListener('pointerdown', (event) => {
    if (!isDrawing) return
    event.preventDefault()
    overlay.setPointerCapture(event.pointerId)
    from = pointOf(event)
  })
  overlay.addEventListener('pointermove', (event) => {
    if (from) place(draft, boxOf(from, pointOf(event)))
  })
  overlay.addEventListener('pointerup', (event) => {
    if (!from) return
    const box = boxOf(from, pointOf(event))
    from = null
    place(draft, null)
    // A tap is no region.
    if (box.width > 0.02 && box.height > 0.02) onRegion(tidy(boxToFrame(box, view)))
  })
  overlay.addEventListener('pointercancel', () => {
    from = null
    place(draft, null)
  })

  return {
    element,
    async show(header, jpeg, nextView) {
      const bitmap = await createImageBitmap(jpeg)
      view = nextView
      draw(bitmap)
      bitmap.close()
      shown = boxToView(header.shown, view)
      const { x, y, width, height } = shown
      mask.setAttribute('d', `M0 0H1V1H0Z M${x} ${y}h${width}v${height}h${-width}Z`)
      place(focusBox, visible.focus && header.focus ? boxToView(header.focus, view) : null)
      picture.setAttribute('aria-label', text.picture.of(header.camera, header.label))
      picture.dataset['seq'] = String(header.seq)
      drawHeat(header.heat)
    },
    layers(next) {
      visible = next
      heat.toggleAttribute('hidden', !hasHeat || !visible.heat)
      if (!visible.focus) place(focusBox, null)
    },
    roi: (region) => place(roiBox, region && boxToView(region, view)),
    drawing(isOn) {
      isDrawing = isOn
      element.classList.toggle('drawing', isOn)
    },
    note(message) {
      say(note, message)
      note.toggleAttribute('hidden', message === '')
    },
  }
}
