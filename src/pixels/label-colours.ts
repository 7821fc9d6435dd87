/** A colour for each label of a segmenter: neighbours in the list differ clearly, and the same number has the same colour everywhere. */

/** Red, green and blue, 0 to 255. The hue turns by the golden angle from label to label; two levels of lightness alternate. */
export function labelColour(index: number): readonly [number, number, number] {
  const hue = (index * 137.508) % 360
  const lightness = index % 2 === 0 ? 0.5 : 0.68
  const chroma = (1 - Math.abs(2 * lightness - 1)) * 0.85
  const channel = (turn: number): number => {
    const place = (turn + hue / 30) % 12
    return Math.round(255 * (lightness - (chroma / 2) * Math.max(-1, Math.min(place - 3, 9 - place, 1))))
  }
  return [channel(0), channel(8), channel(4)]
}
