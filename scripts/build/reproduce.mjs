// Shows that a build gives the same bytes wherever it runs: copies this checkout into two folders with paths of different
// length, makes the npm packages in both (the addons by zig, from an empty compiler cache), and compares the files.
//   node scripts/build/reproduce.mjs                                both platforms; needs npm run build
//   node scripts/build/reproduce.mjs --arch x64                     one of them
//   node scripts/build/reproduce.mjs --arch x64 --object native/image/grid.cc   one object file, in some seconds
// Prints one JSON object: the digests by file, and whether they agree. The exit status is 1 where they do not.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { fetchZig } from '../fetch/zig.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))

function must(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', ...options })
  if (error || status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? stderr}`)
  return stdout
}

/** Copies what git tracks, and dist. Installed packages are linked: they are the same for everyone. */
function copyCheckout(folder, cacheFolder) {
  for (const path of must('git', ['ls-files', '-z'], { cwd: root }).split('\0')) {
    if (path === '' || !existsSync(join(root, path))) continue
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    cpSync(join(root, path), join(folder, path))
  }
  if (existsSync(join(root, 'dist'))) cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  mkdirSync(join(folder, '.cache'))
  symlinkSync(join(root, '.cache/zig'), join(folder, '.cache/zig'))
  if (cacheFolder) symlinkSync(cacheFolder, join(folder, '.cache/zig-cache'))
}

/** Without a compiler cache, which would give the second build the bytes of the first. */
const environment = () => {
  const { CMAKE_CXX_COMPILER_LAUNCHER: _launcher, ...rest } = process.env
  return rest
}

function makePackages(folder, arch) {
  const options = arch ? ['--arch', arch] : []
  const stdio = ['ignore', 2, 2]
  must(process.execPath, ['scripts/build/npm-packages.mjs', '--out', 'packages', ...options], {
    cwd: folder,
    env: environment(),
    stdio,
  })
  return join(folder, 'packages')
}

function makeObject(folder, arch, source) {
  const build =
    "import('./scripts/build-native.mjs').then(({ buildObject }) => console.log(buildObject(process.argv[1], process.argv[2])))"
  const object = must(process.execPath, ['-e', build, arch, source], { cwd: folder, env: environment() }).trim()
  const kept = join(folder, 'packages')
  mkdirSync(kept)
  cpSync(object, join(kept, `${source.replaceAll('/', '-')}.o`))
  return kept
}

const digestOf = (file) => createHash('sha256').update(readFileSync(file)).digest('hex')

function main() {
  const { values } = parseArgs({ options: { arch: { type: 'string' }, object: { type: 'string' } } })
  if (values.object && !values.arch) throw new Error('--object needs --arch x64 or --arch arm64')
  if (fetchZig() === null) throw new Error('zig cannot be fetched from PyPI')
  const work = mkdtempSync(join(tmpdir(), 'gapcam-reproduce-'))
  try {
    const folders = [join(work, 'a'), join(work, 'another/folder-with-a-longer-path')]
    for (const folder of folders) {
      mkdirSync(folder, { recursive: true })
      copyCheckout(folder, values.object ? join(root, '.cache/zig-cache') : null)
    }
    const made = folders.map((folder) =>
      values.object ? makeObject(folder, values.arch, values.object) : makePackages(folder, values.arch),
    )
    const names = [...new Set(made.flatMap((folder) => readdirSync(folder)))].toSorted()
    const files = Object.fromEntries(names.map((name) => [name, made.map((folder) => digestOf(join(folder, name)))]))
    const isSame = names.length > 0 && Object.values(files).every(([one, other]) => one === other)
    process.stdout.write(`${JSON.stringify({ isSame, files }, null, 2)}\n`)
    return isSame ? 0 : 1
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

try {
  process.exitCode = main()
} catch (error) {
  console.error(`reproduce: ${error.message}`)
  process.exitCode = 1
}
