/** A made scene that can be drawn from a camera that was pushed, in any light. */
import { frameOf, type Frame } from '../../src/frame.js'
import { Random } from '../random.js'

/** Blots, 320 x 180 in grey, shifted by some pixels, in a light. Another seed is another scene. */
export function draw(dx: number, dy: number, gain = 1, seed = 3): Frame {
  const random = new Random(seed)
  const [width, height] = [320, 180]
  const blots = Array.from({ length: 300 }, () => ({
    x: random.between(-40, width + 40),
    y: random.between(-40, height + 40),
    radius: 4 + 12 * random.next(),
    level: random.normal(40),
  }))
  const data = new Uint8Array(width * height).fill(90 * gain)
  for (const { x, y, radius, level } of blots)
    for (let v = Math.max(0, Math.ceil(y + dy - radius)); v < Math.min(height, y + dy + radius); v++)
      for (let u = Math.max(0, Math.ceil(x + dx - radius)); u < Math.min(width, x + dx + radius); u++) {
        const share = 1 - ((u - x - dx) ** 2 + (v - y - dy) ** 2) / radius ** 2
        if (share > 0) data[v * width + u] = Math.max(0, Math.min(255, data[v * width + u]! + gain * level * share))
      }
  return { ...frameOf({ data, width, height }), format: 'grey', stride: width }
}
