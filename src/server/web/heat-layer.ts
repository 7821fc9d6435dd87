/** The heat map over the picture. */
import { viridis } from '../../heat/viridis.js'
import { createMapLayer, type MapLayer } from './map-layer.js'

/** Opacity at the coldest place, and what the hottest adds to it. */
const [leastOpacity, addedOpacity] = [0.15, 0.45]

export function createHeatLayer(): MapLayer {
  return createMapLayer('heat', (byte) => {
    const heat = byte / 255
    const [red, green, blue] = viridis(heat)
    return [red, green, blue, 255 * (leastOpacity + addedOpacity * heat)]
  })
}
