/** Rows of the fault table in their bounded size, by the script that also runs the full size. */
import { expect, it } from 'vitest'
import { launch } from '../process.js'
import { projectRoot } from '../shared.js'

interface Report {
  readonly isHeld: boolean
  readonly failures?: readonly string[]
}

/** One test: the row runs in a separate process, and its condition holds. */
export function itHolds(title: string, row: string, more: Record<string, unknown> = {}): void {
  it(title, { timeout: 240_000 }, async () => {
    const run = launch(process.execPath, ['--expose-gc', `${projectRoot}scripts/faults/campaign.mjs`, '--row', row])
    const status = await run.ended
    const report = JSON.parse(run.stdout() || '{}') as Report
    expect(report.failures ?? [], run.stderr()).toEqual([])
    expect(report, run.stderr()).toMatchObject({ isHeld: true, ...more })
    expect(status).toBe(0)
  })
}
