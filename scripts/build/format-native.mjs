// Formats native/ by clang-format and .clang-format. With --check it only lists the files that would change, and the exit
// status is 1 where there are any. Generated files are left out.
import { spawnSync } from 'node:child_process'
import { chmodSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const generated = ['kernels/steps.h', 'plan/step_table.h']

/** The binary for this machine. Its package marks it executable in an install script, which we do not run. */
function clangFormat() {
  const folder = dirname(createRequire(import.meta.url).resolve('clang-format-node/package.json'))
  const program = join(folder, `bin/cfn-${process.platform}-${process.arch}/clang-format`)
  chmodSync(program, 0o755)
  return program
}

const isCheck = process.argv.includes('--check')
const files = readdirSync(join(root, 'native'), { recursive: true })
  .filter((name) => /\.(cc|h|inl|cu|cuh)$/.test(name) && !generated.includes(name))
  .map((name) => join('native', name))
const { status, error } = spawnSync(clangFormat(), [...(isCheck ? ['--dry-run', '--Werror'] : ['-i']), ...files], {
  cwd: root,
  stdio: 'inherit',
})
if (error) console.error(`clang-format did not start: ${error.message}`)
process.exitCode = status ?? 1
