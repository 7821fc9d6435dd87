// Two lists of boxes of one picture beside each other.

/**
 * `found`: boxes in shares, best first; `reference`: { side, boxes (left, top, right, bottom in pixels), scores, labels }, best
 * first. `same` counts the places in the list with the same label and all four sides within a pixel; boxes outside of the
 * picture are cut at its edges, as gapcam does, and those without an area are left out.
 */
export function compareBoxes(found, { side, boxes, scores, labels }) {
  const wanted = boxes
    .map((box, i) => ({
      box: box.map((edge) => Math.min(side, Math.max(0, edge))),
      score: scores[i],
      label: labels[i],
    }))
    .filter(({ box: [left, top, right, bottom] }) => right > left && bottom > top)
  let [same, pixels, score] = [0, 0, 0]
  found.forEach(({ x, y, width, height, ...own }, i) => {
    const other = wanted[i]
    if (!other) return
    const sides = [x, y, x + width, y + height].map((share) => share * side)
    const far = Math.max(...sides.map((edge, k) => Math.abs(edge - other.box[k])))
    pixels = Math.max(pixels, far)
    score = Math.max(score, Math.abs(own.score - other.score))
    if (far <= 1 && String(other.label) === own.label) same++
  })
  return { boxes: found.length, reference: wanted.length, same, pixels, score }
}
