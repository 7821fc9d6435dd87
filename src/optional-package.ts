/**
 * Loads packages that gapcam does not install: who switches on what needs one installs it beside gapcam. Nothing is loaded before.
 */
import { GapcamError, messageOf } from './errors.js'

export interface OptionalPackage {
  readonly name: string
  /** What needs it, as the beginning of a sentence: `opcua`. */
  readonly neededBy: string
  /** What to do instead or besides, after the command that installs it. */
  readonly more?: string | undefined
}

/**
 * Resolves with what the package exports. Rejects with CONFIG_INVALID where it is not installed, and where it is but does not
 * load, such as one for another version of Node.
 *
 *     const { Client } = await loadOptional<{ Client: Driver }>({ name: 'pg', neededBy: 'PostgreSQL' })
 */
export async function loadOptional<T>({ name, neededBy, more }: OptionalPackage): Promise<T> {
  try {
    const loaded = (await import(name)) as { readonly default?: T }
    // A CommonJS package is the default export; an ES module may have only named ones.
    return loaded.default ?? (loaded as T)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const isAbsent = code === 'ERR_MODULE_NOT_FOUND' && messageOf(error).includes(`'${name}'`)
    const why = isAbsent
      ? 'which is not installed'
      : `which does not load on Node ${process.versions.node}: ${messageOf(error).split('\n')[0]}`
    throw new GapcamError('CONFIG_INVALID', `${neededBy} needs the package ${name}, ${why}`, {
      cause: error,
      hint: `Install it beside gapcam with npm install ${name}${more ?? ''}.`,
    })
  }
}
