/**
 * Random TFLite models: the native engine against onnxruntime on the converted graph, and against LiteRT where Python has
 * ai-edge-litert (GAPCAM_PYTHON names another Python). GAPCAM_TFLITE_GRAPHS=2000 tries more, GAPCAM_TFLITE_SEED other ones.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { openModel } from '../../../src/index.js'
import type { TensorData } from '../../../src/tensor.js'
import { projectRoot } from '../../shared.js'
import { inputOf } from './models.js'
import { randomModel, type Kind } from './random-models.js'
import { tfliteModel } from './tflite-builder.js'

const count = Number(process.env['GAPCAM_TFLITE_GRAPHS'] ?? 40)
const first = Number(process.env['GAPCAM_TFLITE_SEED'] ?? 1)
const seeds = Array.from({ length: count }, (_, i) => first + i)
const folder = mkdtempSync(join(tmpdir(), 'gapcam-random-tflite-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const fileOf = (seed: number): string => join(folder, `${seed}.tflite`)
const opsOf = (seed: number): string =>
  `seed ${seed} (${randomModel(seed).kind}: ${randomModel(seed)
    .model.operators.map(({ op }) => op)
    .join(' ')})`

async function outputOf(seed: number, engine: 'auto' | 'onnxruntime'): Promise<readonly number[]> {
  const model = await openModel(fileOf(seed), { integers: true, engine, planCache: false })
  try {
    const [output] = Object.values(await model.run(inputOf(randomModel(seed).model)))
    return Array.from(output!.data as Exclude<TensorData, BigInt64Array | BigUint64Array>)
  } finally {
    await model.close()
  }
}

/** Float results are equal but for the order of sums. In 8 bits a step's difference may grow in the layers behind, most in Softmax. */
function difference(kind: Kind, ops: string, values: readonly number[], others: readonly number[]): string | null {
  if (values.length !== others.length) return `${values.length} values, not ${others.length}`
  const most = kind === 'float32' ? 1e-4 * Math.max(1, ...others.map(Math.abs)) : ops.includes('SOFTMAX') ? 9 : 3
  const i = values.findIndex((value, at) => !(Math.abs(value - others[at]!) <= most))
  return i < 0 ? null : `element ${i} is ${values[i]}, not ${others[i]}`
}

/** The outputs of LiteRT by seed; null where no Python has it. */
function litertOutputs(): Readonly<Record<string, { readonly output: readonly number[] }>> | null {
  const python = process.env['GAPCAM_PYTHON'] ?? 'python3'
  const script = join(projectRoot, 'scripts/networks/tflite_goldens.py')
  const { status, stdout, stderr } = spawnSync(python, [script, folder], { encoding: 'utf8', maxBuffer: 2 ** 28 })
  if (status === 0) return JSON.parse(stdout) as Record<string, { output: number[] }>
  if (/No module named 'ai_edge_litert'|No module named 'numpy'/.test(stderr)) return null
  throw new Error(`LiteRT: ${stderr.trimEnd().split('\n').pop()}`)
}

it('computes random models of float32, int8 and uint8 as onnxruntime and LiteRT do', async () => {
  for (const seed of seeds) {
    const { model } = randomModel(seed)
    writeFileSync(fileOf(seed), tfliteModel(model))
    writeFileSync(join(folder, `${seed}.input`), inputOf(model))
  }
  const goldens = litertOutputs()
  const found: string[] = []
  for (const seed of seeds) {
    const { kind } = randomModel(seed)
    const native = await outputOf(seed, 'auto')
    const note = (who: string, others: readonly number[]): void => {
      const what = difference(kind, opsOf(seed), native, others)
      if (what) found.push(`${opsOf(seed)}, ${who}: ${what}`)
    }
    note('onnxruntime', await outputOf(seed, 'onnxruntime'))
    if (goldens) note('LiteRT', goldens[seed]!.output)
  }
  expect(found).toEqual([])
}, 600_000)
