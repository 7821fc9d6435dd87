/** Keys of the zones: Escape stops drawing or deselects, Enter closes a polygon, Backspace takes a corner back. */
import type { Pen } from './pen.js'
import type { ZoneTools } from './tools.js'

interface KeyTargets {
  /** Without it the keys do nothing. */
  readonly isShown: () => boolean
  readonly pen: Pick<Pen, 'close' | 'back'>
  readonly tools: Pick<ZoneTools, 'isDrawing' | 'stop'>
  readonly deselect: () => void
}

export function listenToKeys({ isShown, pen, tools, deselect }: KeyTargets): void {
  document.addEventListener('keydown', (event) => {
    const target = event.target as Element
    if (!isShown() || event.defaultPrevented || target.closest('input, select, textarea, dialog')) return
    if (event.key === 'Escape') {
      if (tools.isDrawing) tools.stop()
      else deselect()
    } else if (!tools.isDrawing || target.closest('button, a')) return
    else if (event.key === 'Enter') pen.close()
    else if (event.key === 'Backspace') pen.back()
  })
}
