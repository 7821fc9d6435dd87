/** Graphs of exporters compile to the expected steps and compute what onnxruntime computes. */
import { describe, expect, it } from 'vitest'
import { compilePlan } from '../../src/model/compile.js'
import { parseModel } from '../../src/model/onnx/onnx.js'
import type { Plan, PlanStep } from '../../src/model/plan.js'
import { prepareGraph } from '../../src/model/prepare.js'
import { elementCount } from '../../src/tensor.js'
import { buildModel, type ModelSpec, type Weight } from '../onnx-builder.js'
import { corpus } from './corpus/corpus.js'
import { expectParity, modelFolder } from './outputs.js'

const write = modelFolder()

/** A step in short: kind, window, groups, activation, residual and outputs. */
function stepText(step: PlanStep): string {
  const { parameters } = step
  const words: (string | false)[] = [step.kind]
  if ('kernelH' in parameters) {
    const { kernelH, kernelW, strideH, padTop, padLeft, padBottom, padRight } = parameters
    const pads = [padTop, padLeft, padBottom, padRight]
    const isEven = pads.every((pad) => pad === padTop)
    words.push(
      'op' in parameters && parameters.op,
      `${kernelH}x${kernelW}`,
      strideH > 1 && `s${strideH}`,
      pads.some((pad) => pad > 0) && `p${isEven ? padTop : pads.join()}`,
    )
  } else if ('op' in parameters) words.push(parameters.op)
  if (step.kind === 'conv2d') words.push(step.parameters.groups > 1 && `g${step.parameters.groups}`)
  if ('activation' in parameters)
    words.push(
      parameters.activation !== 'none' && parameters.activation,
      parameters.activation === 'clip' && `${parameters.a}..${parameters.b}`,
    )
  if (step.kind === 'concat')
    words.push(
      step.parameters.groups > 1 && `of ${step.parameters.groups} groups`,
      step.outputs.length > 1 && `in ${step.outputs.length} parts`,
    )
  if (step.kind === 'conv2d' && step.outputs[1] !== null)
    words.push(step.outputs[0] === null ? '-> mean' : '-> map, mean')
  if (step.kind === 'conv2d' || step.kind === 'dense') words.push(step.inputs[3] !== null && '+ residual')
  return words.filter((word) => word !== false).join(' ')
}

/** All steps except the copy of an output to ONNX's order. */
function stepsOf({ steps, outputs }: Plan): readonly PlanStep[] {
  return steps.filter(({ kind, outputs: [made] }) => kind !== 'copy' || outputs.every(({ tensor }) => tensor !== made))
}

describe.each(corpus)('$name ($from)', ({ name, model, steps }) => {
  it('compiles to the expected steps', () => {
    const compiled = compilePlan(prepareGraph(parseModel(buildModel(model)).graph))
    expect('plan' in compiled ? stepsOf(compiled.plan).map(stepText) : compiled.unsupported).toEqual(steps)
  })

  it('computes what onnxruntime computes', async () => {
    await expectParity(write(name, model))
  })
})

it('the corpus has more than fifty graphs with unique names', () => {
  expect(corpus.length).toBeGreaterThan(50)
  expect(new Set(corpus.map(({ name }) => name)).size).toBe(corpus.length)
})

const ones = (...shape: readonly number[]): Weight => ({ shape, data: new Float32Array(elementCount(shape)).fill(1) })
const unfit: readonly (readonly [string, ModelSpec, string])[] = [
  [
    'a Concat of single numbers',
    {
      nodes: [{ op: 'Concat', inputs: ['a', 'b'], outputs: ['y'], attributes: { axis: 0 } }],
      inputs: { a: [], b: [] },
      outputs: { y: [2] },
    },
    'it joins single numbers, which have no axis',
  ],
  [
    'a Conv with a bias of another shape',
    {
      nodes: [{ op: 'Conv', inputs: ['a', 'w', 'c'], outputs: ['y'] }],
      weights: { w: ones(4, 3, 3, 3), c: ones(6, 4) },
      inputs: { a: [1, 3, 8, 8] },
      outputs: { y: [1, 4, 6, 6] },
    },
    'its bias has the shape [6, 4] for 4 channels',
  ],
  [
    'a Gemm whose sum does not fit',
    {
      nodes: [{ op: 'Gemm', inputs: ['a', 'w', 'c'], outputs: ['y'] }],
      weights: { w: ones(10, 4), c: ones(10) },
      inputs: { a: [1, 10] },
      outputs: { y: [1, 4] },
    },
    'its inputs do not broadcast: [1, 4] and [10]',
  ],
]

it.each(unfit)('%s compiles to no plan', (_, model, reason) => {
  const compiled = compilePlan(prepareGraph(parseModel(buildModel(model)).graph))
  expect('plan' in compiled || compiled.unsupported[0]!.reason).toContain(reason)
})
