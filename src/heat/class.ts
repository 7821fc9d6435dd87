/** Finds the class that a user names: by its label, by one of the names in the label, or by its index. */
import { GapcamError } from '../errors.js'

/**
 * The index of the named class. Throws USAGE when no class matches, or more than one.
 *
 *     classOf(['tabby, tabby cat', 'Egyptian cat'], 'tabby') // 0
 */
export function classOf(labels: readonly string[], asked: string): number {
  const exact = labels.indexOf(asked)
  if (exact >= 0) return exact
  if (/^\d+$/.test(asked)) {
    const index = Number(asked)
    if (index < labels.length) return index
    throw new GapcamError('USAGE', `there is no class ${asked}: the model has ${labels.length} classes`, {
      hint: `Give an index from 0 to ${labels.length - 1}.`,
    })
  }
  const wanted = asked.trim().toLowerCase()
  const named = labels.flatMap((label, index) =>
    label.split(',').some((name) => name.trim().toLowerCase() === wanted) ? [index] : [],
  )
  if (named.length === 1) return named[0]!
  const why = named.length === 0 ? 'is not a label of the model' : `names several classes: ${named.join(', ')}`
  throw new GapcamError('USAGE', `${JSON.stringify(asked)} ${why}`, {
    hint: 'Give a label exactly as in the label file, one of the names in a label, or the index of a class.',
  })
}
