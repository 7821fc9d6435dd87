// Prints the size and the start-up of each package in a folder, as docs/install.md has them:
//   node scripts/build/sizes.mjs --packages packages [--image image-amd64 --image image-arm64] [--runs 5]
// Each package is unpacked into a folder of its own, npm's with its dependencies from the registry. Start-up is the least
// processor time of several runs, for `gapcam --version` and for the second `gapcam classify` of one picture; packages for
// another processor have sizes only.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('../../', import.meta.url))
const { values } = parseArgs({
  options: {
    packages: { type: 'string' },
    image: { type: 'string', multiple: true, default: [] },
    runs: { type: 'string', default: '5' },
  },
})
const picture = join(root, 'models/photos/bird.jpg')
const debian = { arm64: 'arm64', x64: 'amd64' }[process.arch]

function must(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', ...options })
  if (error || status !== 0) throw new Error(`${command} failed: ${error?.message ?? stderr}`)
  return stdout
}

/** Bytes of a folder's files, as a disk would need them. */
const bytesIn = (folder) => 1024 * Number(must('du', ['-sk', folder]).split('\t')[0])

/** Least processor time of a command, in milliseconds. The first run, which keeps the compiled model, is left out. */
function cpuMs(node, main, args, home) {
  const env = { ...process.env, HOME: home, GAPCAM_STATE_DIR: join(home, 'state') }
  const timed = ['-c', `TIMEFORMAT='%U %S'; time "$@" >/dev/null`, 'bash', node, main, ...args]
  const times = Array.from({ length: Number(values.runs) + 1 }, () => {
    const { status, stderr } = spawnSync('/bin/bash', timed, { encoding: 'utf8', env })
    if (status !== 0) throw new Error(`gapcam ${args[0]} failed: ${stderr}`)
    const [user, system] = stderr.trim().split('\n').at(-1).split(' ').map(Number)
    return 1000 * (user + system)
  })
  return Math.round(Math.min(...times.slice(1)))
}

const startUp = (node, main, home) => ({
  versionMs: cpuMs(node, main, ['--version'], home),
  classifyMs: cpuMs(node, main, ['classify', '--json', picture], home),
})

function ofNpm(folder, work) {
  const archives = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  const wanted = archives.filter((name) => /^gapcam-\d/.test(name) || name.startsWith(`gapcam-linux-${process.arch}-`))
  if (wanted.length < 2) return {}
  const home = mkdtempSync(join(work, 'npm-'))
  const options = ['--no-audit', '--no-fund', '--onnxruntime-node-install=skip', '--omit=dev']
  must('npm', ['install', ...options, ...wanted.map((name) => join(folder, name))], { cwd: home })
  const own = join(home, 'node_modules/gapcam')
  const download = Object.fromEntries(archives.map((name) => [name, statSync(join(folder, name)).size]))
  const installed = { gapcam: bytesIn(own), platform: bytesIn(join(home, 'node_modules/@gapcam')) }
  const others = bytesIn(join(home, 'node_modules')) - installed.gapcam - installed.platform
  return {
    npm: { download, installed: { ...installed, others }, ...startUp('node', join(own, 'dist/cli/main.js'), home) },
  }
}

function ofDebian(folder, work) {
  const files = readdirSync(folder).filter((file) => file.endsWith('.deb'))
  const sizes = files.map((file) => {
    const home = mkdtempSync(join(work, 'debian-'))
    must('dpkg-deb', ['-x', join(folder, file), home])
    const program = join(home, 'usr/lib/gapcam')
    const main = join(program, 'node_modules/gapcam/dist/cli/main.js')
    const installed = { installed: bytesIn(home), node: statSync(join(program, 'node')).size }
    const isOwn = file.endsWith(`_${debian}.deb`)
    const measured = isOwn ? startUp(join(program, 'node'), main, home) : {}
    return [file, { download: statSync(join(folder, file)).size, ...installed, ...measured }]
  })
  return sizes.length === 0 ? {} : { debian: Object.fromEntries(sizes) }
}

function ofImages(folders) {
  const sizes = folders.map((folder) => [basename(folder), { installed: statSync(join(folder, 'root.tar')).size }])
  return sizes.length === 0 ? {} : { container: Object.fromEntries(sizes) }
}

function main() {
  if (!values.packages) throw new Error('--packages FOLDER is missing: where scripts/build/npm-packages.mjs put them')
  const folder = resolve(values.packages)
  const work = mkdtempSync(join(tmpdir(), 'gapcam-sizes-'))
  try {
    const images = ofImages(values.image.map((image) => resolve(image)))
    const report = { ...ofNpm(folder, work), ...ofDebian(folder, work), ...images }
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

try {
  main()
} catch (error) {
  console.error(`sizes: ${error.message}`)
  process.exitCode = 1
}
