/** The addon as it is shipped to boards: built by zig, it asks for no glibc later than 2.28 and for no C++ library. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cleanEnvironment, endAll, launch } from '../process.js'
import { projectRoot } from '../shared.js'

const out = mkdtempSync(join(tmpdir(), 'gapcam-shipped-'))
const addon = join(out, 'linux-arm64/gapcam.node')
async function script(name: string, args: readonly string[] = []): Promise<void> {
  const env = { ...cleanEnvironment(), PYTHONPATH: join(projectRoot, '.cache/zig'), ZIG_GLOBAL_CACHE_DIR: join(projectRoot, '.cache/zig-cache') }
  const running = launch(process.execPath, [join(projectRoot, 'scripts', name), ...args], { env, cwd: projectRoot })
  expect(await running.ended, running.stderr()).toBe(0)
}
const read = (...args: string[]): string => execFileSync('readelf', [...args, addon], { encoding: 'utf8', maxBuffer: 1 << 26 })

afterAll(async () => {
  await endAll()
  rmSync(out, { recursive: true, force: true })
})

describe('the arm64 addon that is shipped', () => {
  beforeAll(async () => {
    await script('fetch-zig.mjs')
    await script('build-native.mjs', ['--arch', 'arm64', '--zig', '--out', out])
  }, 540_000)

  it('is made for aarch64', () => {
    expect(read('-h')).toMatch(/Machine:\s+AArch64/)
  })

  it('needs glibc 2.28 at most', () => {
    const versions = [...read('-V').matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor))
    expect(versions.length).toBeGreaterThan(0)
    expect(Math.max(...versions)).toBeLessThanOrEqual(28)
  })

  it('brings its C++ library along', () => {
    expect(read('-d')).not.toMatch(/NEEDED.*(libstdc\+\+|libc\+\+|libgcc_s)/)
    expect(read('-V')).not.toMatch(/GLIBCXX|CXXABI/)
  })
})
