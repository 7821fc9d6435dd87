/** Where a resolver refuses a node, a pass leaves the node as it is. */
import { Unsupported } from '../graph.js'

/** The result of `attempt`, or null where it throws `Unsupported`. */
export function unlessUnsupported<T>(attempt: () => T): T | null {
  try {
    return attempt()
  } catch (error) {
    if (error instanceof Unsupported) return null
    throw error
  }
}
