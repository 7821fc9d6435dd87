/**
 * Pictures of a fixed camera over time, made from photographs: sensor noise, changing light, passing objects, and defects
 * of the lens.
 */
import sharp from 'sharp'
import type { Random } from '../random.js'

export const side = 224

/** RGB levels of a square picture. */
export type Pixels = Uint8Array

export async function photograph(file: string, size = side): Promise<Pixels> {
  return new Uint8Array(await sharp(file).resize(size, size, { fit: 'cover' }).removeAlpha().raw().toBuffer())
}

/** A camera's picture of a scene with stray light (`lift`), gain, colour of the light (`warmth`), gamma and noise. */
export function seen(
  random: Random,
  scene: Pixels,
  { gain = 1, warmth = 0, gamma = 1, noise = 2, lift = 0 } = {},
): Pixels {
  const table = [1 + warmth, 1, 1 - warmth].map((tint) =>
    Float32Array.from({ length: 256 }, (_, v) => (lift + 255 * (v / 255) ** gamma) * gain * tint),
  )
  const pixels = new Uint8Array(scene.length)
  // The sum of two uniform draws is fast, and close enough to sensor noise.
  for (let i = 0; i < scene.length; i++) {
    const value = table[i % 3]![scene[i]!]! + (random.next() + random.next() - 1) * 1.7 * noise
    pixels[i] = value <= 0 ? 0 : value >= 255 ? 255 : value + 0.5
  }
  return pixels
}

export async function blurred(pixels: Pixels, sigma: number): Promise<Pixels> {
  return new Uint8Array(
    await sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
      .blur(sigma)
      .raw()
      .toBuffer(),
  )
}

/** A part of a larger picture at `x` and `y` in pixels: the view of a camera that was moved. */
export function windowOf(large: Pixels, size: number, x: number, y: number): Pixels {
  const pixels = new Uint8Array(side * side * 3)
  for (let row = 0; row < side; row++)
    pixels.set(large.subarray(((y + row) * size + x) * 3, ((y + row) * size + x + side) * 3), row * side * 3)
  return pixels
}

/** Cloth or a hand in front of the lens: one colour with a faint texture. */
export function cloth(random: Random, level: number): Pixels {
  const pixels = new Uint8Array(side * side * 3)
  const phase = random.next() * 6
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) {
      const value = level * (1 + 0.03 * Math.sin(x / 60 + phase)) + 3 * Math.sin(x * 1.3) * Math.sin(y * 1.1)
      for (let c = 0; c < 3; c++) pixels[(y * side + x) * 3 + c] = Math.min(255, Math.max(0, value * (1 - 0.15 * c)))
    }
  return pixels
}

/** A rectangle that crosses the picture, as a person who walks by. `at` is its progress from 0 to 1. */
export function passing(scene: Pixels, at: number, share: number, level: number): Pixels {
  const pixels = scene.slice()
  const wide = Math.round(side * share)
  const left = Math.round(-wide + at * (side + wide))
  for (let y = Math.round(side * 0.2); y < side; y++)
    for (let x = Math.max(0, left); x < Math.min(side, left + wide); x++)
      pixels.fill(level, (y * side + x) * 3, (y * side + x) * 3 + 3)
  return pixels
}
