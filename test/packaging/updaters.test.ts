/**
 * The updaters' scripts with the real programs: Debian's mender-client in its standalone mode over an artifact, and Debian's RAUC
 * over a signed bundle, each beside a running gapcam. Their folders are mounted in a namespace of the test.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Entry } from '../../src/bundle/phases.js'
import { freshFolder, makeBundle, photo } from '../bundle/bundles.js'
import { cli, endAll, gapcam, launch, type Running } from '../process.js'
import { until } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

const works = (command: string, ...args: readonly string[]): boolean => spawnSync(command, args).status === 0
const hasMender = works('mender', '--version') && works('unshare', '-m', 'true')
/** RAUC mounts its bundles. */
const hasRauc =
  ['rauc', 'mksquashfs', 'dbus-daemon'].every((name) => works('sh', '-c', `command -v ${name}`)) &&
  works('unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /mnt && test -e /dev/loop-control')

const folder = freshFolder()
const script = (path: string): string => join(projectRoot, 'packaging', path)
const stateDir = join(folder, 'state')
const config = join(folder, 'gapcam.yaml')
const env = {
  ...process.env,
  UPDATER_CONF: join(folder, 'updater.conf'),
  UPDATER_LIBRARY: script('updaters/gapcam-bundle.sh'),
}
const flags = ['--config', config, '--set', `stateDir=${stateDir}`]

const listed = (): Entry => {
  const text = execFileSync(process.execPath, [cli, 'model', 'list', '--json', ...flags], { encoding: 'utf8' })
  return (JSON.parse(text) as readonly Entry[])[0]!
}
const shown = ({ serving, phase }: Entry): string => `${serving?.version} ${phase}`
const model = (...args: readonly string[]): void =>
  void execFileSync(process.execPath, [cli, 'model', ...args, ...flags], { stdio: 'pipe' })

/** How long a node has to start with a bundle. */
const letStart = (seconds: number): void => writeFileSync(join(folder, 'start'), `UPDATER_START=${seconds}\n`)

let node: Running | null = null
/** Starts the node that the updates are for. */
async function startNode(): Promise<void> {
  node = gapcam(['run', photo, '--loop', ...flags])
  await node.until(/"label"/)
}
async function stopNode(): Promise<void> {
  node?.kill('SIGKILL')
  await node?.ended
}

beforeAll(async () => {
  mkdirSync(stateDir)
  writeFileSync(config, 'model: small\nmqtt: { broker: none }\npage: { enabled: false }\n')
  const setting = [
    `UPDATER_GAPCAM="${process.execPath} ${cli}"`,
    `UPDATER_CONFIG=${config}`,
    `UPDATER_STATE=${stateDir}`,
  ]
  writeFileSync(env.UPDATER_CONF, [...setting, 'UPDATER_WAIT=1', `. ${folder}/start`, ''].join('\n'))
  letStart(40)
  const { file } = await makeBundle(folder, { version: '1.0.0' })
  // The configuration names the bundle before it is there.
  model('install', file)
  model('confirm')
  await startNode()
}, 120_000)
afterAll(async () => {
  await stopNode()
  await endAll()
})

describe.skipIf(!hasMender)('Mender (skipped where mender-client or mount namespaces are missing)', () => {
  const run = (...args: readonly string[]) => {
    const inside = `mount --bind ${folder}/modules /usr/share/mender/modules/v3 && mount --bind ${folder}/etc /etc/mender && exec mender "$@"`
    const own = ['--no-syslog', '--config', `${folder}/mender.conf`, '--data', `${folder}/mender`]
    const done = spawnSync('unshare', ['-m', 'sh', '-c', inside, 'mender', ...own, ...args], { env, encoding: 'utf8' })
    return { status: done.status, text: done.stdout + done.stderr }
  }
  const artifact = async (version: string): Promise<string> => {
    const { file } = await makeBundle(folder, { version })
    const out = join(folder, `${version}.mender`)
    execFileSync(script('mender/make-artifact.sh'), [file, `small-${version}`, 'camera', out])
    return out
  }

  beforeAll(() => {
    for (const name of ['modules', 'etc', 'mender']) mkdirSync(join(folder, name), { recursive: true })
    copyFileSync(script('mender/gapcam'), join(folder, 'modules/gapcam'))
    writeFileSync(join(folder, 'etc/artifact_info'), 'artifact_name=base\n')
    writeFileSync(join(folder, 'mender/device_type'), 'device_type=camera\n')
    writeFileSync(join(folder, 'mender.conf'), '{"ServerURL":"https://127.0.0.1:1"}')
  })

  it('installs a bundle, waits while it serves, and commits it', async () => {
    expect(run('install', await artifact('1.1.0'))).toMatchObject({ status: 0 })
    expect(shown(listed())).toBe('1.1.0 probation')
    expect(run('commit')).toMatchObject({ status: 0 })
    expect(shown(listed())).toBe('1.1.0 settled')
    expect(run('show-artifact').text).toContain('small-1.1.0')
  }, 120_000)

  it('rolls a bundle back that a person does not commit, and does nothing the second time', async () => {
    expect(run('install', await artifact('1.2.0'))).toMatchObject({ status: 0 })
    expect(run('rollback')).toMatchObject({ status: 0 })
    expect(shown(listed())).toBe('1.1.0 settled')
    expect(run('rollback')).toMatchObject({ status: 2 })
    expect(shown(listed())).toBe('1.1.0 settled')
  }, 120_000)

  it('rolls back by itself where no node serves the bundle, and refuses an artifact for another device', async () => {
    await stopNode()
    letStart(1)
    const { status, text } = run('install', await artifact('1.3.0'))
    expect(status).not.toBe(0)
    expect(text).toMatch(/no node has started with small/)
    expect(shown(listed())).toBe('1.1.0 settled')
    writeFileSync(join(folder, 'mender/device_type'), 'device_type=other\n')
    expect(run('install', join(folder, '1.3.0.mender')).status).not.toBe(0)
    expect(shown(listed())).toBe('1.1.0 settled')
    letStart(40)
    await startNode()
  }, 120_000)
})

describe.skipIf(!hasRauc)('RAUC (skipped where rauc, squashfs-tools, dbus or loop devices are missing)', () => {
  let bus: Running
  let service: Running
  const uses = { ...env, DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${folder}/bus` }
  const [cert, key] = [join(folder, 'rauc.pem'), join(folder, 'rauc.key')]
  const install = (file: string) => {
    const done = spawnSync('rauc', ['install', file], { env: uses, encoding: 'utf8' })
    return { status: done.status, text: done.stdout + done.stderr }
  }
  const raucBundle = async (version: string, compatible = 'camera'): Promise<string> => {
    const { file } = await makeBundle(folder, { version })
    const out = join(folder, `${version}-${compatible}.raucb`)
    const options = { env: { ...process.env, RAUC_FORMAT: 'plain' }, stdio: 'pipe' } as const
    execFileSync(script('rauc/make-bundle.sh'), [file, version, compatible, cert, key, out], options)
    return out
  }

  beforeAll(async () => {
    const subject = ['-subj', '/CN=maker', '-days', '2', '-keyout', key, '-out', cert]
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject], { stdio: 'pipe' })
    mkdirSync(join(folder, 'mnt'))
    const slot = (name: string, more = ''): string => {
      writeFileSync(join(folder, `${name}.img`), '')
      return `[slot.${name}]\ndevice=${folder}/${name}.img\n${more}`
    }
    writeFileSync(
      join(folder, 'system.conf'),
      `[system]\ncompatible=camera\nbootloader=noop\nmountprefix=${folder}/mnt\nstatusfile=${folder}/rauc.status\n[keyring]\npath=${cert}\n` +
        [slot('rootfs.0', 'bootname=A\n'), slot('rootfs.1', 'bootname=B\n'), slot('gapcam.0', 'type=raw\n')].join(''),
    )
    bus = launch('dbus-daemon', ['--session', '--nofork', '--print-address', `--address=unix:path=${folder}/bus`])
    await bus.until(/unix:path/)
    // A mount namespace: what is mounted ends with it.
    const args = ['-m', 'rauc', `--conf=${folder}/system.conf`, '--override-boot-slot=A', 'service']
    service = launch('unshare', args, { env: uses })
    await until(() => works('env', `DBUS_SYSTEM_BUS_ADDRESS=${uses.DBUS_SYSTEM_BUS_ADDRESS}`, 'rauc', 'status'), 'RAUC')
  }, 60_000)
  afterAll(async () => {
    for (const program of [service, bus]) {
      program.kill('SIGTERM')
      await program.ended
    }
  })

  it('installs a bundle, waits while it serves, and confirms it', async () => {
    expect(install(await raucBundle('2.1.0'))).toMatchObject({ status: 0 })
    expect(shown(listed())).toBe('2.1.0 settled')
  }, 120_000)

  it('takes a bundle back that no node serves, and refuses one for other devices', async () => {
    await stopNode()
    letStart(1)
    expect(install(await raucBundle('2.2.0'))).toMatchObject({ status: 1 })
    await service.until(/no node has started with small/)
    expect(shown(listed())).toBe('2.1.0 settled')
    expect(install(await raucBundle('2.3.0', 'toaster')).text).toMatch(/[Cc]ompatible/)
    expect(shown(listed())).toBe('2.1.0 settled')
  }, 120_000)
})
