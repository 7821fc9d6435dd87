// Installs the Python environments of the peers in .cache/peers: one for the runtimes, one for LiteRT's converter. A peer
// that cannot be installed is left out, with pip's reason.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const folder = fileURLToPath(new URL('../../../.cache/peers/', import.meta.url))
const requirements = (name) =>
  readFileSync(new URL(name, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))

/** pip's name of each peer. */
const packages = {
  onnxruntime: ['onnxruntime'],
  ncnn: ['ncnn', 'pnnx'],
  mnn: ['MNN'],
  litert: ['ai-edge-litert', 'onnx2tf'],
  openvino: ['openvino'],
}

/**
 * Installs what is missing (unless `isOffline`). Returns the interpreter of each environment, null where there is none,
 * and for each Python peer that cannot run the reason.
 */
export function installPeers({ isOffline = false } = {}) {
  const runtimes = environment(
    'venv',
    [
      [requirements('requirements.txt'), []],
      [requirements('requirements-nodeps.txt'), ['--no-deps']],
    ],
    isOffline,
  )
  const converter = environment('converter', [[requirements('requirements-litert.txt'), []]], isOffline)
  const failed = { ...runtimes.failed, ...converter.failed }
  const missing = Object.fromEntries(
    Object.entries(packages).flatMap(([peer, names]) => {
      const name = names.find((one) => failed[one])
      return name ? [[peer, `${name}: ${failed[name]}`]] : []
    }),
  )
  return { python: runtimes.python, converter: converter.python, missing }
}

function environment(name, groups, isOffline) {
  const home = `${folder}${name}`
  const python = `${home}/bin/python`
  const stamp = `${home}/installed.json`
  const wanted = createHash('sha256').update(JSON.stringify(groups)).digest('hex')
  if (existsSync(stamp)) {
    const known = JSON.parse(readFileSync(stamp, 'utf8'))
    if (known.wanted === wanted) return { python, failed: known.failed }
  }
  const all = groups.flatMap(([lines]) => lines)
  const allFailed = (why) => ({ python: null, failed: Object.fromEntries(all.map((line) => [nameOf(line), why])) })
  if (isOffline) return allFailed('not installed (node scripts/bench/peers.mjs installs it)')
  mkdirSync(folder, { recursive: true })
  console.error(`peers: installing ${all.map(nameOf).join(', ')} into ${home}`)
  const made = spawnSync('python3', ['-m', 'venv', home], { stdio: ['ignore', 2, 'pipe'], encoding: 'utf8' })
  if (made.status !== 0) return allFailed(`python3 -m venv: ${lastLine(made)}`)
  const failed = Object.assign({}, ...groups.map(([lines, options]) => pip(python, lines, options)))
  writeFileSync(stamp, JSON.stringify({ wanted, failed }))
  return { python, failed }
}

/** Installs all at once, and one by one where that fails. Returns name and reason of each that failed. */
function pip(python, lines, options) {
  const install = (some) =>
    spawnSync(python, ['-m', 'pip', 'install', '--quiet', ...options, ...some], {
      stdio: ['ignore', 2, 'pipe'],
      encoding: 'utf8',
    })
  if (install(lines).status === 0) return {}
  const failed = lines.map((line) => [line, install([line])]).filter(([, result]) => result.status !== 0)
  return Object.fromEntries(failed.map(([line, result]) => [nameOf(line), lastLine(result)]))
}

const nameOf = (line) => line.split('==')[0]
const lastLine = ({ stderr, error }) => (stderr ?? '').trim().split('\n').pop() || String(error ?? 'failed')

/** Versions of the Python peers that are installed, by package. */
export function peerVersions(python) {
  if (python === null) return {}
  const names = ['onnxruntime', 'ncnn', 'pnnx', 'MNN', 'ai-edge-litert', 'openvino']
  const code = `import importlib.metadata as m, json, sys\nr = {"python": sys.version.split()[0]}\nfor n in ${JSON.stringify(names)}:\n  try: r[n] = m.version(n)\n  except m.PackageNotFoundError: pass\nprint(json.dumps(r))`
  const { status, stdout } = spawnSync(python, ['-c', code], { encoding: 'utf8' })
  return status === 0 ? JSON.parse(stdout) : {}
}
