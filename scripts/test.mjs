// npm test: installs what the tests need, runs the native tests and vitest, and ends with one line on stdout:
// `N passed, N failed, N skipped`. Arguments go to vitest; with arguments the native tests do not run.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fetchOnnxTests } from './fetch/onnx-tests.mjs'
import { ffmpegFolder, ffmpegs } from './fetch/ffmpegs.mjs'
import { fetchTestTools } from './fetch/test-tools.mjs'
import { buildPrograms } from './build/native-programs.mjs'
import { setUp } from './setup.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))
const cache = `${root}.cache/`

/** Debian packages, with a file that each one installs. */
const systemPackages = {
  'g++': '/usr/bin/g++',
  cmake: '/usr/bin/cmake',
  ccache: '/usr/bin/ccache',
  'g++-aarch64-linux-gnu': '/usr/bin/aarch64-linux-gnu-g++',
  'qemu-user': '/usr/bin/qemu-aarch64',
  'qemu-system-x86': '/usr/bin/qemu-system-x86_64',
  'busybox-static': '/bin/busybox',
  kmod: '/sbin/modprobe',
  cpio: '/usr/bin/cpio',
  bsdutils: '/usr/bin/script',
  chromium: '/usr/bin/chromium',
  mosquitto: '/usr/sbin/mosquitto',
  'v4l-utils': '/usr/bin/v4l2-ctl',
  postgresql: '/usr/share/doc/postgresql',
  'mosquitto-clients': '/usr/bin/mosquitto_sub',
  mbpoll: '/usr/bin/mbpoll',
  influxdb: '/usr/bin/influxd',
  'mender-client': '/usr/bin/mender',
  rauc: '/usr/bin/rauc',
  'squashfs-tools': '/usr/bin/mksquashfs',
  'dbus-daemon': '/usr/bin/dbus-daemon',
  ffmpeg: '/usr/bin/ffmpeg',
  systemd: '/usr/bin/systemd-analyze',
  procps: '/bin/ps',
  mmdebstrap: '/usr/bin/mmdebstrap',
  buildah: '/usr/bin/buildah',
  runc: '/usr/sbin/runc',
  zsh: '/usr/bin/zsh',
  fish: '/usr/bin/fish',
  openssl: '/usr/bin/openssl',
  'docker-registry': '/usr/bin/docker-registry',
  'python3-pip': '/usr/lib/python3/dist-packages/pip/__init__.py',
  'python3-gi': '/usr/lib/python3/dist-packages/gi/__init__.py',
  'gstreamer1.0-tools': '/usr/bin/gst-launch-1.0',
  'gir1.2-gst-rtsp-server-1.0': '/usr/lib/x86_64-linux-gnu/girepository-1.0/GstRtspServer-1.0.typelib',
  'gstreamer1.0-plugins-base': '/usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgstvideotestsrc.so',
  'gstreamer1.0-plugins-good': '/usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgstrtp.so',
  'gstreamer1.0-plugins-ugly': '/usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgstx264.so',
}

function installSystemPackages() {
  const missing = Object.keys(systemPackages).filter((name) => !existsSync(systemPackages[name]))
  if (missing.length === 0) return
  const mayInstall = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')
  if (mayInstall) {
    const options = { stdio: ['ignore', 2, 2], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
    spawnSync('apt-get', ['update', '-qq'], options)
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], options)
  }
  const still = missing.filter((name) => !existsSync(systemPackages[name]))
  if (still.length > 0)
    console.error(
      `tests: these Debian packages are missing, so the tests that need them are skipped or fail: ${still.join(' ')}`,
    )
}

/**
 * Runs a command with its stdout on stderr. One with a title runs beside others, so what it prints follows the title when
 * it ends. Resolves with its status and its last line of output.
 */
function run(command, args, { env = {}, title } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', title ? 'pipe' : 2],
    })
    const kept = [title]
    const write = (chunk) => (title ? kept.push(chunk) : process.stderr.write(chunk))
    let tail = ''
    child.stdout.on('data', (chunk) => {
      write(chunk)
      tail = (tail + chunk).slice(-2000)
    })
    child.stderr?.on('data', write)
    const end = (status, last) => {
      if (title) process.stderr.write(kept.join(''))
      resolve({ status, last })
    }
    child.on('error', (error) => end(1, String(error)))
    child.on('close', (status) => end(status ?? 1, tail.trimEnd().split('\n').pop() ?? ''))
  })
}

/**
 * Lets builds of the same file with the same flags share their objects, through a cache in .cache/ccache. It is empty in a
 * new clone. There it serves test/start, which builds a copy of the checkout.
 */
function shareObjects() {
  if (process.env.CMAKE_CXX_COMPILER_LAUNCHER || !existsSync(systemPackages.ccache)) return
  Object.assign(process.env, {
    CMAKE_CXX_COMPILER_LAUNCHER: 'ccache',
    CCACHE_DIR: `${cache}ccache`,
    CCACHE_BASEDIR: root.slice(0, -1),
    CCACHE_NOHASHDIR: '1',
    CCACHE_MAXSIZE: '500M',
  })
}

function counts(passed, failed, skipped) {
  return { passed, failed, skipped }
}

/** Builds programs of native/test beside the build of the addon: with sanitizers, or for another processor. */
async function buildVariant(folder, options, targets) {
  const { status } = await run('cmake', ['-S', root, '-B', folder, '-DGAPCAM_ADDON=OFF', ...options])
  return status === 0 && (await run('cmake', ['--build', folder, '-j2', '--target', ...targets])).status === 0
}

/** Builds programs of native/test from the objects of the addon. */
function buildPlain(targets) {
  try {
    buildPrograms(...targets)
    return true
  } catch (error) {
    console.error(error.message)
    return false
  }
}

/** Runs a built program of native tests, in an emulator if `emulator` names one. Prints all its lines when it ends. */
async function runNative(name, program, env = {}, emulator = []) {
  const [command, ...args] = [...emulator, program]
  const { status, last } = await run(command, args, { env, title: `\nnative tests, ${name}\n` })
  const [, passed, failed, skipped] = /^(\d+) passed, (\d+) failed, (\d+) skipped$/.exec(last) ?? []
  if (passed === undefined) return counts(0, 1, 0)
  return counts(Number(passed), status !== 0 && failed === '0' ? 1 : Number(failed), Number(skipped))
}

/** The features of this machine's processor, by the names of Linux. */
const features = new Set(/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1].split(' '))
const hasAvx512 = ['avx512bw', 'avx512vl', 'avx512dq'].every((name) => features.has(name))

/**
 * The x86 targets that this machine cannot run. The sanitizers' builds leave them out: their tests would be skipped, and
 * their kernels take most of the time to compile.
 */
const unusableTargets = [...(hasAvx512 ? [] : ['avx512']), ...(features.has('avx_vnni') ? [] : ['avxvnni'])]

/**
 * The x86 targets whose instructions the tests emulate under AddressSanitizer: those that this machine lacks. The others
 * show there themselves what memory they touch.
 */
const emulatedTargets = [
  ...(features.has('avx_vnni') ? [] : ['avxvnni']),
  ...(hasAvx512 && features.has('avx512_vnni') ? [] : ['avx512vnni']),
]

/**
 * Each build proves something of its own: that of the addon its very objects, asan and tsan the memory and the threads,
 * arm64 the other processor with the compiler that a board has. test/native/shipped.test.ts builds the published arm64
 * addon. Only that one and the first are optimized in full, since no time is measured in the others. Under a sanitizer a
 * random case takes several times as long, so a sample of them runs there (native/test/cases.h); the first has them all.
 * The emulated ones run longest, so they are built early: programs run while the next ones are built.
 */
const nativeBuilds = [
  { name: process.arch, programs: ['native_tests', 'cuda_tests', 'frame_loop'], runs: ['native_tests', 'cuda_tests'] },
  {
    name: 'arm64-tests',
    options: [
      '-DCMAKE_SYSTEM_NAME=Linux',
      '-DCMAKE_SYSTEM_PROCESSOR=aarch64',
      '-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++',
      '-DGAPCAM_OPTIMIZE=-O1',
    ],
    programs: ['native_tests'],
    emulator: ['qemu-aarch64', '-cpu', 'cortex-a72', '-L', '/usr/aarch64-linux-gnu'],
  },
  {
    name: 'asan',
    options: [
      '-DGAPCAM_SANITIZE=address,undefined',
      `-DGAPCAM_WITHOUT=${unusableTargets.join(';')}`,
      `-DGAPCAM_EMULATED=${emulatedTargets.join(';')}`,
    ],
    programs: ['native_tests', 'cuda_tests'],
    env: { ASAN_OPTIONS: 'detect_leaks=1', UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1' },
  },
  {
    name: 'tsan',
    // All targets divide their work among threads by the same code.
    options: ['-DGAPCAM_SANITIZE=thread', '-DGAPCAM_WITHOUT=avx512;avxvnni', '-DGAPCAM_EMULATED='],
    programs: ['native_tests'],
    env: { TSAN_OPTIONS: 'halt_on_error=1' },
  },
]

/** Builds the native tests one after the other, and runs the programs of each beside the builds that follow. */
async function runAllNative() {
  const results = []
  for (const { name, options, programs, runs = programs, env, emulator } of nativeBuilds) {
    console.error(`\nnative tests, ${name}: building`)
    const folder = `${root}build-${name}`
    if (options ? await buildVariant(folder, options, programs) : buildPlain(programs))
      for (const program of runs) results.push(runNative(`${name}, ${program}`, `${folder}/${program}`, env, emulator))
    else {
      console.error(`native tests, ${name}: the build failed`)
      results.push(counts(0, 1, 0))
    }
  }
  return await Promise.all(results)
}

/** Most files that are run again, alone. More of them fail for a reason of their own. */
const maxAgain = 5

/** Runs vitest. Resolves with its status and the counts of each test file. */
async function runVitest(args) {
  const report = `${cache}vitest.json`
  rmSync(report, { force: true })
  const { status } = await run(process.execPath, [
    `${root}node_modules/vitest/vitest.mjs`,
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...args,
  ])
  const { testResults } = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : { testResults: [] }
  const files = testResults.map(({ name, status: fileStatus, assertionResults }) => {
    const number = (...states) => assertionResults.filter((test) => states.includes(test.status)).length
    const failed = number('failed') || (fileStatus === 'failed' ? 1 : 0)
    return [name, counts(number('passed'), failed, number('pending', 'skipped', 'todo'))]
  })
  return { status, files: new Map(files) }
}

/**
 * Runs vitest on everything or on what `args` name. In a whole run two files at a time share the processors, so a file
 * that waits for something may fail for the other's load: a few that fail are run once more, alone, and told by name.
 */
async function runTests(args) {
  const first = await runVitest(args)
  const failed = [...first.files].flatMap(([name, { failed: number }]) => (number > 0 ? [name] : []))
  let status = first.status
  if (args.length === 0 && failed.length > 0 && failed.length <= maxAgain) {
    console.error(`\ntests: failed beside others, so they run once more, alone: ${failed.map(named).join(' ')}`)
    const second = await runVitest(['--maxWorkers=1', ...failed])
    for (const [name, result] of second.files) first.files.set(name, result)
    const passed = failed.filter((name) => second.files.get(name)?.failed === 0)
    if (passed.length > 0) console.error(`tests: failed beside others and passed alone: ${passed.map(named).join(' ')}`)
    status = second.status
  }
  const results = [...first.files.values()]
  // Something that belongs to no test, such as an error after its end, counts as one failure.
  if (status !== 0 && results.every(({ failed: number }) => number === 0)) results.push(counts(0, 1, 0))
  return results
}

const named = (file) => relative(root, file)

async function main() {
  const vitestArguments = process.argv.slice(2)
  installSystemPackages()
  mkdirSync(cache, { recursive: true })
  shareObjects()
  await setUp()
  if (!fetchOnnxTests())
    console.error("tests: ONNX's node tests could not be downloaded from PyPI, so the tests that need them fail")
  if (!fetchTestTools())
    console.error('tests: other Node versions could not be downloaded, so the tests that need them fail')
  for (const { version } of ffmpegs)
    if (ffmpegFolder(version) === null)
      console.error(`tests: ffmpeg ${version} could not be downloaded, so its tests are skipped`)
  const results = []
  if (vitestArguments.length === 0) results.push(...(await runAllNative()))
  results.push(...(await runTests(vitestArguments)))
  const sum = (key) => results.reduce((total, result) => total + result[key], 0)
  process.exitCode = sum('failed') > 0 || sum('passed') === 0 ? 1 : 0
  process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped\n`)
}

await main()
