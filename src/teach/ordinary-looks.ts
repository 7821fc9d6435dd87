/**
 * What ordinary pictures look like to a network: parts of the photographs that come with gapcam; to a network over clips, parts that
 * move over them. Their mean is what vectors are centred on.
 */
import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { frameOf } from '../frame.js'
import { decodeFile } from '../pixels/decode.js'
import type { RgbImage } from '../pixels/image.js'
import { rgbOf } from '../pixels/rgb.js'
import { rgbLevels, type Region } from '../pixels/spec.js'
import type { RawVector } from './features.js'
import type { Looker } from './looks.js'

/** Where vectors of ordinary pictures are kept, by network. */
export interface OrdinaryVectors {
  read(network: string, count: number): Promise<Float32Array | null>
  keep(network: string, values: Float32Array): Promise<void>
}

/** The photographs that come with gapcam. */
export const photographs = fileURLToPath(new URL('../../models/photos/', import.meta.url))

const square = (x: number, y: number, side: number): Region => ({ x, y, width: side, height: side })

/** Parts of each photograph that a network over pictures looks at. */
const regions: readonly (Region | undefined)[] = [
  undefined,
  ...[0, 0.4].flatMap((x) => [0, 0.4].map((y) => square(x, y, 0.6))),
  ...[0.1, 0.6].flatMap((x) => [0.1, 0.6].map((y) => square(x, y, 0.3))),
]

/** From where to where a part moves over a photograph in a clip. */
const ways: readonly (readonly [from: Region, to: Region])[] = [
  [square(0, 0, 1), square(0.4, 0.4, 0.6)],
  [square(0.4, 0, 0.6), square(0, 0.4, 0.6)],
  [square(0.1, 0.1, 0.3), square(0.6, 0.2, 0.3)],
  [square(0.35, 0.35, 0.3), square(0.1, 0, 0.8)],
]

/** The vectors, as they are kept or computed. */
export async function ordinaryVectors(
  looker: Looker,
  network: string,
  kept: OrdinaryVectors | undefined,
): Promise<readonly RawVector[]> {
  const count = (await photographNames()).length * (looker.clip ? ways : regions).length
  const all = await kept?.read(network, count * looker.rawLength)
  if (all)
    return Array.from({ length: count }, (_, i) => all.subarray(i * looker.rawLength, (i + 1) * looker.rawLength))
  const seen = await ordinaryLooks(looker)
  const values = new Float32Array(count * looker.rawLength)
  seen.forEach((raw, i) => values.set(raw, i * looker.rawLength))
  // Without it they are computed again.
  await kept?.keep(network, values).catch(() => undefined)
  return seen
}

const photographNames = async (): Promise<string[]> =>
  (await readdir(photographs)).filter((name) => name.endsWith('.jpg')).sort()

/** The vectors, computed. */
export async function ordinaryLooks(looker: Looker): Promise<readonly RawVector[]> {
  const pictures: RgbImage[] = []
  for (const name of await photographNames()) pictures.push(await decodeFile(`${photographs}${name}`))
  const seen: RawVector[] = []
  for (const picture of pictures) {
    if (looker.clip)
      for (const way of ways) seen.push((await looker.glanceAt(await movingOver(picture, way, looker.clip.frames))).raw)
    else for (const region of regions) seen.push((await looker.glanceAt(picture, region)).raw)
  }
  return seen
}

/** The side of a frame: networks over clips see less. */
const side = 128

/** A clip in which a part of a picture moves and grows evenly. */
async function movingOver(
  picture: RgbImage,
  [from, to]: readonly [Region, Region],
  frames: number,
): Promise<RgbImage[]> {
  const frame = frameOf(picture)
  const clip: RgbImage[] = []
  for (let i = 0; i < frames; i++) {
    const share = i / (frames - 1)
    const at = (key: keyof Region): number => from[key] + (to[key] - from[key]) * share
    const roi = { x: at('x'), y: at('y'), width: at('width'), height: at('height') }
    clip.push(await rgbOf(frame, { ...rgbLevels(side, side), roi }))
  }
  return clip
}
