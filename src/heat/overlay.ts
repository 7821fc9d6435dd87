/**
 * Draws a heat map over its picture, with the focus box and a legend, for `gapcam classify --heat` and the `heat` topic.
 * sharp draws the text from SVG with the system's sans-serif font.
 */
import { loadSharp } from '../pixels/sharp.js'
import type { View } from '../pixels/geometry.js'
import type { Region } from '../pixels/spec.js'
import { focusOf, heatAt } from './focus.js'
import type { HeatMap } from './map.js'
import { viridis } from './viridis.js'

/** The picture below the heat map. It is not written to. */
export interface OverlayPicture {
  /** RGB, rows without padding. */
  readonly rgb: Uint8Array
  readonly width: number
  readonly height: number
}

/** The text below the picture. */
export interface OverlayLegend {
  readonly label: string
  /** 0 to 1. */
  readonly score: number
}

/** The heat map, and how its places lie in the picture. */
export interface Overlay {
  readonly map: HeatMap
  readonly view: View
}

/** Opacity of the colours at the coldest and the hottest place. */
const [leastCover, mostCover] = [0.25, 0.6]
/** Brightness of the part that the network did not see. */
const unseen = 0.35
const line = 2

/**
 * The picture with its heat map, box and legend, as PNG or JPEG. Rejects when sharp cannot be loaded.
 *
 *     const png = await drawHeat(picture, { map, view }, { label: 'tabby', score: 0.93 }, 'png')
 */
export async function drawHeat(
  picture: OverlayPicture,
  overlay: Overlay,
  legend: OverlayLegend,
  format: 'png' | 'jpeg',
): Promise<Buffer> {
  const { width, height } = picture
  const rgb = coloured(picture, overlay)
  const box = focusOf(overlay.map)
  const focus = box && overlay.view.toFrame(box)
  if (focus) drawBox({ rgb, width, height }, focus)
  const bar = Math.max(28, Math.round(Math.min(width, height) * 0.08))
  const sharp = await loadSharp()
  const canvas = sharp({ create: { width, height: height + bar, channels: 3, background: '#16161d' } })
    .composite([
      {
        input: Buffer.from(rgb.buffer, rgb.byteOffset, rgb.byteLength),
        raw: { width, height, channels: 3 },
        left: 0,
        top: 0,
      },
      { input: Buffer.from(legendSvg(width, bar, legend)), left: 0, top: height },
    ])
    .removeAlpha()
  return format === 'png' ? canvas.png().toBuffer() : canvas.jpeg({ quality: 85 }).toBuffer()
}

function coloured({ rgb, width, height }: OverlayPicture, { map, view }: Overlay): Uint8Array {
  const result = new Uint8Array(rgb.length)
  const hottest = map.values.reduce((most, value) => Math.max(most, value), 0)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 3
      const [u, v] = view.toInput((x + 0.5) / width, (y + 0.5) / height)
      const isSeen = u >= 0 && u < 1 && v >= 0 && v < 1
      const heat = isSeen && hottest > 0 ? Math.min(1, Math.max(0, heatAt(map, u, v) / hottest)) : 0
      const cover = leastCover + (mostCover - leastCover) * heat
      const [r, g, b] = viridis(heat)
      for (let c = 0; c < 3; c++)
        result[at + c] = isSeen ? (1 - cover) * rgb[at + c]! + cover * [r, g, b][c]! : unseen * rgb[at + c]!
    }
  }
  return result
}

/** Draws the box white with a black edge, so that it is visible on any picture. */
function drawBox({ rgb, width, height }: OverlayPicture, box: Region): void {
  const [left, top] = [Math.round(box.x * (width - 1)), Math.round(box.y * (height - 1))]
  const [right, bottom] = [
    Math.round((box.x + box.width) * (width - 1)),
    Math.round((box.y + box.height) * (height - 1)),
  ]
  for (let grow = line; grow >= -line; grow--) {
    const level = Math.abs(grow) === line ? 0 : 255
    for (let x = left - grow; x <= right + grow; x++)
      for (const y of [top - grow, bottom + grow]) paint(rgb, width, height, x, y, level)
    for (let y = top - grow; y <= bottom + grow; y++)
      for (const x of [left - grow, right + grow]) paint(rgb, width, height, x, y, level)
  }
}

function paint(rgb: Uint8Array, width: number, height: number, x: number, y: number, level: number): void {
  if (x >= 0 && x < width && y >= 0 && y < height) rgb.fill(level, (y * width + x) * 3, (y * width + x) * 3 + 3)
}

function legendSvg(width: number, height: number, { label, score }: OverlayLegend): string {
  const size = Math.round(height * 0.5)
  const scale = Math.round(Math.min(width * 0.3, 160))
  const stops = Array.from(
    { length: 11 },
    (_, i) =>
      `<stop offset="${i * 10}%" stop-color="rgb(${viridis(i / 10)
        .map(Math.round)
        .join(',')})"/>`,
  ).join('')
  // A letter is about 0.6 em wide. A label that would reach the colour scale is cut.
  const room = Math.max(4, Math.floor((width - scale - height) / (size * 0.6)) - 6)
  const shown = label.length > room ? `${label.slice(0, room - 1)}…` : label
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">` +
    `<defs><linearGradient id="v">${stops}</linearGradient></defs>` +
    `<text x="${size / 2}" y="${height * 0.68}" font-family="sans-serif" font-size="${size}" fill="#fff">${escaped(shown)} ${score.toFixed(3)}</text>` +
    `<rect x="${width - scale - size / 2}" y="${height * 0.3}" width="${scale}" height="${height * 0.4}" fill="url(#v)"/></svg>`
  )
}

/** Labels come from files: their markup is escaped, and characters that XML forbids become spaces. */
function escaped(text: string): string {
  return text
    .replace(/[\u0000-\u001f\u007f\ufffe\uffff]|[\ud800-\udfff](?![\udc00-\udfff])/gu, ' ')
    .replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
}
