/** Random graphs through all passes: the native engine gives what onnxruntime gives. GAPCAM_RANDOM_GRAPHS=1000 tries more. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { openModel } from '../../src/index.js'
import { writeModel } from '../onnx-builder.js'
import { Random } from '../random.js'
import { randomGraph } from './random-graphs.js'

const count = Number(process.env['GAPCAM_RANDOM_GRAPHS'] ?? 60)
const folder = mkdtempSync(join(tmpdir(), 'gapcam-random-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function outputsOf(path: string, engine: 'native' | 'onnxruntime'): Promise<Float32Array[]> {
  const model = await openModel(path, { engine, threads: 1 })
  try {
    const outputs = await model.run(new Random(7).normals(4 * 9 * 8))
    return Object.values(outputs).map(({ data }) => data as Float32Array)
  } finally {
    await model.close()
  }
}

it(
  `${count} random graphs compute what onnxruntime computes`,
  async () => {
    const wrong: string[] = []
    for (let seed = 1; seed <= count; seed++) {
      const path = writeModel(join(folder, 'random.onnx'), randomGraph(seed))
      const [found, right] = [await outputsOf(path, 'native'), await outputsOf(path, 'onnxruntime')]
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
