// npm test: installs what the tests need, runs the native tests and vitest, and ends with one line on stdout:
// `N passed, N failed, N skipped`. Arguments go to vitest; with arguments the native tests do not run.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { fetchOnnxTests } from './fetch/onnx-tests.mjs'
import { ffmpegFolder, ffmpegs } from './fetch/ffmpegs.mjs'
import { fetchTestTools } from './fetch/test-tools.mjs'
import { setUp } from './setup.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))
const cache = `${root}.cache/`

/** Debian packages, with a file that each one installs. */
const systemPackages = {
  'g++': '/usr/bin/g++',
  cmake: '/usr/bin/cmake',
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
  'mosquitto-clients': '/usr/bin/mosquitto_sub',
  ffmpeg: '/usr/bin/ffmpeg',
  systemd: '/usr/bin/systemd-analyze',
  procps: '/bin/ps',
  openssl: '/usr/bin/openssl',
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

/** Runs a command with its stdout on stderr. Resolves with its status and its last line of output. */
function run(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 2] })
    let tail = ''
    child.stdout.on('data', (chunk) => {
      process.stderr.write(chunk)
      tail = (tail + chunk).slice(-2000)
    })
    child.on('error', (error) => resolve({ status: 1, last: String(error) }))
    child.on('close', (status) => resolve({ status: status ?? 1, last: tail.trimEnd().split('\n').pop() ?? '' }))
  })
}

function counts(passed, failed, skipped) {
  return { passed, failed, skipped }
}

/** Builds and runs the native tests in one configuration: plain, with sanitizers, or for another processor in an emulator. */
async function runNative(name, cmakeOptions, env, emulator = [], runner = 'native_tests') {
  const folder = `${root}build-${name}`
  console.error(`\nnative tests, ${name}${runner === 'native_tests' ? '' : `, ${runner}`}`)
  const configured = await run('cmake', ['-S', root, '-B', folder, '-DGAPCAM_ADDON=OFF', ...cmakeOptions])
  const built =
    configured.status === 0
      ? await run('cmake', ['--build', folder, '-j2', ...(runner === 'native_tests' ? [] : ['--target', runner])])
      : configured
  if (built.status !== 0) {
    console.error(`native tests, ${name}: the build failed`)
    return counts(0, 1, 0)
  }
  const [program, ...args] = [...emulator, `${folder}/${runner}`]
  const { status, last } = await run(program, args, env)
  const [, passed, failed, skipped] = /^(\d+) passed, (\d+) failed, (\d+) skipped$/.exec(last) ?? []
  if (passed === undefined) return counts(0, 1, 0)
  return counts(Number(passed), status !== 0 && failed === '0' ? 1 : Number(failed), Number(skipped))
}

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
  if (!existsSync(report)) return counts(0, 1, 0)
  const result = JSON.parse(readFileSync(report, 'utf8'))
  const failed = result.numFailedTests || (status !== 0 ? 1 : 0)
  return counts(result.numPassedTests, failed, result.numPendingTests + result.numTodoTests)
}

async function main() {
  const vitestArguments = process.argv.slice(2)
  installSystemPackages()
  mkdirSync(cache, { recursive: true })
  await setUp()
  if (!fetchOnnxTests())
    console.error("tests: ONNX's node tests could not be downloaded from PyPI, so the tests that need them fail")
  if (!fetchTestTools())
    console.error('tests: other Node versions could not be downloaded, so the tests that need them fail')
  for (const { version } of ffmpegs)
    if (ffmpegFolder(version) === null)
      console.error(`tests: ffmpeg ${version} could not be downloaded, so its tests are skipped`)
  const results = []
  if (vitestArguments.length === 0) {
    results.push(await runNative('plain', []))
    results.push(await runNative('plain', [], {}, [], 'cuda_tests'))
    const asan = [
      ['-DGAPCAM_SANITIZE=address,undefined'],
      { ASAN_OPTIONS: 'detect_leaks=1', UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1' },
    ]
    results.push(await runNative('asan', ...asan))
    results.push(await runNative('asan', ...asan, [], 'cuda_tests'))
    results.push(await runNative('tsan', ['-DGAPCAM_SANITIZE=thread'], { TSAN_OPTIONS: 'halt_on_error=1' }))
    const arm64 = [
      '-DCMAKE_SYSTEM_NAME=Linux',
      '-DCMAKE_SYSTEM_PROCESSOR=aarch64',
      '-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++',
    ]
    results.push(
      await runNative('arm64-tests', arm64, {}, ['qemu-aarch64', '-cpu', 'cortex-a72', '-L', '/usr/aarch64-linux-gnu']),
    )
  }
  results.push(await runVitest(vitestArguments))
  const sum = (key) => results.reduce((total, result) => total + result[key], 0)
  process.exitCode = sum('failed') > 0 || sum('passed') === 0 ? 1 : 0
  process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped\n`)
}

await main()
