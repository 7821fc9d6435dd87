/** The door for commands: what it accepts, what it refuses, and that a refusal changes nothing. */
import { describe, expect, it } from 'vitest'
import type { CommandTarget } from '../../../src/run/commands/row.js'
import { commandKinds, createCommands, type Commands } from '../../../src/run/commands/commands.js'
import { runtimeSchema } from '../../../src/config/schema.js'
import { loadConfig } from '../../../src/config/config.js'
import { discoveryOf } from '../../../src/publish/homeassistant/discovery.js'
import { createTopics } from '../../../src/publish/topics.js'
import { openSettings, type Settings } from '../../../src/run/commands/settings.js'

const log = { info: () => undefined, warn: () => undefined } as unknown as Parameters<typeof createCommands>[0]['log'] &
  Parameters<typeof openSettings>[0]['log']

function door(target: Partial<CommandTarget> = {}, cameras = ['cam0']): { commands: Commands; settings: Settings } {
  const { config } = loadConfig({
    environment: {},
    flags: { cameras: cameras.map((id) => ({ id, source: 'test://' })) },
  })
  const settings = openSettings({ config, cameras: config.cameras, folder: null, log })
  return {
    settings,
    commands: createCommands({ target: { zones: cameras, info: () => ({ version: '1' }), ...target }, settings, log }),
  }
}

describe('commands', () => {
  it('change a value and answer with the one that holds now', async () => {
    const { commands, settings } = door()
    expect(await commands.execute({ kind: 'threshold', value: 0.6 }, 'mqtt')).toEqual({
      status: 'ok',
      data: { camera: 'cam0', value: 0.6, kept: false },
    })
    expect(await commands.execute({ kind: 'enabled', camera: 'cam0', value: false }, 'page')).toMatchObject({
      status: 'ok',
      data: { value: false },
    })
    expect(await commands.execute({ kind: 'roi', value: '0.1,0.1,0.5,0.5' }, 'page')).toMatchObject({
      status: 'ok',
      data: { value: { x: 0.1, width: 0.5 } },
    })
    expect(await commands.execute({ kind: 'roi', value: { x: 0, y: 0, width: 1, height: 0.5 } }, 'page')).toMatchObject(
      { status: 'ok' },
    )
    expect(
      await commands.execute({ kind: 'set', values: { 'policy.margin': 0.1, logLevel: 'warn' } }, 'mqtt'),
    ).toMatchObject({ status: 'ok' })
    expect(settings.zone('cam0')).toEqual({
      isEnabled: false,
      isSwitchedOn: false,
      roi: { x: 0, y: 0, width: 1, height: 0.5 },
      policy: expect.objectContaining({ threshold: 0.6, margin: 0.1 }),
    })
  })

  it('must name a camera where there are several, and one that exists', async () => {
    const { commands } = door({}, ['belt', 'gate'])
    expect(await commands.execute({ kind: 'threshold', value: 0.6 }, 'mqtt')).toMatchObject({
      code: 'invalid',
      error: 'camera: one of belt, gate is needed',
    })
    expect(await commands.execute({ kind: 'threshold', camera: 'door', value: 0.6 }, 'mqtt')).toMatchObject({
      code: 'invalid',
      error: 'camera: door is none of belt, gate',
    })
    expect(await commands.execute({ kind: 'threshold', camera: 'gate', value: 0.6 }, 'mqtt')).toMatchObject({
      status: 'ok',
    })
  })

  it('answer before a restart; a missing function is not available', async () => {
    const order: string[] = []
    const { commands } = door({ restart: () => void order.push('restart') })
    await commands.execute({ kind: 'restart' }, 'mqtt').then(() => order.push('answer'))
    await new Promise(setImmediate)
    expect(order).toEqual(['answer', 'restart'])
    for (const kind of ['model_install', 'heat', 'snapshot', 'reload'])
      expect(await commands.execute({ kind }, 'mqtt')).toEqual({
        status: 'error',
        code: 'not_available',
        error: 'not available',
      })
  })

  it('fail with a reason when the camera is disabled or the work fails', async () => {
    const { commands } = door({ snapshot: () => Promise.reject(new Error('no frame\nwithin 10 s')) })
    expect(await commands.execute({ kind: 'snapshot' }, 'mqtt')).toEqual({
      status: 'error',
      code: 'failed',
      error: 'no frame\\u000awithin 10 s',
    })
    await commands.execute({ kind: 'enabled', value: false }, 'mqtt')
    expect(await commands.execute({ kind: 'snapshot' }, 'mqtt')).toMatchObject({
      code: 'failed',
      error: 'camera cam0 is disabled',
    })
  })

  it('are refused while eight others are in progress', async () => {
    const { commands } = door({ snapshot: () => new Promise(() => undefined) })
    for (let i = 0; i < 8; i++) void commands.execute({ kind: 'snapshot' }, 'mqtt')
    expect(await commands.execute({ kind: 'info' }, 'mqtt')).toMatchObject({ code: 'busy' })
  })

  it.each([
    null,
    undefined,
    7,
    'restart',
    [],
    {},
    { kind: 'toString' },
    { kind: '__proto__' },
    { kind: 'shell' },
    { kind: 'threshold' },
    { kind: 'threshold', value: '0.5' },
    { kind: 'threshold', value: 1.5 },
    { kind: 'threshold', value: Number.NaN },
    { kind: 'threshold', value: 0.5, also: 1 },
    { kind: 'threshold', camera: '../cam0', value: 0.5 },
    { kind: 'enabled', value: 'maybe' },
    { kind: 'roi', value: '0,0,2,1' },
    { kind: 'roi', value: '0.6,0,0.6,1' },
    { kind: 'set', values: {} },
    { kind: 'set', values: { model: '/etc/passwd' } },
    { kind: 'set', values: { 'mqtt.broker': 'mqtt://evil' } },
    { kind: 'set', values: { 'policy.margin': 9 } },
    { kind: 'set', values: JSON.parse('{"__proto__":{"polluted":true}}') },
    { kind: 'set', values: 'policy.margin=1' },
    { kind: 'restart', args: ['--all'] },
    { kind: 'snapshot', path: '/tmp/x.jpg' },
    { kind: 'reload', file: '/tmp/x.yaml' },
  ])('refuse %j and change nothing', async (command) => {
    const { commands, settings } = door({
      restart: () => {
        throw new Error('it restarted')
      },
    })
    const before = JSON.stringify([settings.zone('cam0'), settings.node])
    const result = await commands.execute(command, 'mqtt')
    expect(result).toMatchObject({ status: 'error', code: 'invalid', error: expect.stringMatching(/^.{3,200}$/) })
    await new Promise(setImmediate)
    expect(JSON.stringify([settings.zone('cam0'), settings.node])).toBe(before)
    expect({}).not.toHaveProperty('polluted')
  })

  it("accept text in no key of `set` but the log level's name", async () => {
    // A key that took text could one day be a path, an address or a word for a shell.
    const { commands } = door()
    for (const key of Object.keys(runtimeSchema.shape))
      expect(await commands.execute({ kind: 'set', values: { [key]: '/etc/passwd' } }, 'mqtt'), key).toMatchObject({
        code: 'invalid',
      })
  })

  it.each(commandKinds)('%s refuses a field that it does not know', async (kind) => {
    expect(await door().commands.execute({ kind, path: '/etc/passwd' }, 'mqtt')).toMatchObject({ code: 'invalid' })
  })
})

it('the buttons that Home Assistant gets press commands of the table', () => {
  const health = { hasTemperature: true, hasUndervoltage: true, hasThrottling: true }
  const facts = { node: 'desk', cameras: ['cam0'], version: '1', labels: ['cat'], health, hasHeat: true }
  const pressed = [
    ...JSON.stringify(discoveryOf(facts, createTopics('gapcam', 'desk'), 'ha')).matchAll(/request\/(\w+)"/g),
  ]
  expect(pressed.length).toBeGreaterThanOrEqual(4)
  expect(pressed.map(([, kind]) => kind).filter((kind) => !commandKinds.some((known) => known === kind))).toEqual([])
})
