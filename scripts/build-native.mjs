// Builds the native addon to prebuilds/<platform>-<arch>/gapcam.node, the only place where gapcam looks for it.
//   node scripts/build-native.mjs                     for this machine
//   node scripts/build-native.mjs --arch arm64        for a Raspberry Pi or a Jetson, with Debian's cross compiler
//   node scripts/build-native.mjs --arch arm64 --zig  for glibc 2.28, as in the published packages, by zig
//   node scripts/build-native.mjs --arch x64 --zig    (fetched from PyPI; PYTHON names a python3 that has ziglang)
// --out FOLDER writes to FOLDER instead of prebuilds.
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))

function has(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined
}

/** The missing tools as one sentence; null if none is missing. */
export function missingTools() {
  const compilers = [process.env.CXX, 'c++', 'g++', 'clang++'].filter(Boolean)
  const missing = []
  if (!compilers.some(has)) missing.push('a C++ compiler (g++)')
  if (!has('cmake')) missing.push('cmake')
  return missing.length === 0
    ? null
    : `${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} not installed (Debian: sudo apt-get install g++ cmake make)`
}

/** Names of the processors in CMake and the compilers. */
const processors = { arm64: 'aarch64', x64: 'x86_64' }

/**
 * Writes compiler wrappers for zig, which expects its target as an argument. Unless PYTHON names a Python that has
 * ziglang, zig is fetched into .cache/zig. A wrapper is not written again, so that its time does not change for ccache.
 */
function zigWrappers(folder, processor) {
  const python = process.env.PYTHON ?? 'python3'
  const cache = `${root}.cache`
  if (!process.env.PYTHON) spawnSync(process.execPath, [`${root}scripts/fetch/zig.mjs`], { stdio: ['ignore', 2, 2] })
  const environment = `PYTHONPATH='${cache}/zig' ZIG_GLOBAL_CACHE_DIR='${cache}/zig-cache'`
  mkdirSync(folder, { recursive: true })
  for (const [name, command] of [
    ['c++', `c++ -target ${processor}-linux-gnu.2.28`],
    ['ar', 'ar'],
    ['ranlib', 'ranlib'],
  ]) {
    const text = `#!/bin/sh\n${environment} exec '${python}' -m ziglang ${command} "$@"\n`
    const file = `${folder}/${name}`
    if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
    writeFileSync(file, text)
    chmodSync(file, 0o755)
  }
  return [`--CDCMAKE_CXX_COMPILER=${folder}/c++`, `--CDCMAKE_AR=${folder}/ar`, `--CDCMAKE_RANLIB=${folder}/ranlib`]
}

function crossOptions(arch, isZig) {
  const processor = processors[arch]
  if (!processor || (!isZig && arch !== 'arm64')) throw new Error(`there is no cross build for ${arch}`)
  const system = ['--CDCMAKE_SYSTEM_NAME=Linux', `--CDCMAKE_SYSTEM_PROCESSOR=${processor}`]
  return [
    ...system,
    ...(isZig ? zigWrappers(`${root}.cache/zig-${arch}`, processor) : ['--CDCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++']),
  ]
}

/** Runs CMake with the compiler of a platform; `more` are further options of cmake-js. Returns the folder of the build. */
function compile(arch, zig, ...more) {
  const folder = `build-${arch}${zig ? '-zig' : ''}`
  const cross = arch === process.arch && !zig ? [] : crossOptions(arch, zig)
  const options = ['compile', '--out', folder, '--arch', arch, '--parallel', '2', '--prefer-make', ...cross, ...more]
  const { status } = spawnSync(process.execPath, [`${root}node_modules/cmake-js/bin/cmake-js`, ...options], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  })
  return { status, folder: `${root}${folder}` }
}

/** Compiles one source of the core by zig, and returns the object file. */
export function buildObject(arch, source) {
  const object = source.replace(/\.cc$/, '.o')
  // Checks of the compiler need no linked program, and no C++ library for it.
  const { status, folder } = compile(arch, true, '--CDCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY', '--target', object)
  if (status !== 0) throw new Error(`${source} does not compile; see the messages above`)
  return `${folder}/CMakeFiles/gapcam_core.dir/${source}.o`
}

/** Builds the addon; true if it is in its place. The output of the tools goes to stderr. */
export function buildNative({ arch = process.arch, zig = false, out = `${root}prebuilds` } = {}) {
  const missing = missingTools()
  if (missing !== null) {
    console.error(`native engine: ${missing}`)
    return false
  }
  const { status, folder } = compile(arch, zig)
  const built = [`${folder}/gapcam.node`, `${folder}/Release/gapcam.node`].find((file) => existsSync(file))
  if (status !== 0 || !built) {
    console.error('native engine: the build failed; see the messages above')
    return false
  }
  const target = `${out}/${process.platform}-${arch}`
  mkdirSync(target, { recursive: true })
  // By a rename: a program that has the old file mapped keeps it.
  copyFileSync(built, `${target}/gapcam.node.new`)
  renameSync(`${target}/gapcam.node.new`, `${target}/gapcam.node`)
  return true
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const optionOf = (flag) => (process.argv.includes(flag) ? process.argv[process.argv.indexOf(flag) + 1] : undefined)
  process.exitCode = buildNative({
    arch: optionOf('--arch'),
    out: optionOf('--out'),
    zig: process.argv.includes('--zig'),
  })
    ? 0
    : 1
}
