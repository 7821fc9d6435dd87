/** Settings at run time: precedence, listeners, and what survives a crash. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../../src/config/config.js'
import { openSettings, type Settings } from '../../../src/run/commands/settings.js'
import { projectRoot } from '../../shared.js'

const root = mkdtempSync(join(tmpdir(), 'gapcam-settings-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let folders = 0
const freshFolder = (): string => join(root, String(++folders), 'node')
const warnings: string[] = []
const log = { warn: (_fields: unknown, message: string): void => void warnings.push(message) } as unknown as Parameters<
  typeof openSettings
>[0]['log']

function open(folder: string | null, more: Record<string, unknown> = {}): Settings {
  const { config } = loadConfig({
    environment: {},
    flags: {
      cameras: [
        { id: 'cam0', source: 'test://' },
        { id: 'cam1', source: 'test://', roi: '0,0,0.5,1' },
      ],
      ...more,
    },
  })
  return openSettings({ config, cameras: config.cameras, folder, log })
}

describe('settings', () => {
  it('override the configuration until they are cleared', async () => {
    const settings = open(null, { 'policy.threshold': 0.4 })
    expect(settings.zone('cam0')).toMatchObject({ isEnabled: true, roi: null, policy: { threshold: 0.4 } })
    expect(settings.zone('cam1').roi).toEqual({ x: 0, y: 0, width: 0.5, height: 1 })
    await settings.change({
      zone: 'cam1',
      enabled: false,
      threshold: 0.9,
      roi: { x: 0.5, y: 0, width: 0.5, height: 1 },
    })
    await settings.change({ values: { 'policy.margin': 0.2, 'mqtt.stateEveryMs': 500, logLevel: 'warn' } })
    expect(settings.zone('cam0').policy).toMatchObject({ threshold: 0.4, margin: 0.2 })
    expect(settings.zone('cam1')).toMatchObject({
      isEnabled: false,
      policy: { threshold: 0.9, margin: 0.2 },
      roi: { x: 0.5 },
    })
    expect(settings.node).toMatchObject({ 'mqtt.stateEveryMs': 500, logLevel: 'warn' })
    await settings.change({ zone: 'cam1', enabled: null, threshold: null, roi: null })
    await settings.change({ values: { 'policy.margin': null, 'mqtt.stateEveryMs': null, logLevel: null } })
    expect(settings.zone('cam1')).toMatchObject({
      isEnabled: true,
      policy: { threshold: 0.4, margin: 0.05 },
      roi: { x: 0, width: 0.5 },
    })
    expect(settings.overrides).toEqual({ version: 2, cameras: {}, values: {}, zones: {} })
  })

  it('the last write wins, for one camera and for all', async () => {
    const settings = open(null)
    await settings.change({ zone: 'cam0', threshold: 0.6 })
    await settings.change({ values: { 'policy.threshold': 0.7 } })
    expect(['cam0', 'cam1'].map((id) => settings.zone(id).policy.threshold)).toEqual([0.7, 0.7])
    await settings.change({ zone: 'cam0', threshold: 0.8 })
    expect(['cam0', 'cam1'].map((id) => settings.zone(id).policy.threshold)).toEqual([0.8, 0.7])
  })

  it('every listener is called, and reading gives the same object until something changes', () => {
    const settings = open(null)
    const heard: number[] = []
    const stop = settings.onChange(() => heard.push(settings.zone('cam0').policy.threshold))
    settings.onChange(() => heard.push(-1))
    const before = settings.zone('cam0')
    expect(settings.zone('cam0')).toBe(before)
    void settings.change({ zone: 'cam0', threshold: 0.6 })
    void settings.change({ zone: 'cam0', threshold: 0.6 }) // no change
    stop()
    void settings.change({ zone: 'cam0', threshold: 0.5 })
    expect(heard).toEqual([0.6, -1, -1])
  })
})

describe('kept on disk', () => {
  it('are there at the next start, in a file that only its owner can read', async () => {
    const folder = freshFolder()
    const settings = open(folder)
    expect(
      await settings.change({ zone: 'cam0', enabled: false, roi: { x: 0.1, y: 0.2, width: 0.3, height: 0.4 } }),
    ).toBe(true)
    await settings.close()
    expect(open(folder).zone('cam0')).toMatchObject({
      isEnabled: false,
      roi: { x: 0.1, y: 0.2, width: 0.3, height: 0.4 },
    })
    expect(execFileSync('stat', ['-c', '%a', join(folder, 'settings.json')], { encoding: 'utf8' }).trim()).toBe('600')
  })

  it.each([
    '',
    '{',
    '[]',
    '{"version":2}',
    '{"version":1,"cameras":{"cam0":{"threshold":7}},"values":{}}',
    '{"version":1,"cameras":{},"values":{"model":"/etc/passwd"}}',
    '\u0000\u0000',
  ])('a damaged file (%j) is set aside with a warning', async (text) => {
    const folder = freshFolder()
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'settings.json'), text)
    warnings.length = 0
    const settings = open(folder)
    expect(settings.overrides.cameras).toEqual({})
    expect(warnings.join()).toMatch(/damaged/)
    expect(readFileSync(join(folder, 'settings.json.damaged'), 'utf8')).toBe(text)
    expect(await settings.change({ zone: 'cam0', threshold: 0.5 })).toBe(true)
    expect(open(folder).zone('cam0').policy.threshold).toBe(0.5)
  })

  it('of a newer version are set aside with a warning that says so', () => {
    const folder = freshFolder()
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'settings.json'), '{"version":3,"cameras":{},"values":{},"zones":{}}')
    warnings.length = 0
    expect(open(folder).overrides.version).toBe(2)
    expect(warnings.join()).toMatch(/version: the file is from a newer version of gapcam\)/)
  })

  it('of an older version, before there were zones, are read', () => {
    const folder = freshFolder()
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'settings.json'), '{"version":1,"cameras":{"cam0":{"threshold":0.61}},"values":{}}')
    warnings.length = 0
    const settings = open(folder)
    expect(settings.zone('cam0').policy.threshold).toBe(0.61)
    expect(settings.overrides).toMatchObject({ version: 2, zones: {} })
    expect(warnings).toEqual([])
  })

  it('in a folder that cannot be written a value takes effect but is not kept', async () => {
    const folder = freshFolder()
    mkdirSync(join(folder, '..'), { recursive: true })
    writeFileSync(folder, 'a file where the folder should be')
    warnings.length = 0
    const settings = open(folder)
    expect(await settings.change({ zone: 'cam0', threshold: 0.5 })).toBe(false)
    expect(await settings.change({ zone: 'cam0', threshold: 0.6 })).toBe(false)
    expect(settings.zone('cam0').policy.threshold).toBe(0.6)
    expect(warnings.filter((line) => line.includes('cannot be written'))).toHaveLength(1)
    chmodSync(folder, 0o600)
  })

  it('a hundred changes at once cause few writes, and the last value is kept', async () => {
    const folder = freshFolder()
    const settings = open(folder)
    const kept = Array.from({ length: 100 }, (_, i) => settings.change({ zone: 'cam0', threshold: i / 100 }))
    void settings.close()
    expect(await Promise.all(kept)).toEqual(Array.from({ length: 100 }, () => true))
    expect(open(folder).zone('cam0').policy.threshold).toBe(0.99)
  })

  it('two writers of one file leave a whole file, of the last one', async () => {
    const folder = freshFolder()
    const [one, other] = [open(folder), open(folder)]
    await Promise.all([one.change({ zone: 'cam0', threshold: 0.1 }), other.change({ zone: 'cam1', threshold: 0.2 })])
    expect([{ cam0: { threshold: 0.1 } }, { cam1: { threshold: 0.2 } }]).toContainEqual(
      JSON.parse(readFileSync(join(folder, 'settings.json'), 'utf8')).cameras,
    )
  })

  it('a confirmed value survives SIGKILL at any moment, and no temporary file is left', async () => {
    const folder = freshFolder()
    const program = `
      import { loadConfig } from '${projectRoot}dist/config/config.js'
      import { openSettings } from '${projectRoot}dist/run/commands/settings.js'
      const { config } = loadConfig({ environment: {}, flags: { cameras: [{ id: 'cam0', source: 'test://' }] } })
      const settings = openSettings({ config, cameras: config.cameras, folder: ${JSON.stringify(folder)}, log: { warn: (_, text) => console.log(text) }, everyMs: 0 })
      for (let i = Number(process.argv[1]); ; i++) {
        if (await settings.change({ zone: 'cam0', threshold: (i % 1000) / 1000 })) process.stdout.write(i + '\\n')
      }`
    let next = 1
    for (let round = 0; round < 10; round++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program, String(next)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let printed = ''
      child.stdout.on('data', (chunk: Buffer) => {
        printed += chunk
        if (printed.split('\n').length > 3 + round * 2) child.kill('SIGKILL')
      })
      await once(child, 'close')
      const confirmed = printed.trim().split('\n').map(Number)
      const last = confirmed.at(-1)!
      expect(printed).toMatch(/^[\d\n]+$/)
      // The value after it may have been renamed into place and not yet told.
      expect([last, last + 1].map((i) => (i % 1000) / 1000)).toContain(open(folder).zone('cam0').policy.threshold)
      next = last + 1
    }
    const settings = open(folder)
    await settings.change({ zone: 'cam0', threshold: 0.77 })
    expect(readdirSync(folder)).toEqual(['settings.json'])
    expect(existsSync(join(folder, 'settings.json.damaged'))).toBe(false)
  }, 240_000)
})
