/** Notifications of the service manager, received on a real datagram socket. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { loadAddon } from '../../src/addon.js'
import { findServiceManager } from '../../src/service/manager.js'
import { endAll, gapcam } from '../process.js'
import { until } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'
import { startManager } from './service-manager.js'

afterEach(endAll)
const quick = [
  '--model',
  join(projectRoot, 'models/convnet-gap.onnx'),
  '--input-size',
  '32',
  '--threads',
  '1',
  '--broker',
  'none',
  '--json',
  '--set',
  'page.enabled=false',
]
const silent = { warn: (): void => undefined }

describe('the addon', () => {
  it.each(['path', 'abstract'] as const)(
    'sends one datagram per state to a socket in the %s namespace',
    async (kind) => {
      const manager = await startManager(kind)
      const { addon } = loadAddon() as Extract<ReturnType<typeof loadAddon>, { addon: unknown }>
      addon.notify(manager.socket, 'READY=1\nSTATUS=grüß Gott')
      addon.notify(manager.socket, '')
      addon.notify(manager.socket, 'x'.repeat(3000))
      await until(() => manager.told().length === 3, 'three datagrams')
      expect(manager.told()).toEqual(['READY=1\nSTATUS=grüß Gott', '', 'x'.repeat(3000)])
    },
  )

  it('reports in words why it cannot send', () => {
    const { addon } = loadAddon() as Extract<ReturnType<typeof loadAddon>, { addon: unknown }>
    expect(() => addon.notify('/nowhere/notify', 'READY=1')).toThrow('No such file or directory')
    expect(() => addon.notify(`/${'x'.repeat(200)}`, 'READY=1')).toThrow('File name too long')
    expect(() => addon.notify('vsock:2:9999', 'READY=1')).toThrow('Address family not supported')
    expect(() => addon.notify('', 'READY=1')).toThrow('Address family not supported')
    expect(() => (addon.notify as (socket: string) => void)('@x')).toThrow(TypeError)
  })
})

describe('a service manager', () => {
  it('is removed from the environment, and only watches the process that it names', async () => {
    const { socket, told } = await startManager('abstract')
    const environment = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '12000000', WATCHDOG_PID: '7', PATH: '/bin' }
    expect(findServiceManager({ ...environment }, silent, 8).watchdogMs).toBeNull()
    const manager = findServiceManager(environment, silent, 7)
    expect(environment).toEqual({ PATH: '/bin' })
    expect(manager).toMatchObject({ isThere: true, watchdogMs: 12_000 })
    manager.status('two\nlines=1')
    manager.alive()
    await until(() => told().length === 2, 'two datagrams')
    expect(told()).toEqual(['STATUS=two lines=1', 'WATCHDOG=1'])
  })

  it('that does not listen is reported once and ends nothing', () => {
    const warnings: string[] = []
    const manager = findServiceManager({ NOTIFY_SOCKET: '/nowhere/notify' }, {
      warn: (_: unknown, text: string) => {
        warnings.push(text)
      },
    } as Parameters<typeof findServiceManager>[1])
    manager.ready()
    manager.status('x')
    expect(warnings).toEqual(['the service manager does not listen on /nowhere/notify: No such file or directory'])
  })
})

describe('gapcam run', () => {
  it('notifies that it is ready, its state, and that it stops; its children do not notify', async () => {
    const manager = await startManager()
    const run = gapcam(['run', 'gst:videotestsrc is-live=true', ...quick], {
      env: { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: '12000000' },
    })
    await until(
      () => manager.told().some((state) => /results a second/.test(state)) && manager.told().includes('WATCHDOG=1'),
      'status and a sign of life',
      60_000,
    )
    const child = execFileSync('ps', ['-o', 'pid=', '--ppid', String(run.pid)], { encoding: 'utf8' })
      .trim()
      .split('\n')[0]!
      .trim()
    expect(readFileSync(`/proc/${child}/environ`, 'utf8')).not.toMatch(/NOTIFY_SOCKET|WATCHDOG_/)
    run.kill('SIGTERM')
    expect(await run.ended).toBe(143)
    const told = manager.told()
    expect(told[0]).toBe('STATUS=opening the model')
    expect(told.filter((state) => state === 'READY=1')).toHaveLength(1)
    expect(told.indexOf('READY=1')).toBeGreaterThan(0)
    expect(told.filter((state) => state === 'STOPPING=1')).toHaveLength(1)
  })

  it('never notifies that it is ready if its camera is missing', async () => {
    const manager = await startManager()
    const run = gapcam(['run', 'v4l2:///dev/video99', ...quick], { env: { NOTIFY_SOCKET: manager.socket } })
    expect(await run.ended).toBe(3)
    expect(manager.told()).not.toContain('READY=1')
  })
})
