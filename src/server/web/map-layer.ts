/** A map of the network's input over the picture. The browser scales a canvas with one pixel for each place of the map. */
import { el } from './dom.js'
import type { Box } from './geometry.js'

/** One byte for each place, row by row in base64, and the part of the map that lies over what the network saw. */
export interface PlaceMap {
  readonly width: number
  readonly height: number
  readonly values: string
  readonly inside: Box
}

export interface MapLayer {
  readonly element: HTMLElement
  /** Draws the map of one picture. `seen` is the part of the view that the network saw. Null hides the layer. */
  draw(map: PlaceMap | null, seen: Box): void
  show(isVisible: boolean): void
}

/** `colourOf` gives red, green, blue and opacity of a byte, 0 to 255 each. `name` is the class of its element. */
export function createMapLayer(
  name: string,
  colourOf: (byte: number) => readonly [number, number, number, number],
): MapLayer {
  const canvas = el('canvas', { class: name, 'aria-hidden': 'true', hidden: true })
  let isVisible = true
  let hasMap = false
  return {
    element: canvas,
    draw(map, seen) {
      hasMap = map !== null
      canvas.toggleAttribute('hidden', !hasMap || !isVisible)
      if (!map || !isVisible) return
      Object.assign(canvas.style, positionOf(map.inside, seen))
      paint(canvas, map, colourOf)
    },
    show(next) {
      isVisible = next
      canvas.toggleAttribute('hidden', !hasMap || !isVisible)
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

function paint(
  canvas: HTMLCanvasElement,
  { width, height, values }: PlaceMap,
  colourOf: Parameters<typeof createMapLayer>[1],
): void {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height]
  const context = canvas.getContext('2d')!
  const image = context.createImageData(width, height)
  const bytes = atob(values)
  for (let i = 0; i < bytes.length; i++) image.data.set(colourOf(bytes.charCodeAt(i)), i * 4)
  context.putImageData(image, 0, 0)
}
