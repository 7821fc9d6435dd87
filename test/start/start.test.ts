/** `npm start` in a copy of the checkout, under the conditions of a new user. The copy is set up once. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { cleanEnvironment, endAll, jsonLines, launch, type Running } from '../process.js'
import { cleanUp, retained, startMosquitto } from '../publish/mosquitto.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'

const tools = join(projectRoot, '.cache/tools/node_modules')
const base = mkdtempSync(join(tmpdir(), 'gapcam-start-'))
const checkout = join(base, 'a folder with spaces')
const home = join(base, 'home')

/** A copy of the cache of compiled objects that npm test has filled, for this user. A build without it takes two minutes more. */
const sharedObjects = { CCACHE_DIR: join(base, 'ccache'), CCACHE_BASEDIR: checkout }

/** A user with rights only in the checkout; root would hide missing permissions. */
const user = process.getuid?.() === 0 ? 65534 : undefined

/** npm 10 or 11 as a program, run by this Node. */
const npm = (major: 10 | 11): string => join(tools, `npm-${major}/bin/npm-cli.js`)

interface StartOptions {
  readonly npmMajor?: 10 | 11
  readonly env?: NodeJS.ProcessEnv
  readonly args?: readonly string[]
  /** As a terminal runs it: a process group of its own, which Ctrl-C reaches as a whole. */
  readonly isGroup?: boolean
}

function start({ npmMajor = 10, env = {}, args = ['--frames', '40'], isGroup = false }: StartOptions = {}): Running {
  return launch(process.execPath, [npm(npmMajor), 'start', '--', ...args], {
    cwd: checkout,
    detached: isGroup,
    env: { ...cleanEnvironment(), HOME: home, ...sharedObjects, npm_config_update_notifier: 'false', ...env },
    ...(user === undefined ? {} : { uid: user, gid: user }),
  })
}

beforeAll(() => {
  chmodSync(base, 0o755)
  mkdirSync(home)
  const leftOut = new Set(['node_modules', 'dist', 'prebuilds', 'coverage', '.git', '.cache'])
  for (const name of readdirSync(projectRoot)) {
    if (!leftOut.has(name) && !name.startsWith('build'))
      cpSync(join(projectRoot, name), join(checkout, name), { recursive: true })
  }
  const cache = process.env['CCACHE_DIR']
  if (cache !== undefined && existsSync(cache)) cpSync(cache, join(base, 'ccache'), { recursive: true })
  if (user !== undefined) spawnSync('chown', ['-R', `${user}:${user}`, base])
})
afterEach(async () => {
  await endAll()
  await cleanUp()
})
afterAll(() => rmSync(base, { recursive: true, force: true }))

describe('npm start in a fresh copy without git, in a path with spaces', () => {
  it('installs, builds and prints labels of the photographs, without root and HOME, with NODE_ENV=production and ignore-scripts', async () => {
    const run = start({ env: { HOME: '/nonexistent', NODE_ENV: 'production', npm_config_ignore_scripts: 'true' } })
    expect(await run.ended, run.stderr()).toBe(0)
    expect(run.stderr()).toMatch(/installing npm packages[\s\S]*compiling TypeScript[\s\S]*building the native engine/)
    const labels = jsonLines<{ label: string; engine: string }>(withoutNpm(run.stdout()))
    expect(labels[0]).toMatchObject({ camera: 'cam0', label: 'chickadee', engine: 'native' })
  }, 400_000)

  it('prints a banner with camera, model, engine and reason, broker, topics and how to subscribe', async () => {
    const run = start({ npmMajor: 11 })
    expect(await run.ended, run.stderr()).toBe(0)
    expect(run.stderr()).not.toMatch(/installing|compiling|building/)
    for (const line of [
      /^camera {3}cam0: 8 pictures in .*models\/photos/m,
      /^model {4}efficientnet-lite0, 1000 labels$/m,
      /^engine {3}native (avx512vnni|avx512|avxvnni|avx2|neondot|neon|scalar), \d threads?: covers the whole model$/m,
      /^broker {3}127\.0\.0\.1:\d+ \(embedded\)$/m,
      /^topics {3}gapcam\/gapcam\/cam0\/label, /m,
      /^listen {3}mosquitto_sub -h 127\.0\.0\.1 -p \d+ -t 'gapcam\/gapcam\/#' -v$/m,
    ])
      expect(run.stderr()).toMatch(line)
  }, 60_000)

  it('builds only what a change has made stale', async () => {
    const source = join(checkout, 'src/version-note.ts')
    writeFileSync(source, 'export const note = 1\n')
    const changed = start()
    expect(await changed.ended, changed.stderr()).toBe(0)
    expect(changed.stderr()).toContain('compiling TypeScript')
    expect(changed.stderr()).not.toMatch(/installing|building/)
    rmSync(source)
    utimesSync(join(checkout, 'native/addon.cc'), new Date(), new Date())
    const touched = start()
    expect(await touched.ended, touched.stderr()).toBe(0)
    expect(touched.stderr()).not.toMatch(/installing|building/)
  }, 120_000)

  it('runs offline once installed, in a read-only folder', async () => {
    chmodSync(checkout, 0o555)
    try {
      const run = start({
        env: { HOME: '/nonexistent', npm_config_offline: 'true', npm_config_cache: join(base, 'no cache') },
      })
      expect(await run.ended, run.stderr()).toBe(0)
      expect(jsonLines(withoutNpm(run.stdout()))[0]).toMatchObject({ label: 'chickadee' })
    } finally {
      chmodSync(checkout, 0o755)
    }
  }, 60_000)

  it('runs as root', async () => {
    if (user === undefined) return expect(process.getuid?.()).not.toBe(0) // without root there is no other user to become
    const run = launch(process.execPath, [npm(10), 'start', '--', '--frames', '20'], {
      cwd: checkout,
      env: { ...cleanEnvironment(), HOME: home },
    })
    expect(await run.ended, run.stderr()).toBe(0)
  }, 60_000)

  it('takes the next free port if 1883 is in use', async () => {
    const holder = createServer()
      .on('error', () => undefined)
      .listen(1883, '127.0.0.1') // taken already: as good
    try {
      const run = start({ args: ['--frames', '20'] })
      expect(await run.ended, run.stderr()).toBe(0)
      expect(Number(/^broker {3}127\.0\.0\.1:(\d+)/m.exec(run.stderr())?.[1])).toBeGreaterThan(1883)
    } finally {
      holder.close()
    }
  }, 60_000)

  it('runs on onnxruntime without a compiler, and says what to install', async () => {
    const bin = join(base, 'bin')
    mkdirSync(bin)
    for (const program of ['sh', 'node', 'env', 'uname']) {
      const found = spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).stdout.trim()
      if (found !== '') symlinkSync(program === 'node' ? process.execPath : found, join(bin, program))
    }
    renameSync(join(checkout, 'prebuilds'), join(checkout, 'prebuilds.away'))
    try {
      const run = start({ env: { PATH: bin } })
      expect(await run.ended, run.stderr()).toBe(0)
      expect(run.stderr()).toMatch(
        /no native engine: a C\+\+ compiler \(g\+\+\) and cmake are not installed .*apt-get install/,
      )
      expect(jsonLines(withoutNpm(run.stdout()))[0]).toMatchObject({ label: 'chickadee', engine: 'onnxruntime' })
    } finally {
      rmSync(join(checkout, 'prebuilds'), { recursive: true, force: true })
      renameSync(join(checkout, 'prebuilds.away'), join(checkout, 'prebuilds'))
    }
  }, 60_000)

  it('ends with 130 on Ctrl-C, which npm passes on a second time, and leaves offline retained', async () => {
    const broker = await startMosquitto()
    for (const npmMajor of [10, 11] as const) {
      const run = start({ npmMajor, args: ['--broker', broker.url, '--node', `npm-${npmMajor}`], isGroup: true })
      await run.until(/"label":"chickadee"/)
      process.kill(-run.pid, 'SIGINT')
      expect(await run.ended).toBe(130)
      expect(run.stderr()).toMatch(/\d+ frames classified by native/)
      expect(await retained(broker.port, `gapcam/npm-${npmMajor}/status`)).toBe('offline')
    }
  }, 60_000)

  it('ends with 143 on SIGTERM at any moment of the start', async () => {
    const random = new Random(11)
    for (let i = 0; i < 5; i++) {
      const run = start({ args: ['--broker', 'none'] })
      await run.until(/> exec node scripts\/start\.mjs/)
      await new Promise((resolve) => setTimeout(resolve, random.between(0, 900)))
      run.kill('SIGTERM')
      expect(await run.ended, run.stderr()).toBe(143)
    }
  }, 60_000)

  it('ends with 143 on SIGTERM during the set-up', async () => {
    const stamp = join(checkout, 'dist/.built')
    renameSync(stamp, `${stamp}.away`)
    const run = start({ args: [] })
    await run.until(/compiling TypeScript/)
    run.kill('SIGTERM')
    expect(await run.ended).toBe(143)
  }, 60_000)

  it('npm run build creates a command line that node can run', async () => {
    rmSync(join(checkout, 'dist'), { recursive: true, force: true })
    const build = launch(process.execPath, [npm(11), 'run', 'build'], {
      cwd: checkout,
      env: { ...cleanEnvironment(), HOME: home },
      ...(user === undefined ? {} : { uid: user, gid: user }),
    })
    expect(await build.ended, build.stderr()).toBe(0)
    const run = launch(process.execPath, ['dist/cli/main.js', 'classify', '--json', 'models/photos/cat.jpg'], {
      cwd: checkout,
      env: cleanEnvironment(),
    })
    expect(await run.ended, run.stderr()).toBe(0)
    expect(jsonLines(run.stdout())).toMatchObject([{ engine: 'native' }])
  }, 120_000)

  it('ends quietly when the reader of its output closes', async () => {
    const script = `'${process.execPath}' '${npm(10)}' --silent start 2>"$0/err" | head -1`
    const run = launch('sh', ['-c', script, base], { cwd: checkout, env: { ...cleanEnvironment(), HOME: home } })
    expect(await run.ended).toBe(0)
    expect(jsonLines(run.stdout())).toMatchObject([{ label: 'chickadee' }])
  }, 60_000)
})

it('a Node that is too old is refused in one sentence', async () => {
  const old = join(tools, 'node-18/bin/node')
  expect(existsSync(old)).toBe(true)
  const run = launch(old, [join(projectRoot, 'scripts/start.mjs')])
  expect(await run.ended).toBe(2)
  expect(run.stderr()).toMatch(/^gapcam needs Node\.js 20 or newer; this is v18\.\d+\.\d+\.\n$/)
})

/** Removes the lines that npm prints to stdout, which begin with `>`. */
function withoutNpm(text: string): string {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .join('\n')
}
