/**
 * Boxes before suppression, in memory that is reused: corners in shares of the network's input, the score, and the
 * class. What is not finite is no box.
 */

export interface Candidates {
  left: Float32Array
  top: Float32Array
  right: Float32Array
  bottom: Float32Array
  score: Float32Array
  label: Int32Array
  /** How many there are; the rest of the memory is of earlier pictures. */
  count: number
}

/** Room for so many boxes. */
export function makeCandidates(most: number): Candidates {
  const floats = (): Float32Array => new Float32Array(most)
  return {
    left: floats(),
    top: floats(),
    right: floats(),
    bottom: floats(),
    score: floats(),
    label: new Int32Array(most),
    count: 0,
  }
}

/** Empties the list, with room for so many boxes from now on. */
export function clearCandidates(all: Candidates, most: number): void {
  if (most > all.score.length) Object.assign(all, makeCandidates(most))
  all.count = 0
}

/** Adds a box. One without an area, or whose corners are not finite, is left out; it may lie partly outside of the input. */
export function addCandidate(
  all: Candidates,
  [left, top, right, bottom]: readonly [number, number, number, number],
  score: number,
  label: number,
): void {
  if (!(right > left && bottom > top) || !Number.isFinite((right - left) * (bottom - top))) return
  const i = all.count++
  all.left[i] = left
  all.top[i] = top
  all.right[i] = right
  all.bottom[i] = bottom
  all.score[i] = score
  all.label[i] = label
}
