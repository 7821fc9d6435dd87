/** Runs `gapcam doctor --json` for the tests of this folder. Every warning and failure must have a fix. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect } from 'vitest'
import type { Check } from '../../src/doctor/doctor.js'
import { endAll, gapcam } from '../process.js'
import { cleanUp } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

export const bird = join(projectRoot, 'models/photos/bird.jpg')
/** Flags for a small model, where the model does not matter. */
export const small = ['--model', join(projectRoot, 'models/convnet-gap.onnx'), '--threads', '1']

export interface Report {
  readonly status: number
  readonly checks: readonly Check[]
}

/** A folder for the files of one test file. It is removed, and all programs are ended, after the tests. */
export function testFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-doctor-'))
  afterEach(async () => {
    await endAll()
    await cleanUp()
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The report of `gapcam doctor ARGS --json`, its exit status, and its checks by name. */
export async function doctor(...args: string[]): Promise<Report & { exit: unknown; of(name: string): Check }> {
  const run = gapcam(['doctor', ...args, '--json'])
  const exit = await run.ended
  expect(run.stdout(), run.stderr()).not.toBe('')
  const report = JSON.parse(run.stdout()) as Report
  for (const { verdict, fix, name } of report.checks)
    if (verdict === 'warn' || verdict === 'fail') expect(fix, name).toMatch(/\w/)
  expect(exit).toBe(report.status)
  return {
    ...report,
    exit,
    of: (name) =>
      report.checks.find((check) => check.name === name) ??
      expect.fail(`no check ${name} in ${report.checks.map((check) => check.name).join(', ')}`),
  }
}
