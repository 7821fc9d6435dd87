/** The heat plan of a taught file: of the present form, of the first one, whose maps have their channels first, and of means. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { planGrid } from '../../src/heat/grid-plan.js'
import { loadModel } from '../../src/model/load.js'
import { floats, writeModel, type ModelSpec } from '../onnx-builder.js'

const [channels, height, width, cells, classes] = [5, 2, 3, 4, 2]
const places = height * width
const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => Math.sin(i + 1))
/** [cells, places]. */
const shares = numbers(cells * places)

/** A map of channels first, pooled by its cells, as each form writes it. */
function taught(isFirstForm: boolean): ModelSpec {
  const turned = shares.map((_, i) => shares[(i % cells) * places + Math.floor(i / cells)]!)
  const rows = (source: string, shape: readonly number[]): ModelSpec['nodes'][number] => ({
    op: 'Reshape',
    inputs: [source, `shape ${shape.join()}`],
    outputs: ['gapcam.rows 0'],
  })
  const last = { op: 'Transpose', inputs: ['input'], outputs: ['gapcam.planes 0'], attributes: { perm: [0, 2, 3, 1] } }
  const shapeOf = (...shape: number[]): ModelSpec['weights'] => ({
    [`shape ${shape.join()}`]: { shape: [shape.length], data: BigInt64Array.from(shape.map(BigInt)) },
  })
  return {
    nodes: [
      ...(isFirstForm
        ? [
            rows('input', [channels, places]),
            { op: 'MatMul', inputs: ['gapcam.rows 0', 'gapcam.constant cells 0'], outputs: ['gapcam.binned 0'] },
            { op: 'Reshape', inputs: ['gapcam.binned 0', 'shape 1,20'], outputs: ['gapcam.part 0'] },
          ]
        : [
            last,
            rows('gapcam.planes 0', [places, channels]),
            { op: 'MatMul', inputs: ['gapcam.constant cells 0', 'gapcam.rows 0'], outputs: ['gapcam.binned 0'] },
            {
              op: 'Transpose',
              inputs: ['gapcam.binned 0'],
              outputs: ['gapcam.turned 0'],
              attributes: { perm: [1, 0] },
            },
            { op: 'Reshape', inputs: ['gapcam.turned 0', 'shape 1,20'], outputs: ['gapcam.part 0'] },
          ]),
      { op: 'Sub', inputs: ['gapcam.part 0', 'gapcam.constant mean 0'], outputs: ['centred'] },
      { op: 'MatMul', inputs: ['centred', 'gapcam.constant weights'], outputs: ['y'] },
    ],
    weights: {
      ...shapeOf(1, channels * cells),
      ...(isFirstForm ? shapeOf(channels, places) : shapeOf(places, channels)),
      'gapcam.constant cells 0': isFirstForm ? floats([places, cells], turned) : floats([cells, places], shares),
      'gapcam.constant mean 0': floats([1, channels * cells], numbers(channels * cells)),
      'gapcam.constant weights': floats([channels * cells, classes], numbers(channels * cells * classes)),
    },
    inputs: { input: [1, channels, height, width] },
    outputs: { y: [1, classes] },
  }
}

it('both forms of a taught file have the same plan', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-grid-plan-'))
  try {
    const plans = []
    for (const isFirstForm of [false, true]) {
      const { graph } = await loadModel(writeModel(join(folder, `${isFirstForm}.onnx`), taught(isFirstForm)))
      plans.push(planGrid(graph, classes))
    }
    const [present, first] = plans
    expect(present).toMatchObject({ grid: [{ map: 'input', layout: 'nchw', pooled: 'gapcam.part 0' }], classes })
    expect([...present!.grid[0]!.shares!]).toEqual([...Float32Array.from(shares)])
    expect(first).toEqual(present)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

it.each([
  ['first', 'nchw'],
  ['last', 'nhwc'],
] as const)('a part without cells is the mean of a map with its channels %s', async (_, layout) => {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-grid-plan-'))
  try {
    const isLast = layout === 'nhwc'
    const path = writeModel(join(folder, 'mean.onnx'), {
      nodes: [
        ...(isLast
          ? [{ op: 'Transpose', inputs: ['input'], outputs: ['gapcam.planes 0'], attributes: { perm: [0, 3, 1, 2] } }]
          : []),
        {
          op: 'GlobalAveragePool',
          inputs: [isLast ? 'gapcam.planes 0' : 'input'],
          outputs: ['gapcam.pooled 0'],
        },
        { op: 'Reshape', inputs: ['gapcam.pooled 0', 'shape'], outputs: ['gapcam.part 0'] },
        { op: 'Sub', inputs: ['gapcam.part 0', 'gapcam.constant mean 0'], outputs: ['centred'] },
        { op: 'MatMul', inputs: ['centred', 'gapcam.constant weights'], outputs: ['y'] },
      ],
      weights: {
        shape: { shape: [2], data: BigInt64Array.of(1n, BigInt(channels)) },
        'gapcam.constant mean 0': floats([1, channels], numbers(channels)),
        'gapcam.constant weights': floats([channels, classes], numbers(channels * classes)),
      },
      inputs: { input: isLast ? [1, height, width, channels] : [1, channels, height, width] },
      outputs: { y: [1, classes] },
    })
    expect(planGrid((await loadModel(path)).graph, classes)).toMatchObject({
      grid: [{ map: 'input', layout, shares: null, pooled: 'gapcam.part 0' }],
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
