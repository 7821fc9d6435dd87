/**
 * Non-maximum suppression: of boxes that overlap, the one with the best score stays. Equal scores stay in the order of the
 * outputs. Pure arithmetic on memory that is made once.
 */
import type { Candidates } from './candidates.js'

export interface SuppressOptions {
  /** Intersection over union above which the lesser box goes; 1 keeps all. */
  readonly overlap: number
  readonly perClass: boolean
  /** `weighted`: the kept box becomes the mean, weighted by scores, of those that it stands for. */
  readonly suppression: 'plain' | 'weighted'
  /** Most boxes that stay. */
  readonly most: number
}

/** More candidates than this are cut to the best: the cost grows with the square. */
export const mostCandidates = 2048

/** Keeps the best; call it with the same candidates' memory each time. */
export type Suppressor = (all: Candidates) => ArrayLike<number> & { readonly length: number }

/** A suppressor that gives the indices of the boxes that stay, best first; the memory is valid until its next call. */
export function createSuppressor(options: SuppressOptions): Suppressor {
  const kept = new Int32Array(options.most)
  let order: number[] = []
  return (all) => {
    order.length = 0
    for (let i = 0; i < all.count; i++) order.push(i)
    order.sort((a, b) => all.score[b]! - all.score[a]! || a - b)
    if (order.length > mostCandidates) order = order.slice(0, mostCandidates)
    const count =
      options.suppression === 'weighted' ? weighted(all, order, options, kept) : plain(all, order, options, kept)
    return kept.subarray(0, count)
  }
}

function plain(all: Candidates, order: readonly number[], options: SuppressOptions, kept: Int32Array): number {
  const { overlap, perClass, most } = options
  let count = 0
  for (const i of order) {
    if (count === most) break
    let stays = true
    for (let k = 0; stays && k < count && overlap < 1; k++) {
      const other = kept[k]!
      stays = (perClass && all.label[other] !== all.label[i]) || !(overlapOf(all, other, i) > overlap)
    }
    if (stays) kept[count++] = i
  }
  return count
}

/** The box of each group is the mean of the group, weighted by scores; its score is the best one's. */
function weighted(all: Candidates, order: readonly number[], options: SuppressOptions, kept: Int32Array): number {
  let rest = order
  let count = 0
  while (rest.length > 0 && count < options.most) {
    const best = rest[0]!
    const others: number[] = []
    let [left, top, right, bottom, sum] = [0, 0, 0, 0, 0]
    for (const i of rest) {
      const isApart = options.perClass && all.label[i] !== all.label[best]
      if (i !== best && (isApart || !(overlapOf(all, best, i) > options.overlap))) {
        others.push(i)
        continue
      }
      const score = all.score[i]!
      left += score * all.left[i]!
      top += score * all.top[i]!
      right += score * all.right[i]!
      bottom += score * all.bottom[i]!
      sum += score
    }
    all.left[best] = left / sum
    all.top[best] = top / sum
    all.right[best] = right / sum
    all.bottom[best] = bottom / sum
    kept[count++] = best
    rest = others
  }
  return count
}

/** Intersection over union of two boxes, 0 to 1. */
export function overlapOf({ left, top, right, bottom }: Candidates, a: number, b: number): number {
  const width = Math.min(right[a]!, right[b]!) - Math.max(left[a]!, left[b]!)
  const height = Math.min(bottom[a]!, bottom[b]!) - Math.max(top[a]!, top[b]!)
  if (!(width > 0 && height > 0)) return 0
  const both = width * height
  const area = (i: number): number => (right[i]! - left[i]!) * (bottom[i]! - top[i]!)
  return both / (area(a) + area(b) - both)
}
