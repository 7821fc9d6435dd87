/** What commands write to stdout: aligned columns on a terminal, one JSON object per line in a pipe or with --json. */
import { GapcamError, writeFaultOf } from '../errors.js'

/**
 * Calls `tell` once if stdout can no longer be written, such as a file on a full disk. Later output is lost, and a run goes
 * on. A closed reader (`| head -1`) is not a fault. Faults of stderr are ignored, since there is nowhere to report them.
 */
export function onOutputFault(tell: (error: GapcamError) => void): void {
  process.stderr.on('error', () => undefined)
  let isTold = false
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || isTold) return
    isTold = true
    tell(
      new GapcamError('OUTPUT_NOT_WRITTEN', `results can no longer be written to stdout: ${writeFaultOf(error)}`, {
        cause: error,
      }),
    )
  })
}

/** Whether results are written as JSON: with --json, or if stdout is not a terminal. */
export function wantsJson(json: boolean | undefined): boolean {
  return json === true || !process.stdout.isTTY
}

/** Writes one line of JSON. */
export function writeJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** Writes rows as columns. Numbers are right-aligned. The first row is the heading. */
export function writeTable(rows: readonly (readonly (string | number)[])[]): void {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => String(row[column] ?? '').length))) ?? []
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      typeof cell === 'number' ? String(cell).padStart(widths[column]!) : cell.padEnd(widths[column]!),
    )
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`)
  }
}
