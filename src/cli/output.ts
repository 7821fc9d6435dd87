/** stdout of the commands: aligned columns on a terminal, one JSON object a line when piped or with --json. */

import { GapcamError } from '../errors.js'

/**
 * Tells once of a stdout that takes no more, such as a file on a full disk: what is written from then on goes nowhere,
 * and a run goes on. A reader that has gone (`| head -1`) is no fault. Of a stderr like that nobody is left to tell.
 */
export function onOutputFault(tell: (error: GapcamError) => void): void {
  process.stderr.on('error', () => undefined)
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE')
      tell(
        new GapcamError('OUTPUT_NOT_WRITTEN', `results can no longer be written to stdout: ${error.message}`, {
          cause: error,
        }),
      )
  })
}

/** Whether results are objects for programs. */
export function wantsJson(json: boolean | undefined): boolean {
  return json === true || !process.stdout.isTTY
}

export function writeJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** Rows as columns; numbers are right-aligned. The first row is the heading. */
export function writeTable(rows: readonly (readonly (string | number)[])[]): void {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => String(row[column] ?? '').length))) ?? []
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      typeof cell === 'number' ? String(cell).padStart(widths[column]!) : cell.padEnd(widths[column]!),
    )
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`)
  }
}
