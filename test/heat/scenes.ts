/** Composed scenes: an object at a known random position on a background of smooth light and noise. */
import sharp from 'sharp'
import { frameOf, type Frame } from '../../src/frame.js'
import type { Region } from '../../src/pixels/spec.js'
import type { Random } from '../random.js'

export interface Scene {
  readonly frame: Frame
  /** Where the object is, in shares of the frame. */
  readonly object: Region
}

export interface Thing {
  readonly rgb: Uint8Array
  readonly side: number
}

/** A square photograph of `side` pixels. */
export async function thingOf(file: string, side: number): Promise<Thing> {
  return { rgb: await sharp(file).resize(side, side, { fit: 'cover' }).removeAlpha().raw().toBuffer(), side }
}

/** The digits on a grid of 8 by 8, as in the training data. */
const strokes: readonly string[] = [
  '..###....#...#...#...#...#...#...#...#...#...#...#...#....###...',
  '...##.....###....#.##......##......##......##......##.....####..',
  '..####..##..##......##.....##.....##.....##.....##......#######.',
  '..####..##..##......##....###.......##......##..##..##...####...',
  '....##.....###....#.##...##.##..##..##..########....##......##..',
  '.######..##......##......#####......##......##..##..##...####...',
  '...###....##.....##......#####...##..##..##..##..##..##...####..',
  '.######......##.....##.....##.....##.....##.....##......##......',
  '..####...##..##..##..##...####...##..##..##..##..##..##...####..',
  '..####...##..##..##..##..##..##...#####......##.....##....###...',
]

/** A digit of 32 by 32, enlarged from 8 by 8 in the same way as by scripts/networks/train-convnet.py. */
export async function digit(value: number): Promise<Thing> {
  const small = Uint8Array.from(strokes[value]!.slice(0, 64), (c) => (c === '#' ? 255 : 0))
  const rgb = new Uint8Array(32 * 32 * 3)
  for (let y = 0; y < 32; y++)
    for (let x = 0; x < 32; x++) {
      const [u, v] = [Math.min(Math.max((x + 0.5) / 4 - 0.5, 0), 7), Math.min(Math.max((y + 0.5) / 4 - 0.5, 0), 7)]
      const [l, t] = [Math.floor(u), Math.floor(v)]
      const at = (i: number, j: number): number => small[Math.min(j, 7) * 8 + Math.min(i, 7)]!
      const level =
        (at(l, t) * (1 - u + l) + at(l + 1, t) * (u - l)) * (1 - v + t) +
        (at(l, t + 1) * (1 - u + l) + at(l + 1, t + 1) * (u - l)) * (v - t)
      rgb.fill(Math.round(level), (y * 32 + x) * 3, (y * 32 + x) * 3 + 3)
    }
  return { rgb, side: 32 }
}

interface SceneOptions {
  readonly width: number
  readonly height: number
  /** The area in which the object may lie, in shares of the frame. */
  readonly within: Region
  /** Of the background, in levels: mean, variation of the light across the picture, and noise. */
  readonly level: number
  readonly swing: number
  readonly noise: number
}

export function compose(random: Random, { rgb, side }: Thing, options: SceneOptions): Scene {
  const { width, height, within, level, swing, noise } = options
  const pixels = new Uint8Array(width * height * 3)
  const tint = [random.next(), random.next(), random.next()].map((v) => 0.8 + 0.4 * v)
  const [phase, slant] = [random.next() * 6, random.next() * 6]
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const light =
        level +
        swing * Math.sin((2 * x) / width + phase) * Math.cos((2 * y) / height + slant) +
        (noise > 0 ? (random.next() - 0.5) * 2 * noise : 0)
      for (let c = 0; c < 3; c++) pixels[(y * width + x) * 3 + c] = Math.min(255, Math.max(0, light * tint[c]!))
    }
  const left = Math.floor(within.x * width + random.next() * (within.width * width - side))
  const top = Math.floor(within.y * height + random.next() * (within.height * height - side))
  for (let y = 0; y < side; y++)
    pixels.set(rgb.subarray(y * side * 3, (y + 1) * side * 3), ((top + y) * width + left) * 3)
  const frame = frameOf({ data: pixels, width, height })
  return { frame, object: { x: left / width, y: top / height, width: side / width, height: side / height } }
}
