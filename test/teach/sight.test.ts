/** Brightness, contrast and sharpness of a picture as the network computes them, against plain loops. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openTeacher } from '../../src/teach/teacher.js'
import { projectRoot } from '../shared.js'

const model = join(projectRoot, 'models/convnet-gap.onnx')

/** The luma of the mean of each two by two pixels of an RGB picture; an odd row or column is left out. */
function halved(data: Uint8Array, width: number, height: number): readonly (readonly number[])[] {
  const luma = (x: number, y: number): number => {
    const at = (y * width + x) * 3
    return 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!
  }
  return Array.from({ length: Math.floor(height / 2) }, (_, y) =>
    Array.from({ length: Math.floor(width / 2) }, (__, x) => {
      const [u, v] = [2 * x, 2 * y]
      return (luma(u, v) + luma(u + 1, v) + luma(u, v + 1) + luma(u + 1, v + 1)) / 4
    }),
  )
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

it.each([
  [32, 32],
  [33, 36],
  [38, 35],
])('of a picture of %i by %i', async (width, height) => {
  const teacher = await openTeacher({ model, engine: { threads: 1, inputSize: { height, width } } })
  try {
    const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 37 + Math.floor(i / 90) * 11) % 251)
    const { sight } = await teacher.glanceAt({ data, width, height })
    const half = halved(data, width, height)
    const all = half.flat()
    const brightness = mean(all)
    const contrast = Math.sqrt(mean(all.map((value) => (value - brightness) ** 2)))
    const edges = half
      .slice(1, -1)
      .flatMap((row, y) =>
        row.slice(1, -1).map((value, x) => 4 * value - half[y]![x + 1]! - half[y + 2]![x + 1]! - row[x]! - row[x + 2]!),
      )
    const sharpness = Math.sqrt(mean(edges.map((value) => value * value)))
    for (const [k, right] of [brightness, contrast, sharpness].entries()) expect(sight[k]).toBeCloseTo(right, 2)
  } finally {
    await teacher.close()
  }
})
