/** The compiler: what each pass makes of a graph, and that the plan's memory never holds two living values in one place. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { compilePlan } from '../../src/model/compile.js'
import type { Graph } from '../../src/model/graph.js'
import { loadModel, parseModel } from '../../src/model/onnx.js'
import { passes } from '../../src/model/passes/passes.js'
import type { Plan, PlanTensor } from '../../src/model/plan.js'
import { prepareGraph } from '../../src/model/prepare.js'
import { networks } from '../networks.js'
import { buildModel, floats, int64, type ModelSpec } from '../onnx-builder.js'
import { Random } from '../random.js'
import { projectRoot, sharedFolder } from '../shared.js'

const graphOf = (spec: ModelSpec): Graph => prepareGraph(parseModel(buildModel(spec)).graph).graph
const opsOf = (graph: Graph): string[] => graph.nodes.map(({ op }) => op)
const pass = (name: string): ((graph: Graph) => Graph) => passes.find((entry) => entry.name === name)!.run

function planOf(graph: Graph): { plan: Plan; lowerBoundBytes: number } {
  const compiled = compilePlan({ graph, unsupported: [] })
  if ('unsupported' in compiled) throw new Error(JSON.stringify(compiled.unsupported))
  return compiled
}

const random = new Random(8)
const conv = (features: number, channels: number, kernel = 1): ReturnType<typeof floats> => floats([features, channels, kernel, kernel], random.normals(features * channels * kernel * kernel))
const vector = (length: number): ReturnType<typeof floats> => floats([length], random.normals(length).map((v) => 1 + v / 10))

describe('passes', () => {
  it('simplify drops what changes nothing', () => {
    const graph = graphOf({
      nodes: [
        { op: 'Identity', inputs: ['input'], outputs: ['a'] }, { op: 'Dropout', inputs: ['a'], outputs: ['b'] }, { op: 'Relu', inputs: ['b'], outputs: ['c'] },
        { op: 'Concat', inputs: ['c'], outputs: ['d'], attributes: { axis: 1 } }, { op: 'Neg', inputs: ['d'], outputs: ['y'] },
      ],
      inputs: { input: [1, 3, 4, 4] }, outputs: { y: [1, 3, 4, 4] },
    })
    expect(opsOf(pass('simplify')(graph))).toEqual(['Relu', 'Neg'])
  })

  it('patterns see HardSwish, GELU, SiLU and a mean over H and W in what exporters write', () => {
    const after = (name: keyof typeof networks): string[] => opsOf(pass('patterns')(pass('simplify')(graphOf(networks[name]!()))))
    expect(after('mobilenet3').filter((op) => op === 'HardSwish')).toHaveLength(6)
    expect(after('mobilenet3')).not.toContain('Div')
    expect(after('efficientnet').filter((op) => op === 'SiLU').length).toBeGreaterThanOrEqual(7)
    expect(after('mixer')).toContain('Gelu')
    expect(after('squeezenet')).toContain('GlobalAveragePool')
  })

  it('shuffle makes one step of Concat, Reshape, Transpose, Reshape and Split', () => {
    const graph = graphOf(networks['shufflenet']!())
    const shuffled = pass('shuffle')(graph)
    expect(opsOf(shuffled).filter((op) => op === 'ChannelShuffle')).toHaveLength(3)
    expect(opsOf(shuffled)).not.toContain('Transpose')
    expect(shuffled.nodes.find(({ op }) => op === 'ChannelShuffle')).toMatchObject({ inputs: [expect.anything(), expect.anything()], outputs: [expect.anything(), expect.anything()] })
  })

  it('pad moves zeros around a picture into the convolution, and leaves any other padding', () => {
    const spec = (value: number): ModelSpec => ({
      nodes: [{ op: 'Pad', inputs: ['input', 'pads', 'value'], outputs: ['p'] }, { op: 'Conv', inputs: ['p', 'w'], outputs: ['y'], attributes: { pads: [1, 1, 1, 1] } }],
      weights: { pads: int64(0, 0, 0, 2, 0, 0, 1, 0), value: floats([], [value]), w: conv(4, 3, 3) }, inputs: { input: [1, 3, 8, 8] }, outputs: { y: [1, 4, 9, 10] },
    })
    const fused = pass('pad')(graphOf(spec(0)))
    expect(opsOf(fused)).toEqual(['Conv'])
    expect(fused.nodes[0]!.attributes['pads']).toMatchObject({ value: [1, 3, 2, 1] })
    expect(opsOf(pass('pad')(graphOf(spec(1))))).toEqual(['Pad', 'Conv'])
  })

  it('pad: the 17 computed paddings of EfficientNet-Lite0 are gone', async () => {
    const { graph } = await loadModel(join(projectRoot, 'models/efficientnet-lite0.onnx'))
    expect(opsOf(graph).filter((op) => op === 'Pad')).toHaveLength(17)
    const prepared = prepareGraph(graph, { inputSize: { height: 224, width: 224 } }).graph
    expect(opsOf(prepared)).not.toContain('ConstantOfShape')
    expect(opsOf(pass('pad')(prepared))).not.toContain('Pad')
  })

  it('batch-norm goes into the convolution before it, and into the one after it where there is none before', () => {
    const spec: ModelSpec = {
      nodes: [
        { op: 'Conv', inputs: ['input', 'w'], outputs: ['c'] },
        { op: 'BatchNormalization', inputs: ['c', 'scale', 'shift', 'mean', 'variance'], outputs: ['y'] },
      ],
      weights: { w: conv(4, 3), scale: vector(4), shift: vector(4), mean: vector(4), variance: vector(4) }, inputs: { input: [1, 3, 5, 5] }, outputs: { y: [1, 4, 5, 5] },
    }
    expect(opsOf(pass('batch-norm')(graphOf(spec)))).toEqual(['Conv'])
    for (const name of ['resnet', 'mobilenet2', 'densenet'] as const) {
      const kinds = planOf(graphOf(networks[name]!())).plan.steps.map(({ kind }) => kind)
      if (name !== 'densenet') expect(kinds.filter((kind) => kind === 'binary')).toEqual([])
    }
  })

  it('residual puts a sum into the convolution that ends the branch', () => {
    const steps = planOf(graphOf(networks['mobilenet2']!())).plan.steps
    const withResidual = steps.filter(({ kind, inputs }) => kind === 'conv2d' && inputs[3] !== null && inputs[3] !== undefined)
    expect(withResidual).toHaveLength(2)
    expect(steps.filter(({ kind }) => kind === 'binary')).toEqual([])
  })

  it('activation goes into the step before it', () => {
    const graph = graphOf(networks['mobilenet2']!())
    const fused = passes.slice(0, passes.findIndex(({ name }) => name === 'activation') + 1).reduce((current, { run }) => run(current), graph)
    expect(opsOf(fused)).not.toContain('Clip')
  })

  it('gap is taken by the last convolution, which stores no map that nobody reads', () => {
    const steps = planOf(graphOf(networks['mobilenet2']!())).plan.steps
    const last = steps.filter(({ kind }) => kind === 'conv2d').at(-1)!
    expect(last.outputs).toEqual([null, expect.any(Number)])
    expect(steps.map(({ kind }) => kind)).not.toContain('reduce')
  })

  it('gap changes places with a 1×1 convolution where no activation stands between', () => {
    const spec = (relu: boolean): ModelSpec => ({
      nodes: [
        { op: 'Relu', inputs: ['input'], outputs: ['r'] }, { op: 'Conv', inputs: ['r', 'w'], outputs: ['c'] },
        ...(relu ? [{ op: 'Relu', inputs: ['c'], outputs: ['m'] }] : []), { op: 'GlobalAveragePool', inputs: [relu ? 'm' : 'c'], outputs: ['y'] },
      ],
      weights: { w: conv(9, 5) }, inputs: { input: [1, 5, 6, 6] }, outputs: { y: [1, 9, 1, 1] },
    })
    expect(opsOf(pass('gap-commute')(graphOf(spec(false))))).toEqual(['Relu', 'GlobalAveragePool', 'Conv'])
    expect(opsOf(pass('gap-commute')(graphOf(spec(true))))).toEqual(['Relu', 'Conv', 'Relu', 'GlobalAveragePool'])
  })
})

describe('depth-first groups', () => {
  const lite0 = async (side: number): Promise<Plan> => {
    const { graph } = await loadModel(join(projectRoot, 'models/efficientnet-lite0.onnx'))
    return planOf(prepareGraph(graph, { inputSize: { height: side, width: side } }).graph).plan
  }

  it('leave no wide tensor around a depthwise convolution of EfficientNet-Lite0', async () => {
    const { steps, tensors, arenaBytes } = await lite0(224)
    expect(steps.filter(({ kind }) => kind === 'separable').length).toBeGreaterThanOrEqual(10)
    const depthwise = steps.filter((step) => step.kind === 'conv2d' && step.parameters.groups > 1)
    for (const { inputs } of depthwise) expect(bytesOf(tensors[inputs[0]!]!)).toBeLessThanOrEqual(256 * 1024)
    // The widest tensor alone, 112×112×96, would be 4.8 MB.
    expect(arenaBytes).toBeLessThan(3.3e6)
  })

  it('are not made of what fits into a cache anyway', async () => {
    const { steps } = await lite0(32)
    expect(steps.map(({ kind }) => kind)).not.toContain('separable')
  })
})

const bytesOf = ({ shape }: PlanTensor): number => 4 * shape.reduce((product, size) => product * size, 1)

/** Runs a plan with markers instead of numbers: who wrote each 64 bytes last. */
function checkMemory({ tensors, steps, inputs, outputs, arenaBytes }: Plan): void {
  const owner = new Int32Array(Math.ceil(arenaBytes / 64)).fill(-1)
  const blocks = (tensor: PlanTensor): Int32Array => owner.subarray(tensor.offset / 64, Math.ceil((tensor.offset + bytesOf(tensor)) / 64))
  const write = (id: number): void => void blocks(tensors[id]!).fill(id)
  const read = (id: number, reader: string): void => {
    const tensor = tensors[id]!
    if (tensor.storage === 'constant') return
    const writers = [...new Set(blocks(tensor))]
    expect(writers.length, `${reader} reads ${tensor.name}, parts of which others have overwritten`).toBe(1)
    const [writer] = writers
    // The tensor's own bytes, or those of another name for the same value.
    const isSame = writer === id || (writer! >= 0 && tensors[writer!]!.offset === tensor.offset && bytesOf(tensors[writer!]!) === bytesOf(tensor))
    expect(isSame, `${reader} reads ${tensor.name}, but ${tensors[writer!]?.name ?? 'nothing'} lies there`).toBe(true)
  }
  for (const { tensor } of inputs) write(tensor)
  for (const step of steps) {
    for (const id of step.inputs) if (id !== null) read(id, step.name)
    for (const id of step.outputs) {
      if (id === null) continue
      expect(tensors[id]!.offset + bytesOf(tensors[id]!)).toBeLessThanOrEqual(arenaBytes)
      write(id)
    }
  }
  for (const { tensor, name } of outputs) read(tensor, `output ${name}`)
}

describe('the arena', () => {
  const shared = sharedFolder()
  const files = ['efficientnet_lite0', 'mobilenet_v2', 'mobilenet_v3_large', 'resnet18', 'shufflenet_v2_x1_0', 'squeezenet1_1']

  it.each(Object.keys(networks))('of %s holds every value until it is read for the last time', (name) => {
    const { plan, lowerBoundBytes } = planOf(graphOf(networks[name]!()))
    checkMemory(plan)
    expect(plan.arenaBytes).toBeGreaterThanOrEqual(lowerBoundBytes)
    expect(plan.arenaBytes).toBeLessThanOrEqual(1.1 * lowerBoundBytes)
  })

  it.skipIf(shared === null).each(files)('of %s too, at most a tenth above the bound of the lifetimes (skipped without the shared folder)', async (name) => {
    const { graph } = await loadModel(join(shared!, `zoo/${name}.onnx`))
    const { plan, lowerBoundBytes } = planOf(prepareGraph(graph).graph)
    checkMemory(plan)
    expect(plan.arenaBytes).toBeLessThanOrEqual(1.1 * lowerBoundBytes)
  })
})
