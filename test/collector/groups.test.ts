/** Grouping of vectors. */
import { expect, it } from 'vitest'
import { groupsOf, sizeOf } from '../../src/collector/groups.js'
import { compared } from '../../src/collector/vectors.js'
import { Random } from '../random.js'

/** Points around some centres, in turn, with every seventh point a near copy of the one before. */
function points(
  centres: number,
  count: number,
  seed: number,
): { readonly of: number[]; readonly vectors: Float32Array[] } {
  const random = new Random(seed)
  const noise = (): number => random.next() - 0.5
  const middles = Array.from({ length: centres }, () => Array.from({ length: 40 }, () => 3 * noise()))
  const vectors: Float32Array[] = []
  const of: number[] = []
  for (let i = 0; i < count; i++) {
    const isCopy = i % 7 === 6
    of.push(isCopy ? of[i - 1]! : i % centres)
    vectors.push(
      Float32Array.from({ length: 40 }, (_, k) =>
        isCopy ? vectors[i - 1]![k]! + 0.02 * noise() : middles[of[i]!]![k]! + 1.2 * noise(),
      ),
    )
  }
  return { of, vectors }
}

function productsOf(vectors: readonly Float32Array[]): Float64Array {
  return Float64Array.from(
    vectors.flatMap((a) => vectors.map((b) => a.reduce((sum, value, k) => sum + value * b[k]!, 0))),
  )
}

const grouped = (vectors: readonly Float32Array[]): ReturnType<typeof groupsOf> =>
  groupsOf(productsOf(compared(vectors.map((values) => ({ split: 25, values })))), vectors.length)

it('finds the centres, shows near copies as one, and leaves nothing out', () => {
  const { of, vectors } = points(5, 140, 1)
  const groups = grouped(vectors)
  expect(groups.length).toBeLessThanOrEqual(12)
  for (const group of groups) expect(new Set(group.flat().map((i) => of[i])).size).toBe(1)
  expect(groups.flat(2).sort((a, b) => a - b)).toEqual(Array.from({ length: 140 }, (_, i) => i))
  const twins = groups.flat().filter(({ length }) => length > 1)
  expect(twins).toHaveLength(20)
  for (const [first, second] of twins) expect(second! - first!).toBe(1)
  expect(groups.map(sizeOf)).toEqual(groups.map(sizeOf).toSorted((a, b) => b - a))
})

it('gives the same groups for the same vectors', () => {
  const { vectors } = points(4, 60, 2)
  expect(grouped(vectors)).toEqual(grouped(vectors))
})

it('handles none, one, two equal and many equal vectors', () => {
  expect(groupsOf(new Float64Array(0), 0)).toEqual([])
  expect(groupsOf(Float64Array.of(1), 1)).toEqual([[[0]]])
  expect(groupsOf(new Float64Array(4).fill(1), 2)).toEqual([[[0, 1]]])
  expect(groupsOf(new Float64Array(900).fill(1), 30)).toEqual([[Array.from({ length: 30 }, (_, i) => i)]])
})

it('makes at most twelve groups, however different the pictures are', () => {
  const unlike = Float64Array.from({ length: 40 * 40 }, (_, i) => (i % 41 === 0 ? 1 : 0))
  expect(groupsOf(unlike, 40)).toHaveLength(12)
})
