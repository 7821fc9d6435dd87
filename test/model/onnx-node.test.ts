/**
 * A committed list has every node test of ONNX: passed natively, left out with a reason, or disputed. Review a change,
 * then write the list with UPDATE_NODE_TESTS=1.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { operatorTable, internalOperators } from '../../src/model/operators/table.js'
import { parseModel } from '../../src/model/onnx/onnx.js'
import { projectRoot } from '../shared.js'
import { caseNames, folder, runCase } from './onnx-node-tests.js'

interface List {
  count: { passed: number; leftOut: number; disputed: number }
  passed: string[]
  /** By reason. */
  leftOut: Record<string, string[]>
  /** Cases whose expected result gapcam does not follow, by name with the reason. */
  disputed: Record<string, string>
}

const file = join(projectRoot, 'test/model/onnx-node-tests.json')
const readList = (): List => JSON.parse(readFileSync(file, 'utf8')) as List

it('every case has the outcome of the committed list', async () => {
  const list = readList()
  const found: List = {
    count: { passed: 0, leftOut: 0, disputed: Object.keys(list.disputed).length },
    passed: [],
    leftOut: {},
    disputed: list.disputed,
  }
  const failed: string[] = []
  for (const name of caseNames()) {
    const outcome = await runCase(name)
    if ('passed' in outcome) found.passed.push(name)
    else if ('leftOut' in outcome) (found.leftOut[outcome.leftOut] ??= []).push(name)
    else if (!(name in list.disputed)) failed.push(`${name}: ${outcome.failed}`)
  }
  found.count = { ...found.count, passed: found.passed.length, leftOut: Object.values(found.leftOut).flat().length }
  expect(failed).toEqual([])
  if (process.env['UPDATE_NODE_TESTS'] === '1') writeFileSync(file, `${JSON.stringify(found, null, 1)}\n`)
  else expect(found).toEqual(list)
}, 120_000)

describe('the cases that passed', () => {
  it('include every operator of the table', () => {
    const opsOf = (name: string): string[] =>
      parseModel(readFileSync(join(folder, name, 'model.onnx'))).graph.nodes.map(({ op }) => op)
    const covered = new Set(readList().passed.flatMap(opsOf))
    const missing = [...operatorTable.keys()].filter((op) => !covered.has(op) && !internalOperators.includes(op))
    expect(missing).toEqual([])
  })

  it('are at least 500', () => expect(readList().passed.length).toBeGreaterThanOrEqual(500))
})
