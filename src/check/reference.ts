/**
 * Reads the answers of a training tool: a CSV file with one picture a line. The picture's name comes first, then a label, a label
 * with its score, one score for each class, or a label and those. Separators are commas, semicolons or tabs; a heading is optional.
 */
import { GapcamError } from '../errors.js'

/** The tool's answer to one picture. */
export interface ReferenceRow {
  readonly file: string
  /** A label or an index as the tool wrote it; null where only scores are given. */
  readonly label: string | null
  /** The score of the label, 0 to 1. */
  readonly score: number | null
  /** One probability for each class, in the order of `columns`. */
  readonly scores: readonly number[] | null
}

/** A parsed reference. */
export interface Reference {
  readonly rows: readonly ReferenceRow[]
  /** What the heading calls the columns of scores; null without a heading or without such columns. */
  readonly columns: readonly string[] | null
  /** What the file holds, for a sentence. */
  readonly form: string
}

const form =
  'Write one picture a line: file,label or file,label,score or file and one score for each class; docs/models.md has examples.'

const refused = (name: string, what: string): GapcamError =>
  new GapcamError('USAGE', `--reference: ${name}: ${what}`, { hint: form })

const labelHeading = /^(pred|label|class|top.?1|answer|truth|target)/i

/**
 * Parses a reference for a model with so many classes. Throws USAGE; the sentence has `name` and the line.
 *
 *     const { rows } = parseReference('file,label\ncat.jpg,tabby\n', 1000, 'scores.csv')
 */
export function parseReference(text: string, classes: number, name: string): Reference {
  const table = cellsOf(text)
  const width = table[0]?.length ?? 0
  if (table.length === 0) throw refused(name, 'the file is empty')
  if (width < 2) throw refused(name, 'a line needs at least two columns')
  table.forEach((row, i) => {
    if (row.length !== width)
      throw refused(name, `line ${i + 1} has ${row.length} columns, but the first line has ${width}`)
  })
  const heading = isHeading(table) ? table[0]! : null
  const rows = heading ? table.slice(1) : table
  if (rows.length === 0) throw refused(name, 'there is a heading and no picture')
  const { labelAt, scoresAt } = columnsOf(rows, heading, classes, name)
  const convert = conversionOf(rows.map((row) => scoresAt.map((at) => Number(row[at]))))
  return {
    rows: rows.map((row) => {
      const values = convert(scoresAt.map((at) => Number(row[at])))
      const isOne = scoresAt.length === 1
      return {
        file: row[0]!,
        label: labelAt === null ? null : row[labelAt]!,
        score: isOne && labelAt !== null ? values[0]! : null,
        scores:
          scoresAt.length === 0 || (isOne && labelAt !== null) ? null : isOne ? [1 - values[0]!, values[0]!] : values,
      }
    }),
    columns: heading && scoresAt.length > 1 ? scoresAt.map((at) => heading[at]!) : null,
    form: formOf(labelAt !== null, scoresAt.length),
  }
}

function formOf(hasLabel: boolean, scores: number): string {
  if (scores === 0) return 'a label for each picture'
  if (hasLabel)
    return scores === 1 ? 'a label and its score for each picture' : `a label and ${scores} scores for each picture`
  return scores === 1 ? 'one score for each picture' : `${scores} scores for each picture`
}

/** Cells of the lines that are not empty. A cell in quotes may hold separators and doubled quotes. */
function cellsOf(text: string): string[][] {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .filter((line) => line.trim() !== '')
  const separator = ['\t', ';', ','].find((each) => lines[0]?.includes(each)) ?? ','
  const cell = new RegExp(`(?:"((?:[^"]|"")*)"|([^${separator}]*))(?:${separator}|$)`, 'g')
  return lines.map((line) => {
    const cells = [...line.matchAll(cell)].map(([, quoted, plain = '']) =>
      (quoted?.replaceAll('""', '"') ?? plain).trim(),
    )
    // The pattern also matches the nothing behind the last cell.
    return line.endsWith(separator) ? cells : cells.slice(0, cells.length > 1 ? -1 : undefined)
  })
}

const isNumber = (cell: string): boolean => cell !== '' && Number.isFinite(Number(cell))

function isHeading(table: readonly (readonly string[])[]): boolean {
  const [first, second] = table
  if (/^(file|filename|file.?name|image|img|path|picture|name|id|image.?id|)$/i.test(first![0]!)) return true
  return second !== undefined && first!.some((cell, i) => i > 0 && !isNumber(cell) && isNumber(second[i]!))
}

/** Which column holds the label, and which hold scores. Throws USAGE. */
function columnsOf(
  rows: readonly (readonly string[])[],
  heading: readonly string[] | null,
  classes: number,
  name: string,
): { readonly labelAt: number | null; readonly scoresAt: readonly number[] } {
  const others = rows[0]!.map((_, i) => i).slice(1)
  const numbers = others.filter((at) => rows.every((row) => isNumber(row[at]!)))
  const texts = others.filter((at) => !numbers.includes(at))
  const named =
    heading === null
      ? undefined
      : others.find((at) => labelHeading.test(heading[at]!) && !isClassColumns(numbers, classes))
  // A single column of whole numbers are indices; a single column of fractions is the score of two classes.
  const isIndex = numbers.length === 1 && rows.every((row) => /^\d+$/.test(row[numbers[0]!]!))
  const labelAt = named ?? texts[0] ?? (others.length === 1 && isIndex ? others[0]! : null)
  const scoresAt = numbers.filter((at) => at !== labelAt)
  if (texts.length > 1 && heading === null)
    throw refused(
      name,
      `columns ${texts.map((at) => at + 1).join(' and ')} both hold text, and no heading names the label`,
    )
  if (isClassColumns(scoresAt, classes) || scoresAt.length === 0) return { labelAt, scoresAt }
  if (scoresAt.length === 1 && (labelAt !== null || classes <= 2)) return { labelAt, scoresAt }
  throw refused(name, `it has ${scoresAt.length} scores for each picture, but the model has ${classes} classes`)
}

const isClassColumns = (columns: readonly number[], classes: number): boolean =>
  columns.length === classes && classes > 1

/** What makes probabilities of the file's numbers: nothing, a hundredth, or a softmax of logits. */
function conversionOf(all: readonly (readonly number[])[]): (row: readonly number[]) => readonly number[] {
  const [low, high] = [Math.min(...all.map((row) => Math.min(...row))), Math.max(...all.map((row) => Math.max(...row)))]
  if (all[0]!.length === 0 || (low >= 0 && high <= 1.0001)) return (row) => row
  const isPercent = low >= 0 && high <= 100.01 && all.every((row) => row.length === 1 || Math.abs(sumOf(row) - 100) < 2)
  if (isPercent) return (row) => row.map((value) => value / 100)
  return (row) => (row.length === 1 ? [1 / (1 + Math.exp(-row[0]!))] : softmax(row))
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)

function softmax(row: readonly number[]): number[] {
  const greatest = Math.max(...row)
  const powers = row.map((value) => Math.exp(value - greatest))
  const sum = sumOf(powers)
  return powers.map((value) => value / sum)
}

/**
 * The picture of each row, by its path relative to the folder, else by its file name, else by that without its ending. Null for a
 * row that fits no picture, or several.
 */
export function pictureOfRows(rows: readonly ReferenceRow[], pictures: readonly string[]): readonly (string | null)[] {
  const byKey = new Map<string, string | null>()
  for (const picture of pictures)
    for (const key of new Set(keysOf(picture))) byKey.set(key, byKey.has(key) ? null : picture)
  return rows.map(
    ({ file }) =>
      keysOf(file)
        .map((key) => byKey.get(key))
        .find((found) => found != null) ?? null,
  )
}

function keysOf(path: string): readonly string[] {
  const whole = path.replaceAll('\\', '/').replace(/^\.\//, '')
  const parts = whole.split('/')
  const tails = parts.map((_, i) => parts.slice(i).join('/'))
  return [...tails, tails.at(-1)!.replace(/\.[^.]+$/, '')]
}
