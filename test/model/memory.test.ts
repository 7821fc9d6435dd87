/** The arena: tensors that are alive at the same time share no bytes, and it is close to the smallest possible size. */
import fc from 'fast-check'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadAddon } from '../../src/addon.js'
import { compilePlan } from '../../src/model/compile.js'
import { loadModel } from '../../src/model/load.js'
import { parseModel } from '../../src/model/onnx/onnx.js'
import { serializePlan, type Plan } from '../../src/model/plan.js'
import { stepTable, tensorBytes } from '../../src/model/steps.js'
import { prepareGraph } from '../../src/model/prepare.js'
import { networks } from '../networks.js'
import { buildModel, type ModelSpec, type NodeSpec } from '../onnx-builder.js'
import { projectRoot } from '../shared.js'

function compiled(spec: ModelSpec): { plan: Plan; lowerBoundBytes: number } {
  const result = compilePlan(prepareGraph(parseModel(buildModel(spec)).graph))
  if ('unsupported' in result) throw new Error(JSON.stringify(result.unsupported))
  return result
}

/** Where each tensor of the arena lies, and from which to which step it is alive. */
function lives({
  tensors,
  steps,
  inputs,
  outputs,
}: Plan): { id: number; start: number; end: number; born: number; dies: number }[] {
  const ports = (list: Plan['inputs']): Set<number> => new Set(list.map(({ tensor }) => tensor))
  const [given, wanted] = [ports(inputs), ports(outputs)]
  return tensors.flatMap((tensor, id) => {
    const { storage, offset } = tensor
    if (storage !== 'arena') return []
    const writes = steps.flatMap((step, at) => (step.outputs.includes(id) ? [at] : []))
    const reads = steps.flatMap((step, at) => (step.inputs.includes(id) ? [at] : []))
    const born = given.has(id) ? -1 : (writes[0] ?? Infinity)
    const dies = given.has(id) || wanted.has(id) ? steps.length : Math.max(born, ...reads, ...writes)
    return born === Infinity ? [] : [{ id, start: offset, end: offset + tensorBytes(tensor), born, dies }]
  })
}

/** Pairs that share bytes while both are alive, except a step's result in the place of an operand that dies there. */
function collisions(plan: Plan): string[] {
  const all = lives(plan)
  return all.flatMap((a) =>
    all
      .filter((b) => a.id < b.id && a.start < b.end && b.start < a.end && a.born <= b.dies && b.born <= a.dies)
      .filter((b) => {
        const [older, younger] = a.born < b.born ? [a, b] : [b, a]
        const isInPlace =
          older.dies === younger.born &&
          older.start === younger.start &&
          older.end === younger.end &&
          'inPlace' in stepTable[plan.steps[younger.born]!.kind]
        return !isInPlace
      })
      .map((b) => `${plan.tensors[a.id]!.name} and ${plan.tensors[b.id]!.name}`),
  )
}

/** Nets in which each node reads any one or two earlier values. */
const nets = fc
  .array(fc.record({ op: fc.constantFrom('Add', 'Mul', 'Relu', 'Concat', 'MaxPool'), a: fc.nat(), b: fc.nat() }), {
    minLength: 1,
    maxLength: 25,
  })
  .map((choices): ModelSpec => {
    const channels = [2]
    const nodes = choices.map(({ op, a, b }, i): NodeSpec => {
      const first = a % channels.length
      const same = channels.flatMap((c, at) => (c === channels[first] ? [at] : []))
      const second = op === 'Concat' ? b % channels.length : same[b % same.length]!
      channels.push(op === 'Concat' ? Math.min(channels[first]! + channels[second]!, 1e9) : channels[first]!)
      const inputs = (op === 'Relu' || op === 'MaxPool' ? [first] : [first, second]).map((at) => `v${at}`)
      const attributes: NonNullable<NodeSpec['attributes']> =
        op === 'Concat' ? { axis: 1 } : op === 'MaxPool' ? { kernel_shape: [3, 3], pads: [1, 1, 1, 1] } : {}
      return { op, inputs, outputs: [`v${i + 1}`], attributes }
    })
    const middle = `v${Math.ceil(nodes.length / 2)}`
    const outputs = Object.fromEntries([middle, `v${nodes.length}`].map((name) => [name, null]))
    return { nodes, inputs: { v0: [1, 2, 5, 7] }, outputs }
  })
  .filter(({ nodes }) => nodes.filter(({ op }) => op === 'Concat').length < 8)

describe('the arena', () => {
  it('of random nets gives tensors that are alive together separate bytes', () => {
    fc.assert(
      fc.property(nets, (spec) => {
        const { plan } = compiled(spec)
        expect(collisions(plan)).toEqual([])
        for (const { end } of lives(plan)) expect(end).toBeLessThanOrEqual(plan.arenaBytes)
      }),
      { numRuns: 150, seed: 3 },
    )
  })

  it.each(Object.entries(networks))('of %s is at most a tenth larger than the bytes alive at once', (_, build) => {
    const { plan, lowerBoundBytes } = compiled(build())
    expect(collisions(plan)).toEqual([])
    expect(plan.arenaBytes).toBeGreaterThanOrEqual(lowerBoundBytes)
    expect(plan.arenaBytes).toBeLessThanOrEqual(1.1 * lowerBoundBytes)
  })
})

it('EfficientNet-Lite0 needs no Pad at run time: its 17 computed Pads fold into the convolutions', async () => {
  const { graph } = await loadModel(join(projectRoot, 'models/efficientnet-lite0.onnx'))
  expect(graph.nodes.filter(({ op }) => op === 'Pad')).toHaveLength(17)
  const after: string[][] = []
  compilePlan(prepareGraph(graph, { inputSize: { height: 224, width: 224 } }), {
    onPass: (_, { nodes }) => after.push(nodes.map(({ op }) => op)),
  })
  const operators = new Set(after.at(-1))
  expect(operators).not.toContain('Pad')
  for (const arithmetic of ['Shape', 'Cast', 'Gather', 'Slice', 'Sub', 'ConstantOfShape'])
    expect(after[0]).not.toContain(arithmetic)
})

describe('a plan as bytes', () => {
  const loaded = loadAddon()
  if ('reason' in loaded) throw new Error(loaded.reason)
  const { addon } = loaded
  const bytes = serializePlan(compiled(networks['resnet']!()).plan)

  it('is the same each time, and the native reader accepts it', async () => {
    expect(serializePlan(compiled(networks['resnet']!()).plan)).toEqual(bytes)
    const session = await addon.openSession(bytes, { threads: 1 })
    expect(session.inputs.map(({ name, layout, shape }) => [name, layout, shape])).toEqual([
      ['input', 'nhwc', [1, 41, 35, 3]],
    ])
    expect(session.outputs.map(({ shape }) => shape)).toEqual([[1, 11]])
    await session.close()
  })

  it.each([
    ['another version', (view: DataView) => view.setUint32(4, 99, true)],
    ['another magic number', (view: DataView) => view.setUint32(0, 1, true)],
    ['an arena too small for its tensors', (view: DataView) => view.setBigUint64(32, 64n, true)],
    ['more tensors than bytes', (view: DataView) => view.setUint32(8, 0xffffffff, true)],
  ])('with %s is refused with a sentence', async (_, damage) => {
    const damaged = bytes.slice()
    damage(new DataView(damaged.buffer))
    await expect(addon.openSession(damaged, { threads: 1 })).rejects.toThrow(/plan|inside its memory/i)
  })
})
