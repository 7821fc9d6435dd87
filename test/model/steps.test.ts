/** The step table, from which the native half is generated. */
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

it('weights and biases are packed, and nothing that is computed at run time', () => {
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
  ])
  expect(rows.flatMap(([, { outputs }]) => outputs).every(({ use }) => use === 'value')).toBe(true)
})

it('optional tensors follow the required ones, so that a shorter list of inputs is unambiguous', () => {
  for (const [kind, { inputs }] of rows) {
    const required = inputs.map(({ presence }) => presence !== 'optional')
    expect(required.indexOf(false) === -1 || required.lastIndexOf(true) < required.indexOf(false), kind).toBe(true)
  }
})

it('every fusible activation is a function of the table', () => {
  expect(fusibleActivations.filter((name) => !elementwiseOps.includes(name))).toEqual([])
})
