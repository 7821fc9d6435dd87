/** The unit that `gapcam service install` writes, checked by systemd's tools, and installations that are refused. */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { configSchema, type Config } from '../../src/config/schema.js'
import { planService } from '../../src/service/plan.js'
import { unitText } from '../../src/service/unit.js'
import { cleanEnvironment, cli, endAll, gapcam, launch } from '../process.js'

const folder = mkdtempSync('/tmp/gapcam-unit-')
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function put(name: string, text: string, mode = 0o644): string {
  const path = join(folder, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

const configOf = (given: object): Config => configSchema.parse(given)
const plan = (config: Config, more: Partial<Parameters<typeof planService>[0]> = {}): ReturnType<typeof planService> =>
  planService({
    config,
    configFile: undefined,
    program: cli,
    node: process.execPath,
    canNotify: true,
    memoryMax: '60%',
    ...more,
  })
const lineOf = (unit: string, key: string): string | undefined =>
  unit
    .split('\n')
    .find((line) => line.startsWith(`${key}=`))
    ?.slice(key.length + 1)

describe('the unit', () => {
  const passwordFile = put('mqtt password', 'secret', 0o600)
  const file = put('gap cam/100%$x "q".yaml', `mqtt: { broker: 'mqtts://broker', passwordFile: '${passwordFile}' }\n`)

  it('passes systemd-analyze without a message, with an exposure of at most 2.5 of 10', async () => {
    const run = gapcam(['service', 'install', '--print', '--config', file])
    expect(await run.ended, run.stderr()).toBe(0)
    const unit = put('gapcam.service', run.stdout())
    const verified = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' })
    expect(verified.stderr.split('\n').filter((line) => line.includes('gapcam'))).toEqual([])
    const judged = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=25', '--no-pager', unit], {
      encoding: 'utf8',
    })
    expect(judged.status, judged.stdout).toBe(0)
    expect(Number(/exposure level for .*: ([\d.]+)/.exec(judged.stdout)?.[1])).toBeLessThanOrEqual(2.5)
  })

  it('runs this program with its configuration, with any characters in the path', () => {
    const unit = unitText(plan(configOf({}), { configFile: file }).unit)
    expect(lineOf(unit, 'ExecStart')).toBe(
      `${process.execPath} ${cli} run --config "${file.replaceAll('%', '%%').replaceAll('$', '$$$$').replaceAll('"', '\\"')}"`,
    )
  })

  it('passes files of secrets, and a configuration that not all users may read, as credentials', () => {
    const closed = put('closed.yaml', '', 0o600)
    const { unit, warnings } = plan(
      configOf({
        mqtt: { passwordFile, key: '/etc/gapcam/key' },
        cameras: [{ id: 'gate', source: 'rtsp://gate/1', passwordFile }],
      }),
      { configFile: closed },
    )
    const text = unitText(unit)
    expect(text.split('\n').filter((line) => line.startsWith('LoadCredential='))).toEqual([
      `LoadCredential=mqtt-password:${passwordFile}`,
      'LoadCredential=mqtt-key:/etc/gapcam/key',
      `LoadCredential=camera-gate-password:${passwordFile}`,
      `LoadCredential=config:${closed}`,
    ])
    expect(lineOf(text, 'ExecStart')).toMatch(/run --config %d\/config$/)
    expect(warnings.join('\n')).toMatch(/closed\.yaml is not readable by all/)
  })

  it('restarts after failures, hangs and restart commands, but not after a stop or a wrong configuration', () => {
    const unit = unitText(plan(configOf({ hungAfterMs: 5500 })).unit)
    expect([
      lineOf(unit, 'Restart'),
      lineOf(unit, 'SuccessExitStatus'),
      lineOf(unit, 'RestartPreventExitStatus'),
      lineOf(unit, 'WatchdogSec'),
      lineOf(unit, 'Type'),
    ]).toEqual(['on-failure', '130 143', '2', '8', 'notify'])
  })

  it('has no watchdog if the native addon is missing', () => {
    const unit = unitText(plan(configOf({}), { canNotify: false }).unit)
    expect(lineOf(unit, 'Type')).toBe('exec')
    expect(lineOf(unit, 'WatchdogSec')).toBeUndefined()
  })
})

describe('the folder of gapcam', () => {
  const home = join('/root', `gapcam-test-${process.pid}`)
  const isRoot = process.getuid?.() === 0
  afterAll(() => {
    if (isRoot) rmSync(home, { recursive: true, force: true })
  })

  it.runIf(isRoot)(
    'a checkout in a home folder is bound into the service, and nothing else there (needs root, to make a home folder)',
    () => {
      cpSync(cli, join(home, 'checkout/dist/cli/main.js'))
      const { unit } = plan(configOf({ model: `${home}/models/m.onnx` }), {
        program: join(home, 'checkout/dist/cli/main.js'),
      })
      expect(unit.readable).toEqual([join(home, 'checkout'), join(home, 'models')])
      expect(lineOf(unitText(unit), 'BindReadOnlyPaths')).toBe(`${join(home, 'checkout')} ${join(home, 'models')}`)
      expect(lineOf(unitText(unit), 'ProtectHome')).toBe('tmpfs')
    },
  )

  it('a global installation runs by its real path and is bound in if /tmp hides it; a visible Node is not bound in', () => {
    const installed = join(folder, 'lib/node_modules/gapcam/dist/cli/main.js')
    cpSync(cli, installed)
    mkdirSync(join(folder, 'bin'))
    symlinkSync(installed, join(folder, 'bin/gapcam'))
    const { unit } = plan(configOf({}), { program: join(folder, 'bin/gapcam'), node: '/bin/sh' })
    expect(unit.program).toBe(installed)
    expect(unit.readable).toEqual([join(folder, 'lib/node_modules')])
  })

  it('a gapcam in the cache of npx is refused', () => {
    const cached = join(folder, '.npm/_npx/abc/node_modules/gapcam/dist/cli/main.js')
    cpSync(cli, cached)
    expect(() => plan(configOf({}), { program: cached })).toThrow(/started by npx/)
  })
})

it('files that the service cannot read are warnings at installation', () => {
  const [open, closed] = [put('open/model.onnx', ''), put('closed/labels.txt', '', 0o600)]
  const { warnings } = plan(
    configOf({
      model: open,
      labels: closed,
      mqtt: { broker: 'mqtts://b', ca: '/nowhere/ca.pem' },
      cameras: [{ id: 'a', source: 'pictures/' }],
    }),
  )
  expect(warnings.filter((warning) => !warning.includes(`${folder} is closed`))).toEqual([
    'pictures/ is a relative path, and the service runs in another folder; write the path from /',
    '/nowhere/ca.pem does not exist',
    ...(warnings.some((warning) => warning.includes(`${folder} is closed`))
      ? []
      : [`the service's user cannot read ${closed}, because ${closed} is closed to other users: chmod o+rX ${closed}`]),
  ])
})

describe('an installation is refused with one sentence and status 2', () => {
  const hasSystemd = spawnSync('test', ['-d', '/run/systemd/system']).status === 0

  it.skipIf(hasSystemd)('where systemd does not run (needs a machine without systemd)', async () => {
    for (const action of ['install', 'uninstall']) {
      const run = gapcam(['service', action])
      expect(await run.ended).toBe(2)
      expect(run.stderr()).toMatch(
        /^gapcam: the service cannot be (un)?installed: systemd does not run on this machine\n.*--print/,
      )
    }
  })

  it.runIf(process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0)(
    'for a user other than root (needs root, to become another user)',
    async () => {
      // A mount namespace with its own /run, in which systemd seems to run, and an unprivileged user.
      const script = `mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec setpriv --reuid 65534 --regid 65534 --clear-groups '${process.execPath}' '${cli}' service install`
      const run = launch('unshare', ['-m', 'sh', '-c', script], { env: { ...cleanEnvironment(), HOME: '/' } })
      expect(await run.ended, run.stderr()).toBe(2)
      expect(run.stderr()).toMatch(
        /the service cannot be installed by this user: only root may do that\nRun the command with sudo/,
      )
    },
  )

  it.each([
    ['for a configuration with a mistake', ['--config', put('wrong.yaml', 'inputSise: 3\n')], /inputSise/],
    ['for a configuration that does not exist', ['--config', '/nowhere.yaml'], /nowhere\.yaml/],
    ['for an invalid name', ['--name', '../../etc/passwd'], /is not a name for a unit/],
    ['for an invalid size', ['--memory-max', 'much'], /--memory-max: must be/],
  ])('%s', async (_, args, sentence) => {
    const run = gapcam(['service', 'install', '--print', ...args])
    expect(await run.ended).toBe(2)
    expect(run.stderr()).toMatch(sentence)
    expect(run.stdout()).toBe('')
  })
})
