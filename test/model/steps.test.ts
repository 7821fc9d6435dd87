/** The step table, from which the native half is generated. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import {
  elementwiseOps,
  fusibleActivations,
  planTypes,
  stepTable,
  tensorBytes,
  type StepTensor,
} from '../../src/model/steps.js'

const rows = Object.entries(stepTable)

it('the bytes of a tensor are its elements times the size of their type', () => {
  expect(planTypes.map((type) => tensorBytes({ type, shape: [2, 3] }))).toEqual([24, 12, 6, 6, 24])
  expect(tensorBytes({ type: 'float32', shape: [] })).toBe(4)
})

it('weights, biases and multipliers are packed, and nothing that is computed at run time', () => {
  const packed = rows.flatMap(([kind, { inputs }]) =>
    (inputs as readonly StepTensor[]).flatMap(({ name, use }) => (use === 'packed' ? [`${kind}.${name}`] : [])),
  )
  expect(packed).toEqual([
    'conv2d.weights',
    'conv2d.bias',
    'dense.weights',
    'dense.bias',
    'chain.weights',
    'chain.bias',
    'chain.expandWeights',
    'chain.expandBias',
    'chain.projectWeights',
    'chain.projectBias',
    'qconv2d.weights',
    'qconv2d.bias',
    'qconv2d.scales',
    'qdense.weights',
    'qdense.bias',
    'qdense.scales',
    'qchain.weights',
    'qchain.bias',
    'qchain.scales',
    'qchain.expandWeights',
    'qchain.expandBias',
    'qchain.expandScales',
    'qchain.projectWeights',
    'qchain.projectBias',
    'qchain.projectScales',
  ])
  expect(rows.flatMap(([, { outputs }]) => outputs).every(({ use }) => use === 'value')).toBe(true)
})

it('a shorter list of inputs lacks only optional tensors: the native side asks for all up to the last required one', () => {
  const header = readFileSync(new URL('../../native/plan/step_table.h', import.meta.url), 'utf8')
  for (const [kind, { inputs }] of rows) {
    const least = Number(new RegExp(`\\{"${kind}",\\s*(\\d+),`).exec(header)?.[1])
    const left = (inputs as readonly StepTensor[]).slice(least).map(({ presence }) => presence)
    expect(
      left.filter((presence) => presence !== 'optional'),
      kind,
    ).toEqual([])
  }
})

it('every fusible activation is a function of the table', () => {
  expect(fusibleActivations.filter((name) => !elementwiseOps.includes(name))).toEqual([])
})
