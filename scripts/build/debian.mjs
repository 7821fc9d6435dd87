// Makes gapcam_VERSION_ARCH.deb from the npm packages, with Node inside. Needs dpkg-deb, npm and the strip of binutils for both processors.
//   node scripts/build/npm-packages.mjs --out packages
//   node scripts/build/debian.mjs --packages packages --out FOLDER                   for arm64 and amd64
//   node scripts/build/debian.mjs --packages packages --out FOLDER --arch arm64 --compression none
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { unitHeader, unitText } from '../../dist/service/unit.js'
import { writeManual } from './manual.mjs'
import { strip } from './strip.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const parts = join(root, 'packaging/debian')
const { version, description } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
/** Debian's names of the architectures and Node's. */
const architectures = { arm64: 'arm64', amd64: 'x64' }
/** The Node inside: a long-term release, from its package in the npm registry. */
const nodeVersion = '22'
const home = 'usr/lib/gapcam'

function must(command, args, options = {}) {
  const { status, stderr, error, stdout } = spawnSync(command, args, { encoding: 'utf8', ...options })
  if (error || status !== 0) throw new Error(`${command} ${args[0]} failed: ${error?.message ?? stderr}`)
  return stdout
}

/** Installs gapcam, its packages for another processor, and Node. onnxruntime is left out: it takes ten times the room of all else. */
function installPrograms(folder, arch, packages) {
  const program = join(folder, home)
  mkdirSync(program, { recursive: true })
  const archive = (name) => join(packages, `${name}-${version}.tgz`)
  const node = `node-linux-${arch}@${nodeVersion}`
  const manifest = { private: true }
  writeFileSync(join(program, 'package.json'), JSON.stringify(manifest))
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--os=linux', `--cpu=${arch}`]
  const wanted = [archive('gapcam'), archive(`gapcam-linux-${arch}`), node]
  must('npm', ['install', '--force', '--omit=dev', '--libc=glibc', ...options, ...wanted], { cwd: program })
  const modules = join(program, 'node_modules')
  renameSync(join(modules, `node-linux-${arch}/bin/node`), join(program, 'node'))
  for (const name of [`node-linux-${arch}`, 'onnxruntime-node', 'onnxruntime-common', '.bin', '.package-lock.json'])
    rmSync(join(modules, name), { recursive: true, force: true })
  // A seventh of Node.
  strip(join(program, 'node'), arch)
  dropUnused(modules)
  // Sources, which only a build of the addon needs.
  for (const name of ['native', 'CMakeLists.txt', 'scripts', 'man'])
    rmSync(join(modules, 'gapcam', name), { recursive: true, force: true })
  rmSync(join(program, 'package.json'))
  mkdirSync(join(folder, 'usr/bin'), { recursive: true })
  const main = `/${home}/node_modules/gapcam/dist/cli/main.js`
  writeFileSync(join(folder, 'usr/bin/gapcam'), `#!/bin/sh\nexec /${home}/node ${main} "$@"\n`, { mode: 0o755 })
  return main
}

/** Removes what only an editor, a debugger or a test reads: a tenth of the packages, and two thirds of their files. */
function dropUnused(modules) {
  rmSync(join(modules, '@types'), { recursive: true, force: true })
  for (const file of filesIn(modules))
    if (/\.([cm]?ts|map)$|\/node_modules\/[^/]+\/(test|benchmarks?)\//.test(file)) rmSync(file)
}

/** The unit of the service, with the configuration that every user may read. */
function writeUnit(folder, program) {
  const unit = unitText({
    node: `/${home}/node`,
    program,
    args: ['run', '--config', '/etc/gapcam/gapcam.yaml'],
    credentials: [],
    readable: [],
    groups: ['video'],
    canNotify: true,
    watchdogS: 12,
    memoryMax: '60%',
  }).replace(unitHeader, '# The service of the Debian package. For changes of your own: systemctl edit gapcam')
  mkdirSync(join(folder, 'lib/systemd/system'), { recursive: true })
  writeFileSync(join(folder, 'lib/systemd/system/gapcam.service'), unit)
}

/** Man pages, completion and the licence, made by the program of this checkout. */
async function writeDocuments(folder) {
  const man = join(folder, 'usr/share/man/man1')
  for (const name of await writeManual(man)) {
    writeFileSync(join(man, `${name}.gz`), gzipSync(readFileSync(join(man, name)), { level: 9 }))
    rmSync(join(man, name))
  }
  const shells = {
    bash: 'usr/share/bash-completion/completions/gapcam',
    zsh: 'usr/share/zsh/vendor-completions/_gapcam',
    fish: 'usr/share/fish/vendor_completions.d/gapcam.fish',
  }
  for (const [shell, file] of Object.entries(shells)) {
    mkdirSync(join(folder, file, '..'), { recursive: true })
    writeFileSync(join(folder, file), must(process.execPath, [join(root, 'dist/cli/main.js'), 'completion', shell]))
  }
  mkdirSync(join(folder, 'usr/share/doc/gapcam'), { recursive: true })
  copyFileSync(join(root, 'LICENSE'), join(folder, 'usr/share/doc/gapcam/copyright'))
}

/** All files below a folder, in order. */
const filesIn = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()

function writeControl(folder, architecture) {
  const files = filesIn(folder)
  const control = join(folder, 'DEBIAN')
  mkdirSync(control)
  const kib = Math.ceil(files.reduce((sum, file) => sum + statSync(file).size, 0) / 1024)
  writeFileSync(
    join(control, 'control'),
    `Package: gapcam
Version: ${version}
Architecture: ${architecture}
Maintainer: gapcam <gapcam@localhost>
Installed-Size: ${kib}
Depends: libc6 (>= 2.28), libstdc++6 (>= 8), libgcc-s1 | libgcc1
Recommends: ffmpeg, v4l-utils
Section: net
Priority: optional
Description: ${description}
 The native engine, the page and Node are inside. onnxruntime is not: a model with an
 operator that the native engine lacks needs the npm package.
`,
  )
  writeFileSync(join(control, 'conffiles'), '/etc/gapcam/gapcam.yaml\n')
  const sum = (file) => createHash('md5').update(readFileSync(file)).digest('hex')
  const own = files.filter((file) => !file.startsWith(join(folder, 'etc')))
  writeFileSync(
    join(control, 'md5sums'),
    own.map((file) => `${sum(file)}  ${file.slice(folder.length + 1)}\n`).join(''),
  )
  for (const script of ['postinst', 'prerm', 'postrm']) {
    copyFileSync(join(parts, script), join(control, script))
    chmodSync(join(control, script), 0o755)
  }
}

/** Makes one package; returns its file. `epoch` is the time of all its files, so that two runs give the same bytes. */
async function build(architecture, { packages, out, compression }) {
  const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? 1_700_000_000)
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-deb-'))
  try {
    chmodSync(folder, 0o755)
    const program = installPrograms(folder, architectures[architecture], packages)
    writeUnit(folder, program)
    await writeDocuments(folder)
    mkdirSync(join(folder, 'etc/gapcam'), { recursive: true })
    cpSync(join(parts, 'gapcam.yaml'), join(folder, 'etc/gapcam/gapcam.yaml'))
    writeControl(folder, architecture)
    for (const file of filesIn(folder)) utimesSync(file, epoch, epoch)
    const file = join(out, `gapcam_${version}_${architecture}.deb`)
    const env = { ...process.env, SOURCE_DATE_EPOCH: String(epoch) }
    must('dpkg-deb', ['--root-owner-group', `-Z${compression}`, '--build', folder, file], { env })
    return file
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      packages: { type: 'string' },
      out: { type: 'string' },
      arch: { type: 'string' },
      compression: { type: 'string', default: 'xz' },
    },
  })
  if (!values.packages || !values.out) throw new Error('--packages FOLDER and --out FOLDER are needed')
  const wanted = Object.keys(architectures).filter((name) => !values.arch || name === values.arch)
  if (wanted.length === 0)
    throw new Error(`--arch ${values.arch}: there are ${Object.keys(architectures).join(' and ')}`)
  const [packages, out] = [resolve(values.packages), resolve(values.out)]
  if (!existsSync(packages))
    throw new Error(`${packages} is missing: run node scripts/build/npm-packages.mjs --out ${packages}`)
  mkdirSync(out, { recursive: true })
  for (const architecture of wanted) console.log(await build(architecture, { ...values, packages, out }))
}

await main().catch((error) => {
  console.error(`debian: ${error.message}`)
  process.exitCode = 1
})
