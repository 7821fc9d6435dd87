// Fetches ONNX's backend node tests from PyPI's onnx 1.22.0 into .cache/onnx-node-tests. The wheel is pinned by digest, and
// only models and data are taken from it.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const version = '1.22.0'
const digest = '955e02e1f6d385b53d52f9cd7b9cdf5caf417c300bcfe3c64c6d542be763845b'
const cache = fileURLToPath(new URL('../../.cache/', import.meta.url))
const target = join(cache, 'onnx-node-tests')

const unpack = `
import sys, zipfile
prefix = 'onnx/backend/test/data/node/'
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for entry in wheel.infolist():
        if entry.filename.startswith(prefix) and not entry.is_dir():
            entry.filename = entry.filename[len(prefix):]
            wheel.extract(entry, sys.argv[2])
`

/** Fetches the tests unless they are cached. Returns whether they are there. */
export function fetchOnnxTests() {
  if (existsSync(target)) return true
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'onnx-'))
  try {
    const platform = [
      '--only-binary=:all:',
      '--platform',
      'manylinux_2_28_x86_64',
      '--platform',
      'manylinux_2_27_x86_64',
      '--python-version',
      '3.12',
      '--implementation',
      'cp',
      '--abi',
      'cp312',
      '--abi',
      'abi3',
    ]
    if (!python(['-m', 'pip', 'download', '--quiet', '--no-deps', ...platform, '--dest', folder, `onnx==${version}`]))
      return false
    const [wheel] = readdirSync(folder)
    const found = createHash('sha256')
      .update(readFileSync(join(folder, wheel)))
      .digest('hex')
    if (found !== digest) {
      console.error(`tests: ${wheel} has the sha256 ${found}, not ${digest}`)
      return false
    }
    if (!python(['-c', unpack, join(folder, wheel), join(folder, 'node')])) return false
    renameSync(join(folder, 'node'), target)
    return true
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function python(args) {
  return spawnSync('python3', args, { stdio: ['ignore', 2, 2] }).status === 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = fetchOnnxTests() ? 0 : 1
