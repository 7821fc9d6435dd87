/** The formatters would change nothing and the linter finds nothing. `npm run format` mends what can be mended. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { projectRoot } from './shared.js'

function output(script: string, ...args: readonly string[]): { readonly status: number | null; readonly text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(projectRoot, script), ...args], {
    cwd: projectRoot,
    encoding: 'utf8',
  })
  return { status, text: stdout + stderr }
}

it('Biome finds nothing in TypeScript, JavaScript and CSS', () => {
  const { status, text } = output('node_modules/@biomejs/biome/bin/biome', 'ci', '--max-diagnostics=50')
  expect(status, text).toBe(0)
})

it('clang-format would change nothing in native/', () => {
  const { status, text } = output('scripts/build/format-native.mjs', '--check')
  expect(status, text).toBe(0)
})
