/** The operator table and the tables beside it belong together. */
import { expect, it } from 'vitest'
import { unaryOps } from '../../../src/model/activation.js'
import { foldedOperators, internalOperators, operatorTable } from '../../../src/model/operators/table.js'
import { shapeRules } from '../../../src/model/shapes/table.js'

it('every operator of a model file has a shape rule', () => {
  const inFiles = [...operatorTable.keys(), ...foldedOperators].filter((op) => !internalOperators.includes(op))
  // A Constant needs no inference.
  expect(inFiles.filter((op) => !shapeRules.has(op))).toEqual(['Constant'])
})

it('every operator that passes make has a step', () => {
  expect(internalOperators.filter((op) => !operatorTable.has(op))).toEqual([])
})

it('every element-wise operator of one tensor has a step', () => {
  expect(unaryOps.filter((op) => !operatorTable.has(op))).toEqual([])
})
