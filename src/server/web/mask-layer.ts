/** The labels of a segmenter's places over the picture, each in its colour. */
import { labelColour } from '../../pixels/label-colours.js'
import { createMapLayer, type MapLayer } from './map-layer.js'

const opacity = 115
/** The byte of a place where there is nothing. */
const nothing = 255

export function createMaskLayer(): MapLayer {
  return createMapLayer('mask', (byte) => (byte === nothing ? [0, 0, 0, 0] : [...labelColour(byte), opacity]))
}
