/** The boxes of a detector over the live picture, each with its label and score. */
import type { PictureHeader } from '../messages.js'
import { el } from './dom.js'
import { boxToView, type View } from './geometry.js'

export interface BoxLayer {
  readonly element: HTMLElement
  draw(boxes: PictureHeader['boxes'], view: View): void
  show(isVisible: boolean): void
}

export function createBoxLayer(): BoxLayer {
  const element = el('div', { class: 'boxes', 'aria-hidden': 'true' })
  return {
    element,
    draw(boxes, view) {
      const shapes = boxes.map((box) => {
        const { x, y, width, height } = boxToView(box, view)
        const name = el('span', {}, `${box.label} ${Math.round(100 * box.score)} %`)
        const shape = el('div', {}, name)
        const share = (value: number): string => `${100 * value}%`
        Object.assign(shape.style, { left: share(x), top: share(y), width: share(width), height: share(height) })
        return shape
      })
      element.replaceChildren(...shapes)
    },
    show: (isVisible) => element.toggleAttribute('hidden', !isVisible),
  }
}
