#!/usr/bin/env node
/**
 * The program. `once` and `run` come from the bundle (scripts/build/bundle.mjs). A battery pays for each start of `once`,
 * and loading some three hundred files takes more time than the rest of its work. `run` stays, and a bundle takes less memory.
 */
import { statSync } from 'node:fs'

const args = process.argv.slice(2)
const bundle = new URL('../program/program.js', import.meta.url)

/** A bundle of an earlier build is not used. */
function isNew(): boolean {
  const [bundled, built] = [bundle, new URL('program.js', import.meta.url)].map(
    (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs,
  )
  return bundled !== undefined && built !== undefined && bundled >= built
}

const { load } = (await import(
  (args[0] === 'once' || args[0] === 'run') && isNew() ? bundle.href : './program.js'
)) as typeof import('./program.js')
await (await load(args))()
