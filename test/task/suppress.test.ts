/** Suppression keeps the best boxes, in order, and nothing that overlaps with a better one. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { addCandidate, clearCandidates, makeCandidates, type Candidates } from '../../src/task/detect/candidates.js'
import { createSuppressor, overlapOf } from '../../src/task/detect/suppress.js'

type Given = readonly [x: number, y: number, w: number, h: number, score: number, label: number]
const share = fc.double({ min: 0, max: 1, noNaN: true })
const boxes = fc.array(
  fc.tuple(
    share,
    share,
    fc.double({ min: 0.01, max: 1, noNaN: true }),
    fc.double({ min: 0.01, max: 1, noNaN: true }),
    share,
    fc.nat(2),
  ),
  { maxLength: 40 },
)

const memory = makeCandidates(1)
function candidates(given: readonly Given[]): Candidates {
  clearCandidates(memory, given.length)
  for (const [x, y, w, h, score, label] of given) addCandidate(memory, [x, y, x + w, y + h], score, label)
  return memory
}

it.each([true, false])('as the definition says it, with classes apart: %s', (perClass) => {
  const suppress = createSuppressor({ overlap: 0.4, perClass, suppression: 'plain', most: 12 })
  fc.assert(
    fc.property(boxes, (given) => {
      const all = candidates(given)
      const order = Array.from({ length: all.count }, (_, i) => i).sort(
        (a, b) => all.score[b]! - all.score[a]! || a - b,
      )
      const wanted: number[] = []
      for (const i of order)
        if (wanted.every((k) => (perClass && all.label[k] !== all.label[i]) || overlapOf(all, k, i) <= 0.4))
          wanted.push(i)
      expect(Array.from(suppress(all))).toEqual(wanted.slice(0, 12))
    }),
    { numRuns: 100 },
  )
})

it('a weighted box lies between those that it stands for, and each is used once', () => {
  const suppress = createSuppressor({ overlap: 0.3, perClass: false, suppression: 'weighted', most: 40 })
  fc.assert(
    fc.property(boxes, (given) => {
      const all = candidates(given.filter(([, , , , score]) => score > 0.01))
      const [low, high] = [Math.min(...all.left.subarray(0, all.count)), Math.max(...all.right.subarray(0, all.count))]
      const kept = Array.from(suppress(all))
      expect(new Set(kept).size).toBe(kept.length)
      for (const i of kept) {
        expect(all.left[i]).toBeGreaterThanOrEqual(low - 1e-5)
        expect(all.right[i]).toBeLessThanOrEqual(high + 1e-5)
      }
    }),
    { numRuns: 60 },
  )
})

it('keeps everything with an overlap of 1, also boxes that are the same', () => {
  const suppress = createSuppressor({ overlap: 1, perClass: false, suppression: 'plain', most: 9 })
  expect(
    Array.from(
      suppress(
        candidates([
          [0, 0, 1, 1, 0.5, 0],
          [0, 0, 1, 1, 0.5, 0],
          [0, 0, 1, 1, 0.9, 1],
        ]),
      ),
    ),
  ).toEqual([2, 0, 1])
})
