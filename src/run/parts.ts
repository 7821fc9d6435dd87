/**
 * Opens the parts of something in order and closes them in reverse, also when one of them fails to open. Each part is a
 * row: what it opens, what it needs, how it opens, how it closes. The order of the rows is the order of opening.
 */
import type { Logger } from '../log.js'

/** One row. `P` names all parts with their types. */
export interface PartRow<P> {
  readonly opens: keyof P & string
  /** Parts of rows above, which `open` may read. */
  readonly needs: readonly (keyof P & string)[]
  readonly open: (parts: P) => unknown
  readonly close?: ((part: never, parts: P) => Promise<void> | void) | undefined
}

/** Makes rows for parts `P`. The compiler checks that `open` and `close` read nothing but what the row needs. */
export function rowsOf<P>() {
  return <K extends keyof P & string, N extends keyof P & string = never>(row: {
    readonly opens: K
    readonly needs: readonly N[]
    readonly open: (parts: Readonly<Pick<P, N>>) => Promise<P[K]> | P[K]
    readonly close?: (part: P[K], parts: Readonly<Pick<P, N>>) => Promise<void> | void
  }): PartRow<P> => row as unknown as PartRow<P>
}

export interface OpenParts<P> {
  readonly parts: Readonly<P>
  /** Closes all parts, the last one first. A part that fails to close does not keep the others open; rejects with the first failure. */
  close(): Promise<void>
}

/**
 * Opens all rows. When one fails, the parts above it are closed and the failure is thrown. Throws TypeError for a row that
 * needs a part which no row above it opens.
 */
export async function openParts<P extends object>(
  rows: readonly PartRow<P>[],
  log: Pick<Logger, 'debug'>,
): Promise<OpenParts<P>> {
  const parts: Partial<P> = {}
  const opened: PartRow<P>[] = []

  async function close(): Promise<void> {
    const failures: unknown[] = []
    for (const row of opened.splice(0).reverse()) {
      log.debug({ part: row.opens }, `closing ${row.opens}`)
      try {
        await row.close?.(parts[row.opens] as never, parts as P)
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }

  for (const row of rows) {
    const missing = row.needs.find((name) => !(name in parts))
    try {
      if (missing !== undefined) throw new TypeError(`Expected ${missing} to be opened before ${row.opens}`)
      log.debug({ part: row.opens }, `opening ${row.opens}`)
      parts[row.opens] = (await row.open(parts as P)) as P[keyof P & string]
      opened.push(row)
    } catch (error) {
      await close().catch(() => undefined) // the failure to open is the one to report
      throw error
    }
  }
  return { parts: parts as P, close }
}
