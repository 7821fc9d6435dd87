/** Convolutions with dilations of all sizes over small maps, on every target of this machine, give what onnxruntime gives. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { loadAddon } from '../../src/addon.js'
import { openModel } from '../../src/index.js'
import { floats, writeModel, type NodeSpec, type Weight } from '../onnx-builder.js'
import { Random } from '../random.js'

const [channels, features, height, width] = [5, 7, 11, 9]

/** Forty convolutions of one picture, each an output. */
function network(): { path: string; count: number } {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-dilated-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const random = new Random(22)
  const [nodes, weights]: [NodeSpec[], Record<string, Weight>] = [[], {}]
  const outputs: Record<string, null> = {}
  for (let i = 0; nodes.length < 40; i++) {
    const kernel = [random.between(1, 4), random.between(1, 4)]
    const strides = [random.between(1, 3), random.between(1, 3)]
    const dilations = [random.between(1, 12), random.between(1, 12)]
    const pads = Array.from({ length: 4 }, (_, k) => random.between(0, (kernel[k % 2]! - 1) * dilations[k % 2]!))
    const fits = [height, width].every((size, k) => size + pads[k]! + pads[k + 2]! > (kernel[k]! - 1) * dilations[k]!)
    if (!fits) continue
    weights[`w${i}`] = floats(
      [features, channels, ...kernel],
      random.normals(features * channels * kernel[0]! * kernel[1]!, 0.3),
    )
    nodes.push({ op: 'Conv', inputs: ['x', `w${i}`], outputs: [`y${i}`], attributes: { strides, dilations, pads } })
    outputs[`y${i}`] = null
  }
  const inputs = { x: [1, channels, height, width] }
  return { path: writeModel(join(folder, 'model.onnx'), { nodes, weights, inputs, outputs }), count: nodes.length }
}

it('every target gives what onnxruntime gives', async () => {
  const loaded = loadAddon()
  if ('reason' in loaded) throw new Error(loaded.reason)
  const { path, count } = network()
  const picture = new Random(3).normals(channels * height * width)
  const other = await openModel(path, { engine: 'onnxruntime', threads: 1 })
  const wanted = await other.run(picture)
  await other.close()
  expect(Object.keys(wanted)).toHaveLength(count)
  for (const { name, supported } of loaded.addon.describeTargets()) {
    if (!supported) continue
    const model = await openModel(path, { engine: 'native', target: name, threads: 1 })
    const found = await model.run(picture)
    for (const [output, { data, shape }] of Object.entries(wanted)) {
      expect(found[output]!.shape, `${name} ${output}`).toEqual(shape)
      const right = data as Float32Array
      ;(found[output]!.data as Float32Array).forEach((value, i) =>
        expect(Math.abs(value - right[i]!), `${name} ${output} ${i}`).toBeLessThan(1e-4),
      )
    }
    await model.close()
  }
})
