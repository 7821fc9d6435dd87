// Fetches the zig compiler from PyPI's ziglang into .cache/zig, for the shipped builds. pip checks the wheel's digest.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const requirement = 'ziglang==0.13.0 --hash=sha256:3ce0c9f16547e5d61b32e0d226926e9a2552ef4b91fccf7ab5ea1a623a77824b'
const folder = fileURLToPath(new URL('../../.cache/zig', import.meta.url))

/** The folder for PYTHONPATH with which python3 -m ziglang runs, or null if zig cannot be fetched. */
export function fetchZig() {
  if (existsSync(folder)) return folder
  const fresh = `${folder}-${process.pid}`
  try {
    mkdirSync(fresh, { recursive: true })
    writeFileSync(`${fresh}/requirements.txt`, requirement)
    const options = [
      '--quiet',
      '--no-deps',
      '--require-hashes',
      '--only-binary=:all:',
      '--target',
      fresh,
      '-r',
      `${fresh}/requirements.txt`,
    ]
    if (spawnSync('python3', ['-m', 'pip', 'install', ...options], { stdio: ['ignore', 2, 2] }).status !== 0)
      return null
    renameSync(fresh, folder)
    return folder
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = fetchZig() === null ? 1 : 0
