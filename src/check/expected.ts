/** The reference in the model's own terms: each answer as an index into one list of labels. */
import { GapcamError } from '../errors.js'
import { classOf } from '../heat/class.js'
import type { Reference, ReferenceRow } from './reference.js'

/** What the training tool says of one picture; `label` is an index into the labels. */
export interface Answer {
  readonly picture: string
  readonly label: number
  readonly score: number | null
  /** By index of the label. */
  readonly scores: Float64Array | null
}

/** All answers that can be compared. */
export interface Expected {
  /** The model's labels; those of the reference where the model has none. */
  readonly labels: readonly string[]
  readonly answers: readonly Answer[]
  /** Labels of the reference that the model does not have. Their pictures are left out. */
  readonly unknown: readonly string[]
}

/**
 * Puts a reference into the terms of a model with these labels. `pictures` has the picture of each row; rows without one are left
 * out. Throws USAGE where nothing remains.
 */
export function expectedOf(
  reference: Reference,
  pictures: readonly (string | null)[],
  given: readonly string[],
): Expected {
  const labels = labelsFor(reference, given)
  const find = finder(labels)
  const columns = columnOrder(reference.columns, labels.length, find)
  const unknown = new Set<string>()
  const answers = reference.rows.flatMap((row, i): readonly Answer[] => {
    const picture = pictures[i]
    if (picture == null) return []
    const scores = row.scores && scoresByLabel(row.scores, columns)
    const label = row.label === null ? bestOf(scores!) : find(row.label)
    if (label === null) unknown.add(row.label!)
    return label === null ? [] : [{ picture, label, score: row.score, scores }]
  })
  if (answers.length === 0 && unknown.size > 0)
    throw new GapcamError(
      'USAGE',
      `--reference: ${[...unknown][0]} is not a label of the model, and neither is any other`,
      {
        hint: `The model's labels begin with ${labels.slice(0, 3).join('; ')}. --labels FILE gives others.`,
      },
    )
  return { labels, answers, unknown: [...unknown] }
}

const isNumbered = (labels: readonly string[]): boolean => labels.every((label, i) => label === `class ${i}`)

/** The model's labels. Where it has none but numbers: the names of the columns, or the labels that occur, in order of the alphabet. */
function labelsFor({ rows, columns }: Reference, given: readonly string[]): readonly string[] {
  if (!isNumbered(given)) return given
  if (columns && new Set(columns).size === given.length && !columns.some((name) => /^\D{0,6}\d+$/.test(name)))
    return columns
  const names = [...new Set(rows.flatMap(({ label }) => (label === null ? [] : [label])))].sort()
  if (names.length === 0 || names.every((name) => /^\d+$/.test(name) || given.includes(name))) return given
  if (names.length > given.length)
    throw new GapcamError(
      'USAGE',
      `--reference: it has ${names.length} labels, but the model has ${given.length} classes`,
    )
  return given.map((label, i) => names[i] ?? label)
}

/** Finds labels, each name once. */
function finder(labels: readonly string[]): (name: string) => number | null {
  const known = new Map<string, number | null>()
  const find = (name: string): number | null => {
    try {
      return classOf(labels, name)
    } catch (error) {
      if (error instanceof GapcamError) return null
      throw error
    }
  }
  return (name) => {
    if (!known.has(name)) known.set(name, find(name))
    return known.get(name)!
  }
}

/** The label of each column; in order of the model where the heading does not name them all. */
function columnOrder(
  columns: readonly string[] | null,
  classes: number,
  find: (name: string) => number | null,
): readonly number[] {
  const inOrder = Array.from({ length: classes }, (_, i) => i)
  const found = (columns ?? []).map(
    (name) => find(name) ?? find(name.replace(/^(p|prob|probability|score)[ _.:-]/i, '')),
  )
  const isComplete = found.length === classes && !found.includes(null) && new Set(found).size === classes
  return isComplete ? (found as number[]) : inOrder
}

function scoresByLabel(scores: NonNullable<ReferenceRow['scores']>, columns: readonly number[]): Float64Array {
  const result = new Float64Array(columns.length)
  scores.forEach((score, i) => {
    result[columns[i]!] = score
  })
  return result
}

/** The index of the greatest number; the first of equal ones. */
export function bestOf(values: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}
