/**
 * A part of a frame in a few numbers: the mean luma of each cell of a grid, from samples at equal distances. What motion
 * and the place of a view are judged by. Native in microseconds, for any size of frame.
 */
import { loadAddon, type GridLayout } from '../addon.js'
import { GapcamError, messageOf } from '../errors.js'
import { frameBytes, rowBytes, type Frame } from '../frame.js'
import type { Region } from './spec.js'

/** Measures a frame into `cells`, columns · rows levels from 0 to 255, row by row. Throws FRAME_INVALID. */
export type GridMeter = (frame: Frame, cells: Float32Array) => void

/**
 * A meter for a part of frames, in shares before rotation and flips. `samples`: across and down in each cell.
 *
 *     const measure = createGridMeter({ x: 0, y: 0, width: 0.5, height: 1 }, 32, 32)
 *     measure(frame, new Float32Array(32 * 32))
 */
export function createGridMeter(part: Region, columns: number, rows: number, samples = 4): GridMeter {
  const grid: GridLayout = { part: [part.x, part.y, part.width, part.height], columns, rows, samples }
  const loaded = loadAddon()
  if (!('addon' in loaded)) return (frame, cells) => measureGridPlainly(frame, grid, cells)
  const { measureGrid } = loaded.addon
  return (frame, cells) => {
    try {
      measureGrid(frame, frame.pixels, grid, cells)
    } catch (error) {
      if (error instanceof TypeError) throw error
      throw new GapcamError('FRAME_INVALID', messageOf(error), { cause: error })
    }
  }
}

/** The measurement in plain TypeScript: the reference of the native one, and its replacement without the addon. */
export function measureGridPlainly(
  frame: Frame,
  { part, columns, rows, samples }: GridLayout,
  cells: Float32Array,
): void {
  const { format, width, height, stride, pixels } = frame
  if (!(pixels instanceof Uint8Array)) throw new GapcamError('FRAME_INVALID', 'a captured frame needs the native addon')
  if (stride < rowBytes(format, width) || pixels.length < frameBytes(format, stride, height))
    throw new GapcamError('FRAME_INVALID', `a frame of ${width} x ${height} is shorter than its size says`)
  const [across, down] = [rangeOf(part[0], part[2], width), rangeOf(part[1], part[3], height)]
  cells.fill(0)
  for (let i = 0; i < rows * samples; i++) {
    const y = placeOf(down, i, rows * samples)
    for (let j = 0; j < columns * samples; j++) {
      const cell = Math.floor(i / samples) * columns + Math.floor(j / samples)
      cells[cell]! += lumaAt(frame, pixels, placeOf(across, j, columns * samples), y) / (samples * samples)
    }
  }
}

function rangeOf(start: number, length: number, size: number): readonly [number, number] {
  const at = (share: number): number => Math.round(Math.min(1, Math.max(0, share)) * size)
  const from = Math.min(at(start), size - 1)
  return [from, Math.max(from + 1, at(start + length)) - from]
}

const placeOf = ([start, length]: readonly [number, number], i: number, count: number): number =>
  start + Math.floor(((2 * i + 1) * length) / (2 * count))

function lumaAt({ format, stride }: Frame, pixels: Uint8Array, x: number, y: number): number {
  const row = y * stride
  const triple = (red: number, blue: number): number =>
    (red * pixels[row + 3 * x]! + 150 * pixels[row + 3 * x + 1]! + blue * pixels[row + 3 * x + 2]!) / 256
  switch (format) {
    case 'yuyv':
      return pixels[row + 2 * x]!
    case 'uyvy':
      return pixels[row + 2 * x + 1]!
    case 'rgb24':
      return triple(77, 29)
    case 'bgr24':
      return triple(29, 77)
    default:
      return pixels[row + x]!
  }
}
