// Fetches asyncua, an OPC UA client in Python, from PyPI into .cache/asyncua, for the tests of the OPC UA server.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const version = '2.1.0'
const cache = fileURLToPath(new URL('../../.cache/', import.meta.url))

/** The folder for PYTHONPATH, fetched where it is missing; null where it cannot be had. */
export function asyncuaFolder() {
  const own = `${cache}asyncua-${version}`
  if (existsSync(own)) return own
  mkdirSync(cache, { recursive: true })
  const fetching = `${own}-${process.pid}`
  const args = ['-m', 'pip', 'install', '-q', '--only-binary', ':all:', '--target', fetching, `asyncua==${version}`]
  try {
    if (spawnSync('python3', args, { stdio: ['ignore', 2, 2] }).status !== 0) return null
    if (!existsSync(own)) renameSync(fetching, own)
    return own
  } finally {
    rmSync(fetching, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = asyncuaFolder() === null ? 1 : 0
