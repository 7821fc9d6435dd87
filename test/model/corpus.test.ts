/** Graphs of exporters compile to the expected steps and compute what onnxruntime computes. */
import { describe, expect, it } from 'vitest'
import { compilePlan } from '../../src/model/compile.js'
import { parseModel } from '../../src/model/onnx/onnx.js'
import type { Plan, PlanStep } from '../../src/model/plan.js'
import { prepareGraph } from '../../src/model/prepare.js'
import { buildModel } from '../onnx-builder.js'
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

it('leaves a Concat of single numbers, which have no axis, to be refused', () => {
  const model = buildModel({
    nodes: [{ op: 'Concat', inputs: ['a', 'b'], outputs: ['y'], attributes: { axis: 0 } }],
    inputs: { a: [], b: [] },
    outputs: { y: [2] },
  })
  const compiled = compilePlan(prepareGraph(parseModel(model).graph))
  expect('plan' in compiled || compiled.unsupported[0]!.reason).toBe('it joins single numbers, which have no axis')
})
