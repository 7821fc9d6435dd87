/** Drawing a region by dragging with mouse, pen or finger. */
import { boxOf, type Box, type Point } from './geometry.js'

export interface RegionDrawing {
  enable(isOn: boolean): void
}

/** A smaller box is a tap or a click, not a region; in shares of the view. */
const leastSide = 0.02

/**
 * Lets the user draw boxes on `surface` while enabled. `onDraft` gets the box during the drag and null at its end;
 * `onBox` gets the finished box. Both are in shares of the surface.
 */
export function allowDrawing(
  surface: SVGSVGElement,
  onDraft: (box: Box | null) => void,
  onBox: (box: Box) => void,
): RegionDrawing {
  let isEnabled = false
  let start: Point | null = null

  surface.addEventListener('pointerdown', (event) => {
    if (!isEnabled) return
    event.preventDefault()
    surface.setPointerCapture(event.pointerId)
    start = pointOf(surface, event)
  })
  surface.addEventListener('pointermove', (event) => {
    if (start) onDraft(boxOf(start, pointOf(surface, event)))
  })
  surface.addEventListener('pointerup', (event) => {
    if (!start) return
    const box = boxOf(start, pointOf(surface, event))
    start = null
    onDraft(null)
    if (box.width > leastSide && box.height > leastSide) onBox(box)
  })
  surface.addEventListener('pointercancel', () => {
    start = null
    onDraft(null)
  })
  return {
    enable(isOn) {
      isEnabled = isOn
    },
  }
}

/** The place of a pointer on a surface, in shares of it. */
export function pointOf(surface: SVGSVGElement, { clientX, clientY }: PointerEvent): Point {
  const { left, top, width, height } = surface.getBoundingClientRect()
  const clamped = (share: number): number => Math.min(1, Math.max(0, share))
  return [clamped((clientX - left) / width), clamped((clientY - top) / height)]
}
