/** Drafts of plans: shapes of more than five sizes, aliases, and tensors that a plan cannot hold. */
import { describe, expect, it } from 'vitest'
import { DraftBuilder, planShape } from '../../src/model/draft.js'

describe('planShape', () => {
  it('keeps up to five sizes and joins the first ones of more', () => {
    expect(planShape([2, 3, 4, 5, 6])).toEqual([2, 3, 4, 5, 6])
    expect(planShape([2, 3, 4, 5, 6, 7])).toEqual([6, 4, 5, 6, 7])
    expect(planShape([])).toEqual([])
  })
})

describe('a draft', () => {
  it('gives an alias the memory and type of its tensor', () => {
    const draft = new DraftBuilder()
    const indices = draft.constant('indices', [4], Int32Array.of(1, 2, 3, 4))
    const alias = draft.alias('matrix', [2, 2], indices)
    expect(draft.tensors[alias]).toMatchObject({ type: 'int32', root: indices, shape: [2, 2] })
    expect(draft.tensors[alias]!.bytes).toBe(draft.tensors[indices]!.bytes)
  })

  it('refuses empty tensors and tensors of 2 GiB', () => {
    const draft = new DraftBuilder()
    expect(() => draft.tensor('x', [1, 0, 3])).toThrow('x has the empty shape [1, 0, 3]')
    expect(() => draft.tensor('x', [2 ** 29])).toThrow('x is larger than a plan may be')
    expect(draft.tensors).toEqual([])
  })

  it('refuses a broadcast within the sizes that a plan joins', () => {
    const draft = new DraftBuilder()
    const shape = [2, 3, 1, 1, 1, 4]
    const [x, y] = [draft.tensor('x', shape), draft.tensor('y', shape)]
    const add = (z: number): void =>
      draft.step({
        kind: 'binary',
        name: 'add',
        inputs: [x, z],
        outputs: [y],
        parameters: { op: 'add', activation: 'none', a: 0, b: 0 },
      })
    expect(() => add(draft.tensor('row', [3, 1, 1, 1, 4]))).toThrow('it broadcasts among 6 dimensions')
    add(draft.tensor('one', [4]))
    expect(draft.steps).toHaveLength(1)
  })
})
