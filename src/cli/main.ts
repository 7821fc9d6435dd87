#!/usr/bin/env node
/**
 * The program. `once` comes from the bundle (scripts/build/once.mjs), because a battery pays for each start: loading some
 * three hundred files takes more time than the rest of its work.
 */
import { statSync } from 'node:fs'

const args = process.argv.slice(2)
const bundle = new URL('../once/program.js', import.meta.url)

/** A bundle of an earlier build is not used. */
function isNew(): boolean {
  const [bundled, built] = [bundle, new URL('program.js', import.meta.url)].map(
    (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs,
  )
  return bundled !== undefined && built !== undefined && bundled >= built
}

const { load } = (await import(
  args[0] === 'once' && isNew() ? bundle.href : './program.js'
)) as typeof import('./program.js')
await (await load(args))()
