/** The heat map over the picture. The browser scales a canvas with one pixel for each place of the map. */
import { viridis } from '../../heat/viridis.js'
import type { PictureHeader } from '../messages.js'
import { el } from './dom.js'
import type { Box } from './geometry.js'

type Heat = PictureHeader['heat']

export interface HeatLayer {
  readonly element: HTMLElement
  /** Draws the map of one picture. `seen` is the part of the view that the network saw. Null hides the layer. */
  draw(heat: Heat, seen: Box): void
  show(isVisible: boolean): void
}

/** Opacity at the coldest place, and what the hottest adds to it. */
const [leastOpacity, addedOpacity] = [0.15, 0.45]

export function createHeatLayer(): HeatLayer {
  const canvas = el('canvas', { class: 'heat', 'aria-hidden': 'true', hidden: true })
  let isVisible = true
  let hasHeat = false
  return {
    element: canvas,
    draw(heat, seen) {
      hasHeat = heat !== null
      canvas.toggleAttribute('hidden', !hasHeat || !isVisible)
      if (!heat || !isVisible) return
      Object.assign(canvas.style, positionOf(heat.inside, seen))
      paint(canvas, heat)
    },
    show(next) {
      isVisible = next
      canvas.toggleAttribute('hidden', !hasHeat || !isVisible)
    },
  }
}

/** The map covers the whole input of the network with its letterbox; `inside` is the part of the map over `seen`. */
function positionOf(inside: Box, seen: Box): Readonly<Record<'left' | 'top' | 'width' | 'height', string>> {
  const percent = (share: number): string => `${share * 100}%`
  const [width, height] = [seen.width / inside.width, seen.height / inside.height]
  return {
    left: percent(seen.x - inside.x * width),
    top: percent(seen.y - inside.y * height),
    width: percent(width),
    height: percent(height),
  }
}

function paint(canvas: HTMLCanvasElement, { width, height, values }: NonNullable<Heat>): void {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height]
  const context = canvas.getContext('2d')!
  const image = context.createImageData(width, height)
  const bytes = atob(values)
  for (let i = 0; i < bytes.length; i++) {
    const heat = bytes.charCodeAt(i) / 255
    image.data.set([...viridis(heat), 255 * (leastOpacity + addedOpacity * heat)], i * 4)
  }
  context.putImageData(image, 0, 0)
}
