/** What exporters write becomes the plan that it should, and computes what onnxruntime computes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openModel } from '../../src/index.js'
import { compilePlan } from '../../src/model/compile.js'
import { parseModel } from '../../src/model/onnx/onnx.js'
import type { Plan, PlanStep } from '../../src/model/plan.js'
import { prepareGraph } from '../../src/model/prepare.js'
import { buildModel, writeModel } from '../onnx-builder.js'
import { Random } from '../random.js'
import { corpus } from './corpus-blocks.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-corpus-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A step in short: kind, window, groups, activation, what is added and what comes out. */
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

/** All steps but the one that gives a picture out in ONNX's order. */
function stepsOf({ steps, outputs }: Plan): readonly PlanStep[] {
  return steps.filter(({ kind, outputs: [made] }) => kind !== 'copy' || outputs.every(({ tensor }) => tensor !== made))
}

async function outputOf(path: string, engine: 'native' | 'onnxruntime'): Promise<Float32Array> {
  const model = await openModel(path, { engine, threads: 1 })
  try {
    const outputs = await model.run(new Random(9).normals(model.inputs[0]!.shape.reduce((a, b) => a * b, 1)))
    return Object.values(outputs)[0]!.data as Float32Array
  } finally {
    await model.close()
  }
}

describe.each(corpus)('$name ($from)', ({ name, model, steps }) => {
  it('becomes the steps that it should', () => {
    const compiled = compilePlan(prepareGraph(parseModel(buildModel(model)).graph))
    expect('plan' in compiled ? stepsOf(compiled.plan).map(stepText) : compiled.unsupported).toEqual(steps)
  })

  it('computes what onnxruntime computes', async () => {
    const path = writeModel(join(folder, `${name.replace(/\W+/g, '-')}.onnx`), model)
    const [found, right] = [await outputOf(path, 'native'), await outputOf(path, 'onnxruntime')]
    const range = Math.max(...right) - Math.min(...right)
    expect(range).toBeGreaterThan(0)
    expect(found).toHaveLength(right.length)
    found.forEach((value, i) => expect(Math.abs(value - right[i]!)).toBeLessThanOrEqual(1e-4 * range))
  })
})

it('the corpus has more than fifty graphs, each with a name of its own', () => {
  expect(corpus.length).toBeGreaterThan(50)
  expect(new Set(corpus.map(({ name }) => name)).size).toBe(corpus.length)
})
