/** Finds the known name that a misspelt one was probably meant to be. */

/**
 * The known name with the fewest edits to `name`, or null if none is close enough to be meant. The last part of a dotted name
 * may stand for the whole name.
 *
 *     nearestOf('treshold', ['policy.threshold', 'page.host']) // 'policy.threshold'
 */
export function nearestOf(name: string, known: readonly string[]): string | null {
  const given = name.toLowerCase()
  const ranked = known
    .flatMap((candidate) => {
      const whole = {
        candidate,
        edits: editDistance(given, candidate.toLowerCase()),
        most: Math.max(2, name.length / 2),
      }
      const part = candidate.slice(candidate.lastIndexOf('.') + 1).toLowerCase()
      return part === candidate.toLowerCase()
        ? [whole]
        : [whole, { candidate, edits: editDistance(given, part) + 0.5, most: name.length / 3 }]
    })
    .filter(({ edits, most }) => edits <= most)
    .sort((a, b) => a.edits - b.edits)
  return ranked[0]?.candidate ?? null
}

/** The Damerau distance: letters to insert, delete, replace, or swap with their neighbour. Computed row by row. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwapped) next[j] = Math.min(next[j]!, before[j - 2]! + 1)
    }
    before = row
    row = next
  }
  return row[b.length]!
}
