/** Disks without room and without the right to write, as the command line meets them: real mounts in a namespace of their own. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { cleanEnvironment, cli } from '../process.js'
import { freshFolder, makeBundle } from './bundles.js'

const folder = freshFolder()
const state = join(folder, 'state')
mkdirSync(state)
let bundles: string[]

/** Runs a script after `mount` in mount and user namespaces. */
function within(mount: string, script: string): { readonly status: number | null; readonly output: string } {
  const gapcam = `gapcam() { '${process.execPath}' '${cli}' model "$@"; }`
  const env = { ...cleanEnvironment(), GAPCAM_STATE_DIR: state }
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['-Urm', 'sh', '-c', `set -e; ${mount}; ${gapcam}; ${script}`],
    { encoding: 'utf8', env },
  )
  return { status, output: stdout + stderr }
}
const hasNamespaces = spawnSync('unshare', ['-Urm', 'true']).status === 0

// Needs user and mount namespaces (unshare -Urm).
describe.skipIf(!hasNamespaces)('a bundle', () => {
  beforeAll(async () => {
    bundles = [(await makeBundle(folder)).file, (await makeBundle(folder, { version: '1.1.0' })).file]
  })

  it('is refused where the disk has no room for a second slot, and the first one serves on', () => {
    // One bundle, half of another, and what gapcam keeps free.
    const bytes = 2 ** 20 + 1.5 * statSync(bundles[0]!).size
    const { status, output } = within(
      `mount -t tmpfs -o size=${Math.ceil(bytes / 1024)}k none ${state}`,
      `gapcam install ${bundles[0]}; gapcam install ${bundles[1]} || echo "status $?"; gapcam list`,
    )
    expect(output).toMatch(/no room for bundle .*: it needs [\d.]+ MB, and [\d.]+ MB are free/)
    expect(output).toMatch(/status 4\n/)
    expect(output).toMatch(/"serving":\{[^}]*"version":"1\.0\.0"/)
    expect(status).toBe(0)
  })

  it('is refused with a sentence on a read-only disk', () => {
    const { status, output } = within(
      `mount --bind ${state} ${state}; mount -o remount,ro,bind ${state}`,
      `gapcam install ${bundles[0]}`,
    )
    expect(output).toMatch(/cannot be written: the file system is read-only/)
    expect(status).toBe(4)
  })

  it('is not packed, with a sentence, where no temporary file can be written', () => {
    const { status, output } = within(
      `mount --bind ${state} ${state}; mount -o remount,ro,bind ${state}; export TMPDIR=${state}`,
      'gapcam pack -o /dev/null',
    )
    expect(output).toContain(`${state} cannot be written: the file system is read-only\nA bundle is tried in a folder`)
    expect(status).toBe(4)
  })
})
