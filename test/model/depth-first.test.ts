/** Depth-first groups keep the wide tensors of a block from existing as a whole. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { compilePlan } from '../../src/model/compile.js'
import { loadModel } from '../../src/model/load.js'
import type { Plan } from '../../src/model/plan.js'
import { tensorBytes } from '../../src/model/steps.js'
import { prepareGraph } from '../../src/model/prepare.js'
import { reportModel } from '../../src/model/report.js'
import { projectRoot } from '../shared.js'

const file = join(projectRoot, 'models/efficientnet-lite0.onnx')

async function lite0(side: number): Promise<Plan> {
  const { graph } = await loadModel(file)
  const compiled = compilePlan(prepareGraph(graph, { inputSize: { height: side, width: side } }))
  if ('unsupported' in compiled) throw new Error(JSON.stringify(compiled.unsupported))
  return compiled.plan
}

it('no tensor wider than the cache surrounds a depthwise convolution of EfficientNet-Lite0', async () => {
  const { steps, tensors, arenaBytes } = await lite0(224)
  expect(steps.filter(({ kind }) => kind === 'chain').length).toBeGreaterThanOrEqual(10)
  const depthwise = steps.filter((step) => step.kind === 'conv2d' && step.parameters.groups > 1)
  for (const { inputs } of depthwise) expect(tensorBytes(tensors[inputs[0]!]!)).toBeLessThanOrEqual(32 * 1024)
  // The widest tensor alone, 112×112×96, would be 4.8 MB.
  expect(arenaBytes).toBeLessThan(3.3e6)
})

it('tensors that fit the cache are not grouped', async () => {
  const { steps } = await lite0(32)
  // 16×16×96 and 8×8×144 are wider than 32 KiB, 4×4×240 and all that follow are not.
  expect(steps.filter(({ kind }) => kind === 'chain').length).toBeLessThanOrEqual(3)
  expect(steps.filter((step) => step.kind === 'conv2d' && step.parameters.groups > 1).length).toBeGreaterThanOrEqual(12)
})

it('gapcam model info names the chain for every node that it absorbed', async () => {
  const { nodes } = reportModel(await loadModel(file), { height: 224, width: 224 })
  const wide = nodes.filter(({ steps }) => steps.includes('chain'))
  expect(new Set(wide.map(({ op }) => op))).toEqual(new Set(['Conv', 'Clip', 'Pad', 'Add']))
  expect(nodes.filter(({ op, steps }) => (op === 'Conv' || op === 'Clip') && steps.length === 0)).toEqual([])
})
