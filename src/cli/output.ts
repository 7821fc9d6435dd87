/** stdout of the commands: aligned columns on a terminal, one JSON object a line when piped or with --json. */

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
    const cells = row.map((cell, column) => (typeof cell === 'number' ? String(cell).padStart(widths[column]!) : cell.padEnd(widths[column]!)))
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`)
  }
}
