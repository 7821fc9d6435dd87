/** Names of values for the tensors of a file, in which several tensors may have one name. */
import type { TfliteTensor } from './model.js'

/** By tensor: its name, with its number behind it where another value has that name. */
export function uniqueNames(tensors: readonly Pick<TfliteTensor, 'name' | 'index'>[]): string[] {
  const taken = new Set(tensors.map(({ name }) => name))
  const seen = new Set<string>()
  return tensors.map(({ name, index }) => {
    if (!seen.has(name)) {
      seen.add(name)
      return name
    }
    let unique = `${name}_${index}`
    while (taken.has(unique)) unique += '_'
    taken.add(unique)
    return unique
  })
}
