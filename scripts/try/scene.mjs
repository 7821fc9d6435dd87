// A camera over one place whose picture changes: a file that is drawn again.
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { folder, photo } from './bench.mjs'

/** The file that the camera shows. */
export const scene = join(folder, 'scene.jpg')
export const [width, height] = [640, 480]
/** Where the thing lies, in shares of the picture; the zone is drawn around it. */
export const place = { x: 0.32, y: 0.3, size: 0.36 }

/** A camera over a place that is empty, or has a hot dog or another thing on it: photographs, in a light that varies. */
export async function draw(thing) {
  const random = (from, to) => from + Math.random() * (to - from)
  const back = sharp(photo('sunflower')).resize(width, height, { fit: 'cover' })
  const side = Math.round(width * place.size * 0.86 * random(0.92, 1))
  const laid = thing
    ? [
        {
          input: await sharp(photo(thing)).resize(side, side, { fit: 'cover' }).toBuffer(),
          left: Math.round(width * (place.x + 0.02) + random(0, 12)),
          top: Math.round(height * (place.y + 0.02) + random(0, 12)),
        },
      ]
    : []
  const drawn = await back.composite(laid).png().toBuffer()
  const bytes = await sharp(drawn)
    .modulate({ brightness: random(0.92, 1.08) })
    .jpeg({ quality: 92 })
    .toBuffer()
  writeFileSync(join(folder, 'fresh.jpg'), bytes)
  renameSync(join(folder, 'fresh.jpg'), scene)
}

/** What lies there: photographs. */
export const things = { empty: null, food: 'hot-dog', other: 'parrot' }
