/**
 * The packages as users install them, all made once from this checkout: npm from a registry on this machine, the Debian package
 * in a chroot, the container in a container engine. The full forms build the addons with zig: scripts/build/README.md.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { buildArm64Addon } from '../arm64-addon.js'
import { cleanEnvironment, endAll, launch } from '../process.js'
import { projectRoot } from '../shared.js'

const work = mkdtempSync(join(tmpdir(), 'gapcam-packages-'))
const packages = join(work, 'packages')
const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string }
afterEach(endAll)
afterAll(() => rmSync(work, { recursive: true, force: true }))

async function script(name: string, ...args: string[]): Promise<string> {
  const running = launch(process.execPath, [join(projectRoot, 'scripts', name), ...args], { env: cleanEnvironment() })
  expect(await running.ended, running.stderr()).toBe(0)
  return running.stdout()
}

const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8' })
const has = (file: string): boolean => existsSync(file)

beforeAll(async () => {
  await buildArm64Addon()
  await script('build/npm-packages.mjs', '--out', packages, '--addons', join(projectRoot, 'prebuilds'))
}, 600_000)

describe('npm', () => {
  it('the main package holds what a user needs, and the sources of the addon', () => {
    const files = run('tar', '-tzf', join(packages, `gapcam-${version}.tgz`)).split('\n')
    for (const wanted of ['dist/cli/main.js', 'native/addon.cc', 'CMakeLists.txt', 'man/gapcam.1', 'docs/install.md'])
      expect(files).toContain(`package/${wanted}`)
    expect(
      files.filter((file) => /native\/(test|fuzz|bench)\/|fake|emulator|\.(png|jpe?g)$|test\//.test(file)),
    ).toEqual(files.filter((file) => /^package\/models\/photos\/.*\.jpg$/.test(file)))
  })

  it('installs the native engine without a compiler, here and for arm64, and says what a wrong package is', async () => {
    const report = JSON.parse(await script('try/npm-install.mjs', '--packages', packages)) as Record<string, unknown>
    const native = { engine: 'native', label: 'chickadee' }
    expect(report).toMatchObject({ installed: native, arm64: { ...native, target: 'neon' } })
    expect(report['otherVersion']).toEqual({
      error: expect.stringMatching(/@gapcam\/linux-x64 has version 0\.0\.1, but gapcam has .*npm install gapcam@/),
    })
    const absent = /@gapcam\/linux-x64 is not installed.*npm install --include=optional installs the package/
    // npm leaves onnxruntime out where its install script fails; with it the sentence is the reason for that engine.
    expect(JSON.stringify(report['withoutPackage'])).toMatch(absent)
    expect(report['withoutOptional']).toEqual({ error: expect.stringMatching(absent) })
    expect(report['withoutPictures']).toEqual({
      error: expect.stringMatching(/^gapcam: no picture can be read or written: Could not load the "sharp" module/),
    })
    expect(report['withOnnxruntime']).toMatchObject({
      engine: 'onnxruntime',
      label: 'chickadee',
      engineReason: expect.stringMatching(absent) as unknown,
    })
  }, 400_000)
})

const isRoot = process.getuid?.() === 0
const canUnpack = isRoot && has('/usr/bin/mmdebstrap')
const canRun = has('/usr/bin/buildah') && has('/usr/sbin/runc') && spawnSync('unshare', ['-m', 'true']).status === 0

// Needs root for the chroot, and mmdebstrap.
describe.skipIf(!canUnpack)('Debian', () => {
  const root = join(work, 'debian')
  /** Runs in the chroot, with /proc, in a mount namespace of its own. */
  const inside = (...command: string[]) =>
    spawnSync(
      'unshare',
      [
        '-m',
        'sh',
        '-c',
        `mount -t proc proc '${root}/proc' && mount --rbind /dev '${root}/dev' && exec chroot '${root}' "$@"`,
        'sh',
        ...command,
      ],
      {
        encoding: 'utf8',
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive' },
      },
    )
  const done = (...command: string[]): string => {
    const { status, stdout, stderr } = inside(...command)
    expect(status, stderr + stdout).toBe(0)
    return stdout
  }
  /** What lies in the root, but for what dpkg and ldconfig write for themselves. */
  const files = (): string[] =>
    run('find', root, '-xdev', '-not', '-path', `${root}/var/lib/dpkg*`, '-not', '-path', `${root}/var/cache/*`)
      .split('\n')
      .filter((file) => !/\/var\/log\/|\/proc\//.test(file))
      .toSorted()

  beforeAll(async () => {
    await script('build/debian.mjs', '--packages', packages, '--out', packages, '--compression', 'none')
    const tar = join(projectRoot, '.cache/debian-bookworm.tar')
    if (!has(tar)) {
      run(
        'mmdebstrap',
        '--quiet',
        '--format=tar',
        '--mode=root',
        '--variant=essential',
        '--include=libstdc++6',
        'bookworm',
        `${tar}.new`,
      )
      run('mv', `${tar}.new`, tar)
    }
    mkdirSync(root)
    run('tar', '-xf', tar, '-C', root, '--exclude=./dev/*')
    cpSync(join(packages, `gapcam_${version}_amd64.deb`), join(root, 'gapcam.deb'))
  }, 600_000)

  it('installs, keeps a changed configuration, and leaves nothing after a purge', () => {
    const before = files()
    expect(done('dpkg', '-i', '/gapcam.deb')).toContain('name the camera in /etc/gapcam/gapcam.yaml')
    expect(done('gapcam', '--version')).toContain(version)
    const picture = '/usr/lib/gapcam/node_modules/gapcam/models/photos/bird.jpg'
    expect(JSON.parse(done('gapcam', 'classify', '--json', '--no-plan-cache', picture))).toMatchObject({
      engine: 'native',
      top: [{ label: 'chickadee' }, ...Array.from({ length: 4 }, () => expect.anything() as unknown)],
    })
    for (const file of [
      'usr/share/man/man1/gapcam.1.gz',
      'usr/share/bash-completion/completions/gapcam',
      'usr/share/zsh/vendor-completions/_gapcam',
      'usr/share/fish/vendor_completions.d/gapcam.fish',
    ])
      expect(statSync(join(root, file)).size).toBeGreaterThan(100)
    expect(done('gapcam', 'config', 'validate', '--config', '/etc/gapcam/gapcam.yaml')).toBe('')
    expect(done('dpkg', '--verify', 'gapcam')).toBe('')

    writeFileSync(join(root, 'etc/gapcam/gapcam.yaml'), 'node: porch\n')
    done('dpkg', '-i', '/gapcam.deb')
    expect(readFileSync(join(root, 'etc/gapcam/gapcam.yaml'), 'utf8')).toBe('node: porch\n')
    mkdirSync(join(root, 'var/lib/private/gapcam/porch'), { recursive: true })
    done('dpkg', '--remove', 'gapcam')
    expect(readFileSync(join(root, 'etc/gapcam/gapcam.yaml'), 'utf8')).toBe('node: porch\n')
    done('dpkg', '--purge', 'gapcam')
    expect(files().filter((file) => !before.includes(file))).toEqual([join(root, 'var/lib/private')])
  }, 300_000)

  it('has a unit that systemd accepts', () => {
    const tree = join(work, 'tree')
    run('dpkg-deb', '-x', join(packages, `gapcam_${version}_amd64.deb`), tree)
    const { stderr } = spawnSync('systemd-analyze', ['verify', `--root=${tree}`, 'gapcam.service'], {
      encoding: 'utf8',
    })
    // The tree has no other units, and no kill.
    const own = stderr.split('\n').filter((line) => line !== '' && !/sysinit\.target not found|Command kill/.test(line))
    expect(own).toEqual([])
  }, 120_000)

  it('has an arm64 package of arm64 programs, which run', () => {
    const tree = join(work, 'tree-arm64')
    const deb = join(packages, `gapcam_${version}_arm64.deb`)
    expect(run('dpkg-deb', '--field', deb, 'Architecture')).toBe('arm64\n')
    run('dpkg-deb', '-x', deb, tree)
    const program = join(tree, 'usr/lib/gapcam')
    const emulated = ['-cpu', 'cortex-a72', '-L', '/usr/aarch64-linux-gnu', join(program, 'node')]
    const picture = join(projectRoot, 'models/photos/bird.jpg')
    const main = join(program, 'node_modules/gapcam/dist/cli/main.js')
    const said = run('qemu-aarch64', ...emulated, main, 'classify', '--json', picture)
    expect(JSON.parse(said.split('\n')[0]!)).toMatchObject({ engine: 'native', target: 'neon' })
  }, 180_000)

  // Needs buildah, runc and mount namespaces.
  describe.skipIf(!canRun)('container', () => {
    const storage = ['--root', join(work, 'images'), '--runroot', join(work, 'run'), '--storage-driver', 'vfs']
    const isolated = ['--isolation', 'chroot']
    const buildah = (...args: string[]): string => run('buildah', ...storage, ...args)

    it.each(['amd64', 'arm64'])(
      'for %s has at most 250 MB, its own user and a health check',
      async (arch) => {
        const image = join(work, `image-${arch}`)
        await script('build/container.mjs', '--packages', packages, '--out', image, '--arch', arch)
        buildah('bud', '--quiet', ...isolated, '--arch', arch, '--format', 'docker', '-t', `gapcam-${arch}`, image)
        const inspected = JSON.parse(buildah('inspect', '--type', 'image', `gapcam-${arch}`)) as {
          Docker: { config: { User: string; Healthcheck: { Test: string[] } }; architecture: string }
        }
        expect(inspected.Docker).toMatchObject({ architecture: arch, config: { User: '10001:10001' } })
        expect(inspected.Docker.config.Healthcheck.Test[0]).toBe('CMD')
        expect(statSync(join(image, 'root.tar')).size).toBeLessThan(250e6)
      },
      300_000,
    )

    it('runs as nobody special on a read-only root, and is healthy by its progress alone', async () => {
      const place = buildah('mount', buildah('from', 'gapcam-amd64').trim()).trim()
      const bundle = join(work, 'bundle')
      mkdirSync(bundle)
      execFileSync('runc', ['spec'], { cwd: bundle })
      const config = join(bundle, 'config.json')
      writeFileSync(config, JSON.stringify(unprivileged(JSON.parse(readFileSync(config, 'utf8')) as Spec, place)))
      const [runc, name] = [['--root', join(work, 'runc')], `gapcam-test-${process.pid}`]
      const inside = (text: string) =>
        spawnSync('runc', [...runc, 'exec', name, '/bin/sh', '-c', text], { encoding: 'utf8' })
      const container = launch('runc', [...runc, 'run', '-b', bundle, name])
      try {
        const health = `find "$GAPCAM_PROGRESS_FILE" -newermt '20 seconds ago' | grep -q .`
        await expect.poll(() => inside(health).status, { timeout: 60_000, message: container.stderr() }).toBe(0)
        expect(inside('echo > /x').stderr).toContain('Read-only file system')
        expect(inside("grep -E '^(Uid|CapEff|NoNewPrivs)' /proc/self/status").stdout).toMatch(
          /Uid:\t10001\t10001\t10001\t10001\nCapEff:\t0+\nNoNewPrivs:\t1\n/,
        )
        expect(inside('ffmpeg -version').stdout).toMatch(/^ffmpeg version/)
        expect(inside("find /run/gapcam/progress -newermt '20 seconds' | grep -q .").status).not.toBe(0)
      } finally {
        spawnSync('runc', [...runc, 'kill', name, 'TERM'])
        expect(await container.ended).toBe(143)
      }
      expect(container.stderr()).toContain('frames classified by native')
    }, 180_000)
  })
})

interface Spec {
  root: object
  process: { env: string[]; args: string[] }
  mounts: { destination: string }[]
  linux: { namespaces: { type: string }[] }
}

/** What `docker run --read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs …` makes of the image. */
function unprivileged(spec: Spec, place: string): object {
  const owned = ['uid=10001', 'gid=10001', 'mode=700']
  const folders = { '/tmp': ['mode=1777'], '/run/gapcam': owned, '/var/lib/gapcam': owned }
  return {
    ...spec,
    root: { path: place, readonly: true },
    process: {
      ...spec.process,
      terminal: false,
      noNewPrivileges: true,
      user: { uid: 10001, gid: 10001 },
      capabilities: { bounding: [], effective: [], permitted: [] },
      env: [
        'PATH=/usr/bin:/bin',
        'HOME=/var/lib/gapcam',
        'GAPCAM_STATE_DIR=/var/lib/gapcam',
        'GAPCAM_PROGRESS_FILE=/run/gapcam/progress',
      ],
      args: ['/usr/bin/gapcam', 'run', 'test://', '--broker', 'none', '--set', 'page.port=0'],
    },
    mounts: [
      ...spec.mounts.filter(({ destination }) => !destination.startsWith('/sys')),
      ...Object.entries(folders).map(([destination, options]) => ({
        destination,
        type: 'tmpfs',
        source: 'tmpfs',
        options,
      })),
    ],
    linux: { namespaces: spec.linux.namespaces.filter(({ type }) => type !== 'cgroup') },
  }
}
