/**
 * gapcam as a service of the real systemd, which runs as the init process of separate namespaces: installed, confined, watched,
 * restarted and removed. guest.mjs acts inside; this file checks its findings.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cleanEnvironment, endAll, jsonLines, launch } from '../process.js'
import { projectRoot } from '../shared.js'

const has = (file: string, pattern: RegExp): boolean => existsSync(file) && pattern.test(readFileSync(file, 'utf8'))
const canRun =
  process.getuid?.() === 0 &&
  has('/proc/filesystems', /\toverlay$/m) &&
  has('/proc/mounts', / cgroup2 rw/) &&
  existsSync('/lib/systemd/systemd') &&
  spawnSync('unshare', ['-m', '-p', '-C', '--fork', 'true']).status === 0

describe.runIf(canRun)('under systemd (needs root, overlayfs and cgroup v2)', () => {
  const out = mkdtempSync(join(tmpdir(), 'gapcam-systemd-'))
  let output = ''
  beforeAll(async () => {
    const run = launch(
      join(projectRoot, 'test/service/with-systemd'),
      [out, process.execPath, join(projectRoot, 'test/service/guest.mjs')],
      { cwd: projectRoot, env: cleanEnvironment() },
    )
    await run.ended
    output = (existsSync(join(out, 'output')) ? readFileSync(join(out, 'output'), 'utf8') : '') + run.stderr()
  }, 300_000)
  afterAll(async () => {
    await endAll()
    rmSync(out, { recursive: true, force: true })
  })
  const scene = (name: string): Record<string, unknown> => {
    const found = jsonLines(
      output
        .split('\n')
        .filter((line) => line.startsWith('{"scene"'))
        .join('\n'),
    ).find((line) => line['scene'] === name)
    expect(found, `scene ${name} of\n${output}`).toBeDefined()
    return found!
  }

  it('is ready with its first result after the installation', () => {
    expect(scene('install')).toMatchObject({ status: 0, stderr: expect.stringContaining('and started') })
    expect(scene('up')).toMatchObject({ ActiveState: 'active', SubState: 'running', NRestarts: '0' })
    expect(scene('status')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/"state":"active \(running\)".*results a second/),
    })
  })

  it('logs in with a password from a file that only root can read, and its journal contains no secret', () => {
    const { health, ...online } = scene('label')
    expect(online).toMatchObject({ status: 'online', camera: 'online' })
    expect(JSON.parse(String(health))).toMatchObject({ mqtt: { connected: true, outbox: 'ok' } })
    expect(scene('secrets')).toMatchObject({ lines: 0 })
  })

  it('is confined: its own user, no capability, no new privileges, filtered system calls', () => {
    expect(scene('process')).toMatchObject({
      noNewPrivileges: true,
      seccomp: true,
      capabilities: '0000000000000000',
      stateDirectory: expect.arrayContaining(['.plans', 'belt']),
      password: false,
    })
    expect(Number(scene('process')['uid'])).toBeGreaterThan(60_000) // of DynamicUser's range
    expect(Number(/: ([\d.]+) /.exec(String(scene('exposure')['line']))?.[1])).toBeLessThanOrEqual(2.5)
  })

  it('reads the configuration again on SIGHUP', () => {
    expect(scene('reload')).toMatchObject({
      NRestarts: '0',
      journal: expect.arrayContaining([expect.stringContaining('configuration read again')]),
    })
  })

  it("comes back after a hung main thread (status 70) and after a stopped process (systemd's watchdog)", () => {
    expect(scene('main thread held')).toMatchObject({
      ExecMainStatus: '70',
      journal: [expect.stringContaining('the main thread has hung')],
    })
    expect(scene('up again')).toMatchObject({ SubState: 'running' })
    expect(scene('process stopped')).toMatchObject({ Result: 'watchdog', marks: ['hung'] })
    expect(scene('up after that')).toMatchObject({ SubState: 'running' })
  })

  it('stays down with a wrong configuration, with status 2 and its sentence', () => {
    expect(scene('bad configuration')).toMatchObject({
      ActiveState: 'failed',
      ExecMainStatus: '2',
      later: 'failed',
      journal: [expect.stringContaining('did you mean threads?')],
    })
    expect(scene('status of what does not run')).toMatchObject({ status: 1 })
  })

  it('waits for a missing camera, and restarts on command', () => {
    expect(scene('camera not there')).toMatchObject({ SubState: 'running', camera: 'offline' })
    expect(scene('restarted by command')).toMatchObject({ ActiveState: 'active' })
  })

  it('can be removed', () => {
    expect(scene('uninstall')).toMatchObject({ status: 0 })
    expect(scene('gone')).toMatchObject({ LoadState: 'not-found', ActiveState: 'inactive' })
  })
})
