/** What a pass does where a resolver refuses a node: it leaves the node alone. */
import { Unsupported } from '../view.js'

/** The result, or null where it throws `Unsupported`. */
export function unlessUnsupported<T>(attempt: () => T): T | null {
  try {
    return attempt()
  } catch (error) {
    if (error instanceof Unsupported) return null
    throw error
  }
}
