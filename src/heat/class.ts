/** Which class somebody means: by its label, by one of the names in it, or by its index. */
import { GapcamError } from '../errors.js'

/** Throws USAGE where no class, or more than one, is meant. */
export function classOf(labels: readonly string[], asked: string): number {
  const exact = labels.indexOf(asked)
  if (exact >= 0) return exact
  if (/^\d+$/.test(asked)) {
    const index = Number(asked)
    if (index < labels.length) return index
    throw new GapcamError('USAGE', `class ${asked} is none of the model's ${labels.length}, which count from 0`)
  }
  const wanted = asked.trim().toLowerCase()
  const named = labels.flatMap((label, index) =>
    label.split(',').some((name) => name.trim().toLowerCase() === wanted) ? [index] : [],
  )
  if (named.length === 1) return named[0]!
  const why = named.length === 0 ? 'is no label of the model' : `is the name of the classes ${named.join(', ')}`
  throw new GapcamError('USAGE', `${JSON.stringify(asked)} ${why}`, {
    hint: "Give a label as the label file has it, one of the names in it, or the class's index.",
  })
}
