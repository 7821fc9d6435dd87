/**
 * Reads label files: one label per line by default; also numbered lines in any order, one line with separators, and JSON
 * lists and maps. The text is UTF-8, or UTF-16 with a byte order mark; anything else is refused by name.
 */
import { readFile } from 'node:fs/promises'
import { fileFaultOf, GapcamError } from '../../errors.js'

/** Reads a label file. Rejects with LABELS_MISMATCH; the sentence names the file and what is wrong with it. */
export async function readLabels(file: string): Promise<string[]> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(file)
  } catch (error) {
    throw new GapcamError('LABELS_MISMATCH', `labels ${file}: ${fileFaultOf(error)}`, {
      hint: 'Check the path and the permissions of the label file.',
    })
  }
  return parseLabels(bytes, file)
}

/** Labels in order of the class index. Throws LABELS_MISMATCH; errors name `file`. */
export function parseLabels(bytes: Uint8Array, file: string): string[] {
  const text = textOf(bytes, file).trim()
  if (/^[[{]/.test(text)) {
    const labels = fromJson(text)
    if (labels) return labels
    if (/\.json$/i.test(file) || isJson(text))
      throw wrong(file, 'is JSON, but neither a list of labels nor a map between labels and indices')
  }
  const lines = linesOf(text)
  const empty = lines.indexOf('')
  if (empty >= 0) throw wrong(file, `line ${empty + 1} is empty`, ':')
  return numbered(lines) ?? lines
}

const wrong = (file: string, what: string, joint = ''): GapcamError =>
  new GapcamError('LABELS_MISMATCH', `labels ${file}${joint} ${what}`)

function textOf(bytes: Uint8Array, file: string): string {
  const [a, b] = bytes
  if (a === 0xff && b === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  if (a === 0xfe && b === 0xff) return new TextDecoder('utf-16be').decode(bytes)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw notUtf8(bytes, file)
  }
  if (!text.includes('\0')) return text
  throw new GapcamError('LABELS_MISMATCH', `labels ${file} is UTF-16 without a byte order mark, or no text at all`, {
    hint: 'Save the label file as UTF-8.',
  })
}

/** Names the first line that is not UTF-8. Single bytes above 127 are Latin-1 or Windows-1252. */
function notUtf8(bytes: Uint8Array, file: string): GapcamError {
  const lines = new TextDecoder('latin1').decode(bytes).split(/\r\n|\n|\r/)
  const isBad = (line: string): boolean => {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(line, (c) => byteOf(c)))
      return false
    } catch {
      return true
    }
  }
  const at = lines.findIndex(isBad)
  return new GapcamError(
    'LABELS_MISMATCH',
    `labels ${file} is not UTF-8 but most likely Latin-1 (Windows-1252): line ${at + 1} reads ${lines[at]} in that encoding`,
    { hint: 'Save the label file as UTF-8.' },
  )
}

/** The byte of a character of Latin-1; characters that only Windows-1252 has are no UTF-8 either way. */
const byteOf = (character: string): number => Math.min(character.charCodeAt(0), 255)

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function linesOf(text: string): string[] {
  const lines = text.split(/\r\n|\n|\r/).map((line) => line.trim())
  const separator = lines.length === 1 ? [';', '\t', ','].find((each) => text.includes(each)) : undefined
  const parts = separator === undefined ? lines : lines[0]!.split(separator).map((part) => part.trim())
  if (parts.length > 1 && parts.at(-1) === '') parts.pop() // a separator at the end
  return parts.every((part) => /^".*"$|^'.*'$/.test(part)) ? parts.map((part) => part.slice(1, -1)) : parts
}

/**
 * Labels behind numbers that count from 0, in any order: `0 cat`, `1: dog`, `2;bird`. From 1 on they count only if a sign
 * divides number and label, because `1 euro`, `2 euro` may be labels.
 */
function numbered(lines: readonly string[]): string[] | null {
  const found = lines.map((line) => /^(\d+)(\s*[:;,=.)\t-]\s*|\s+)(\S.*)$/.exec(line))
  if (lines.length < 2 || found.includes(null)) return null
  const indices = found.map((match) => Number(match![1]))
  const first = Math.min(...indices)
  const isComplete = new Set(indices).size === lines.length && Math.max(...indices) === first + lines.length - 1
  const isDivided = found.every((match) => match![2]!.trim() !== '' || match![2]!.includes('\t'))
  if (!isComplete || !(first === 0 || (first === 1 && isDivided))) return null
  const labels: string[] = []
  found.forEach((match, i) => {
    labels[indices[i]! - first] = match![3]!
  })
  return labels
}

/**
 * The labels in a JSON text: a list, a map from indices to labels or back, or an object that has one of them as `labels`,
 * `names`, `classes` or `id2label`. Null for anything else.
 */
export function fromJson(text: string): string[] | null {
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch {
    return null
  }
  return labelsIn(data)
}

const keys = [
  'labels',
  'names',
  'classes',
  'class_names',
  'label_names',
  'id2label',
  'label2id',
  'class_indices',
] as const

/** The same for a parsed value. */
export function labelsIn(data: unknown): string[] | null {
  if (Array.isArray(data)) return allLabels(data.map(labelOf))
  if (typeof data !== 'object' || data === null) return null
  const entries = Object.entries(data)
  const byIndex = entries.map(([key, value]) => [key, labelOf(value)] as const)
  const byLabel = entries.map(([key, value]) => [String(value), key] as const)
  for (const pairs of [byIndex, byLabel]) {
    if (pairs.length === 0 || !pairs.every(([index]) => /^\d+$/.test(index))) continue
    const labels: (string | null)[] = []
    for (const [index, label] of pairs) if (Number(index) < pairs.length) labels[Number(index)] = label
    return labels.length === pairs.length && Object.keys(labels).length === pairs.length ? allLabels(labels) : null
  }
  const key = keys.find((each) => each in data)
  return key === undefined ? null : labelsIn((data as Record<string, unknown>)[key])
}

/** A label: a text, a number, the last text of a list such as ["n01440764", "tench"], or the name of an object. */
function labelOf(value: unknown): string | null {
  if (typeof value === 'string') return value.trim() === '' ? null : value.trim()
  if (typeof value === 'number') return String(value)
  if (Array.isArray(value))
    return value.length > 0 && value.every((each) => typeof each === 'string') ? labelOf(value.at(-1)) : null
  if (typeof value !== 'object' || value === null) return null
  const { name, label } = value as { readonly name?: unknown; readonly label?: unknown }
  return typeof (name ?? label) === 'string' ? labelOf(name ?? label) : null
}

const allLabels = (labels: readonly (string | null)[]): string[] | null =>
  labels.length > 0 && labels.every((label) => label !== null) ? [...labels] : null

/** Whether a list begins with a name for no class at all, as TensorFlow's label maps for detectors do. */
export function countsNone(labels: readonly string[], classes: number): boolean {
  return labels.length === classes + 1 && ['???', 'background', 'unlabeled'].includes(labels[0]!)
}

/** Names for places that no class uses, as in COCO's list of 90. */
const placeholder = /^(?:\?+|n\/?a|unused|unlabeled|reserved)$/i

/** The labels that stand for several classes, each once, without placeholders. */
export function repeatedLabels(labels: readonly string[]): readonly string[] {
  const seen = new Set<string>()
  return [...new Set(labels.filter((label) => seen.size === seen.add(label).size))].filter(
    (label) => !placeholder.test(label),
  )
}

/**
 * Checks the labels against the number of outputs; without labels returns `class 0`, `class 1`, … One output may have two
 * labels, [negative, positive]. Throws LABELS_MISMATCH, also where all labels are the
 * same; the sentence names `origin`.
 */
export function fitLabels(labels: readonly string[] | null, classes: number, origin: string): readonly string[] {
  if (!labels) return Array.from({ length: classes }, (_, i) => `class ${i}`)
  if (labels.length > 1 && labels.every((label) => label === labels[0]))
    throw new GapcamError(
      'LABELS_MISMATCH',
      `${origin} has ${labels.length} labels, but all of them are ${labels[0]}`,
      {
        hint: 'Write one label per line, a different one for each class.',
      },
    )
  if (labels.length === classes || (classes === 1 && labels.length === 2)) return labels
  if (countsNone(labels, classes)) return labels.slice(1)
  throw new GapcamError(
    'LABELS_MISMATCH',
    `${origin} has ${labels.length} labels, but the model has ${classes} ${classes === 1 ? 'output' : 'outputs'}`,
  )
}
