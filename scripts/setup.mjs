// Sets up a checkout: npm packages, TypeScript, native addon, each only if it is missing or stale. Plain JavaScript with
// node: imports only, since nothing is installed yet. All output goes to stderr.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { missingTools } from './build-native.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))

/** Digest of the content of files and folders. File times cannot be compared, since archives and checkouts change them. */
function digest(paths) {
  const hash = createHash('sha256')
  const add = (path) => {
    const full = join(root, path)
    if (!existsSync(full)) return
    if (!readdirOrNull(full)) hash.update(path).update(readFileSync(full))
    else for (const name of readdirSync(full).sort()) add(join(path, name))
  }
  for (const path of paths) add(path)
  return hash.digest('hex')
}

function readdirOrNull(path) {
  try {
    return readdirSync(path)
  } catch {
    return null
  }
}

function readStamp(file) {
  try {
    return readFileSync(join(root, file), 'utf8')
  } catch {
    return null
  }
}

let child = null
/** Sends a signal to the running child process, for start.mjs. */
export function stopSetUp(signal) {
  child?.kill(signal)
}

/** Runs a program with its output on stderr; resolves with its exit status. */
function run(command, args, env) {
  return new Promise((resolve) => {
    child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2], env: { ...process.env, ...env } })
    child.on('error', (error) => {
      console.error(`${command}: ${error.message}`)
      resolve(1)
    })
    child.on('close', (status, signal) => {
      child = null
      resolve(signal ? 1 : status)
    })
  })
}

/** Gives npm a writable cache: with a read-only HOME it would hang for a minute. */
function npmEnvironment() {
  const env = { npm_config_update_notifier: 'false', npm_config_fund: 'false', npm_config_audit: 'false' }
  const home = process.env.HOME
  try {
    accessSync(home && existsSync(home) ? home : '/nonexistent', constants.W_OK)
    return env
  } catch {
    const cache = isWritable(root) ? join(root, '.cache/npm') : join(tmpdir(), `gapcam-npm-${process.getuid?.() ?? 0}`)
    return { ...env, npm_config_cache: cache, npm_config_logs_dir: join(cache, 'logs') }
  }
}

function isWritable(folder) {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** Runs the npm that started this script, else the one on the PATH. */
function npm(args) {
  const script = process.env.npm_execpath
  const env = npmEnvironment()
  return script && existsSync(script) && /\.c?js$/.test(script)
    ? run(process.execPath, [script, ...args], env)
    : run('npm', args, env)
}

class SetUpError extends Error {}

async function installPackages() {
  const wanted = digest(['package.json', 'package-lock.json'])
  const stamp = 'node_modules/.gapcam-installed'
  if (readStamp(stamp) === wanted) return
  // Without a stamp the packages may come from `npm ci`. Then npm's own record tells whether they are complete.
  if (readStamp(stamp) === null && existsSync(join(root, 'node_modules/.package-lock.json')) && hasAllPackages()) {
    if (isWritable(join(root, 'node_modules'))) writeFileSync(join(root, stamp), wanted)
    return
  }
  console.error('gapcam: installing npm packages')
  // The build needs the development packages, but no install script of a package.
  const status = await npm(['ci', '--include=dev', '--include=optional', '--ignore-scripts'])
  if (status !== 0) throw new SetUpError('the npm packages could not be installed; see the messages above')
  writeFileSync(join(root, stamp), wanted)
}

function hasAllPackages() {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return Object.keys({ ...dependencies, ...devDependencies }).every((name) =>
    existsSync(join(root, 'node_modules', name)),
  )
}

async function buildTypeScript() {
  const wanted = digest(['src', 'tsconfig.json', 'scripts/build/page.mjs', 'scripts/build/bundle.mjs'])
  const stamp = 'dist/.built'
  if (readStamp(stamp) === wanted) return
  console.error('gapcam: compiling TypeScript')
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  const status = await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.json'])
  if (status !== 0) throw new SetUpError('TypeScript could not be compiled; see the messages above')
  // Imported late, because its packages have just been installed.
  const { buildPage } = await import('./build/page.mjs')
  await buildPage().catch((error) => {
    throw new SetUpError(`the page could not be bundled: ${error.message}`)
  })
  const { buildBundle } = await import('./build/bundle.mjs')
  await buildBundle().catch((error) => {
    throw new SetUpError(`gapcam once and gapcam run could not be bundled: ${error.message}`)
  })
  chmodSync(join(root, 'dist/cli/main.js'), 0o755)
  writeFileSync(join(root, stamp), wanted)
}

/** Builds the addon. Without a compiler gapcam runs on onnxruntime; the message says what to install. */
async function buildAddon() {
  const wanted = digest(['native', 'CMakeLists.txt', 'scripts/build-native.mjs'])
  const folder = `prebuilds/${process.platform}-${process.arch}`
  if (readStamp(`${folder}/.built`) === wanted && existsSync(join(root, folder, 'gapcam.node'))) return
  const missing = missingTools()
  if (missing !== null) {
    console.error(`gapcam: no native engine: ${missing}. Running on onnxruntime.`)
    return
  }
  console.error('gapcam: building the native engine')
  if ((await run(process.execPath, [join(root, 'scripts/build-native.mjs'), '--quiet'])) !== 0) {
    console.error('gapcam: no native engine: it could not be built; see the messages above. Running on onnxruntime.')
    return
  }
  mkdirSync(join(root, folder), { recursive: true })
  writeFileSync(join(root, folder, '.built'), wanted)
}

/** Does all steps that are needed. Rejects with one sentence if the program cannot run. */
export async function setUp() {
  await installPackages()
  await buildTypeScript()
  await buildAddon()
}

// npm run build
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await setUp().catch((error) => {
    console.error(`gapcam: ${error.message}`)
    process.exitCode = 1
  })
}
