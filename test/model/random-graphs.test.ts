/** Random graphs through all passes compute what onnxruntime computes. GAPCAM_RANDOM_GRAPHS=1000 tries more. */
import { expect, it } from 'vitest'
import { modelFolder, outputsOf } from './outputs.js'
import { randomGraph } from './random-graphs.js'

const count = Number(process.env['GAPCAM_RANDOM_GRAPHS'] ?? 60)
const write = modelFolder()

it(
  `${count} random graphs compute what onnxruntime computes`,
  async () => {
    const wrong: string[] = []
    for (let seed = 1; seed <= count; seed++) {
      const path = write('random', randomGraph(seed))
      const [found, right] = [await outputsOf(path, 'native', 7), await outputsOf(path, 'onnxruntime', 7)]
      expect(found.map(({ length }) => length)).toEqual(right.map(({ length }) => length))
      right.forEach((values, i) => {
        const range = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3)
        const worst = values.reduce((most, value, j) => Math.max(most, Math.abs(value - found[i]![j]!)), 0)
        if (!(worst <= 1e-4 * range)) wrong.push(`seed ${seed}, output ${i}: ${worst} of ${range}`)
      })
    }
    expect(wrong).toEqual([])
  },
  60_000 + 200 * count,
)
