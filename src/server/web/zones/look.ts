/** What a zone sees: its part of the picture, with the heat map of its label. */
import { boundsOf } from '../../../pixels/shape.js'
import type { CameraState, ZoneState } from '../../messages.js'
import { request } from '../api.js'
import { decodePicture } from '../connection.js'
import { el, setText, svg } from '../dom.js'
import { boxToView } from '../geometry.js'
import { createHeatLayer } from '../heat-layer.js'
import { createMaskLayer } from '../mask-layer.js'
import { text } from '../text.js'
import { clockTime } from '../time.js'
import { drawTurned } from '../turned.js'
import { shapeOfZone } from './layer.js'
import { pointsOf } from './outline.js'

export interface ZoneLook {
  readonly element: HTMLElement
  /** Shows this zone. Its picture is taken again when its label changes, and all the time where it looks at every frame. */
  update(camera: CameraState, zone: ZoneState): void
}

/** Looks by themselves come at most this often: each one costs an inference. */
const leastMsBetween = 2000

export function createZoneLook(onFault: (error: unknown) => void): ZoneLook {
  const canvas = el('canvas', { role: 'img', 'aria-label': text.zones.sees, width: 4, height: 3 })
  const [heat, mask] = [createHeatLayer(), createMaskLayer()]
  const outline = svg('polygon', { class: 'look-outline' })
  const over = svg('svg', { class: 'zone-shapes', viewBox: '0 0 1 1', preserveAspectRatio: 'none' }, outline)
  over.setAttribute('aria-hidden', 'true')
  const whole = el('div', { class: 'look-whole' }, canvas, heat.element, mask.element, over)
  const frame = el('div', { class: 'look' }, whole)
  const when = el('span', { class: 'note' })
  const again = el('button', { type: 'button' }, text.zones.lookNow)
  const element = el('div', { class: 'zone-look' }, frame, el('div', { class: 'look-foot' }, when, again))
  let shown: readonly [camera: CameraState, zone: ZoneState] | null = null
  let shownFor = ''
  let lastMs = -Infinity
  let isLooking = false

  async function look(): Promise<void> {
    if (!shown || isLooking) return
    const [{ id, view }, zone] = shown
    isLooking = true
    lastMs = performance.now()
    try {
      const answer = await request('GET', `/api/cameras/${id}/zones/${zone.id}/look`)
      const { header, jpeg } = decodePicture(await answer.arrayBuffer())
      if (shown?.[1].key !== zone.key) return
      const bitmap = await createImageBitmap(jpeg)
      drawTurned(canvas, bitmap, view)
      bitmap.close()
      const seen = boxToView(header.shown, view)
      heat.draw(header.heat, seen)
      mask.draw(header.mask, seen)
      cutOut(zone, { frame, whole, canvas })
      outline.setAttribute('points', pointsOf(shapeOfZone(zone)))
      canvas.setAttribute('aria-label', text.zones.lookOf(zone.name, header.label))
      setText(when, text.zones.lookedAt(clockTime(header.atMs)))
      frame.classList.add('is-drawn')
    } finally {
      isLooking = false
    }
  }

  again.addEventListener('click', () => void look().catch(onFault))

  return {
    element,
    update(camera, zone) {
      shown = [camera, zone]
      const wanted = `${zone.key} ${zone.revision} ${zone.label}`
      const isAway = !zone.isEnabled || zone.reason === 'unavailable' || !camera.isEnabled
      again.toggleAttribute('disabled', isAway)
      const isWanted = wanted !== shownFor || (zone.values['trigger'] ?? 'always') === 'always'
      if (isAway || !isWanted || document.hidden || performance.now() - lastMs < leastMsBetween) return
      if (!shownFor.startsWith(`${zone.key} `)) frame.classList.remove('is-drawn')
      shownFor = wanted
      // A picture that was not asked for may fail, such as while the camera is lost; the zone itself says why.
      void look().catch(() => undefined)
    },
  }
}

/** Shows the region alone: the whole picture is enlarged under a frame of the region's form. */
function cutOut(
  zone: ZoneState,
  {
    frame,
    whole,
    canvas,
  }: { readonly frame: HTMLElement; readonly whole: HTMLElement; readonly canvas: HTMLCanvasElement },
): void {
  const { x, y, width, height } = boundsOf(shapeOfZone(zone))
  frame.style.setProperty('--look-ratio', String((canvas.width * width) / (canvas.height * height)))
  const percent = (share: number): string => `${share * 100}%`
  Object.assign(whole.style, {
    width: percent(1 / width),
    height: percent(1 / height),
    left: percent(-x / width),
    top: percent(-y / height),
  })
}
