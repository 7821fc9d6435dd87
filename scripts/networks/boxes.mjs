// Two lists of boxes of one picture beside each other.

/** Boxes whose scores are this near may stand in either order: engines round differently. */
const equalScores = 1e-4

/**
 * `found`: boxes in shares, best first; `reference`: { side, boxes (left, top, right, bottom in pixels), scores, labels }, best
 * first. `same` counts the boxes with the same label and all four sides within a pixel of the reference's at their place in the list;
 * `swapped` those of them that stand beside their place, since the scores there are as good as equal. `pixels` and `score` are the
 * largest differences. Boxes outside of the picture are cut at its edges, as gapcam does, and those without an area are left out.
 */
export function compareBoxes(found, { side, boxes, scores, labels }) {
  const wanted = boxes
    .map((box, i) => ({
      box: box.map((edge) => Math.min(side, Math.max(0, edge))),
      score: scores[i],
      label: String(labels[i]),
    }))
    .filter(({ box: [left, top, right, bottom] }) => right > left && bottom > top)
  let [same, swapped, pixels, score] = [0, 0, 0, 0]
  found.forEach(({ x, y, width, height, ...own }, i) => {
    const sides = [x, y, x + width, y + height].map((share) => share * side)
    const far = ({ box }) => Math.max(...sides.map((edge, k) => Math.abs(edge - box[k])))
    const fits = (other) => other && other.label === own.label && far(other) <= 1
    const near = wanted.filter((other) => Math.abs(other.score - (wanted[i]?.score ?? 2)) <= equalScores)
    const other = fits(wanted[i]) ? wanted[i] : near.find(fits)
    if (!other) return
    same++
    if (other !== wanted[i]) swapped++
    pixels = Math.max(pixels, far(other))
    score = Math.max(score, Math.abs(own.score - other.score))
  })
  return { boxes: found.length, reference: wanted.length, same, swapped, pixels, score }
}
