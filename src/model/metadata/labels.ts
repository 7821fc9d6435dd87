/** Reads label files: one label per line; the line number minus 1 is the class index. */
import { readFile } from 'node:fs/promises'
import { GapcamError, messageOf } from '../../errors.js'

/** Reads a label file. Empty lines at the end are ignored; an empty line in between is an error (LABELS_MISMATCH). */
export async function readLabels(file: string): Promise<string[]> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new GapcamError('LABELS_MISMATCH', `labels ${file} cannot be read: ${messageOf(error)}`, {
      hint: 'Check the path of the label file.',
    })
  }
  const labels = text
    .replace(/^\uFEFF/, '')
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => line.trim())
  const empty = labels.indexOf('')
  if (empty >= 0) throw new GapcamError('LABELS_MISMATCH', `labels ${file}: line ${empty + 1} is empty`)
  return labels
}

/**
 * Checks the labels against the number of outputs; without labels returns `class 0`, `class 1`, … One output may have two
 * labels, [negative, positive]. Throws LABELS_MISMATCH; the sentence names `origin`.
 */
export function fitLabels(labels: readonly string[] | null, classes: number, origin: string): readonly string[] {
  if (!labels) return Array.from({ length: classes }, (_, i) => `class ${i}`)
  if (labels.length === classes || (classes === 1 && labels.length === 2)) return labels
  throw new GapcamError(
    'LABELS_MISMATCH',
    `${origin} has ${labels.length} labels, but the model has ${classes} ${classes === 1 ? 'output' : 'outputs'}`,
  )
}
