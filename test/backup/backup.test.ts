/** `gapcam backup` and `gapcam restore`: a new board in the old one's place, with real nodes, and files that are not right. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packTar, unpackTar } from 'modern-tar'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { open, seal } from '../../src/backup/seal.js'
import { openSettings } from '../../src/run/commands/settings.js'
import { loadConfig } from '../../src/config/config.js'
import { cleanEnvironment, cli, endAll, launch, type Running } from '../process.js'
import { connectClient, type Client } from '../publish/client.js'
import { cleanUp, hasMosquitto, startMosquitto } from '../publish/mosquitto.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'

const root = mkdtempSync(join(tmpdir(), 'gapcam-backup-'))
afterEach(async () => {
  await endAll()
  await cleanUp()
})
afterAll(() => rmSync(root, { recursive: true, force: true }))
const random = new Random(3)

/** A lying or a standing bar in front of noise. */
function bar(isLying: boolean): Promise<Buffer> {
  const at = 34 + Math.floor(random.next() * 8)
  const data = Uint8Array.from({ length: 96 * 96 * 3 }, (_, i) => {
    const along = isLying ? Math.floor(i / 288) : Math.floor(i / 3) % 96
    const isBar = along > at && along < at + 20
    return (isBar ? [220, 60, 40] : [70, 90, 110])[i % 3]! + Math.floor(random.next() * 20)
  })
  return sharp(data, { raw: { width: 96, height: 96, channels: 3 } })
    .png()
    .toBuffer()
}

/** A board with its own state directory: runs gapcam there. */
function board(name: string) {
  const folder = join(root, name)
  mkdirSync(folder)
  const env = { ...cleanEnvironment(), GAPCAM_STATE_DIR: join(folder, 'state') }
  const start = (...args: string[]): Running => launch(process.execPath, [cli, ...args], { env, cwd: folder })
  const say = async (...args: string[]): Promise<{ status: unknown; stdout: string; stderr: string }> => {
    const run = start(...args)
    const status = await run.ended
    return { status, stdout: run.stdout(), stderr: run.stderr() }
  }
  const done = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await say(...args)
    expect(status, stderr).toBe(0)
    return stdout
  }
  return { folder, start, say, done, at: (file: string) => join(folder, file) }
}

const old = board('old')
const passphrase = join(root, 'passphrase')

/** A configuration, a taught head and a gallery, made as a user makes them. */
beforeAll(async () => {
  for (const [state, isLying] of [
    ['closed', true],
    ['open', false],
  ] as const) {
    mkdirSync(old.at(state))
    for (let i = 0; i < 4; i++) writeFileSync(join(old.at(state), `${i}.png`), await bar(isLying))
  }
  writeFileSync(join(root, 'scene.png'), await bar(true))
  writeFileSync(passphrase, 'correct horse battery\n')
  writeFileSync(
    old.at('gapcam.yaml'),
    `page: { port: 0 }
node: porch
model: ${join(projectRoot, 'models/convnet-gap.onnx')}
inputSize: 64
threads: 1
mqtt: { username: porch, password: not-for-the-file }
cameras:
  - id: cam0
    source: ${join(root, 'scene.png')}
    loop: true
    fps: 4
    zones:
      - { id: gate, region: [0, 0, 1, 1], model: gatehead }
`,
  )
  const states = ['--state', `open=${old.at('open')}`, '--state', `closed=${old.at('closed')}`]
  await old.done('teach', 'gatehead', ...states, '--config', 'gapcam.yaml')
  await old.done('gallery', 'enrol', 'family', 'anna', old.at('open'), '--config', 'gapcam.yaml')
  await backup('plain.backup')
  await backup('whole.backup', '--galleries', ...withPassphrase)
}, 120_000)

const backup = (file: string, ...args: string[]): Promise<string> =>
  old.done('backup', join(root, file), '--config', 'gapcam.yaml', ...args)
const withPassphrase = ['--passphrase-file', passphrase]

// mosquitto is the broker.
describe.skipIf(!hasMosquitto)('a new board', () => {
  const discovery = 'homeassistant/device/gapcam_porch/config'

  /** Runs a board until its gate has a label, and resolves with what Home Assistant then knows. */
  async function serve(where: ReturnType<typeof board>, url: string, client: Client) {
    const from = client.heard.length
    const node = where.start('run', '--config', 'gapcam.yaml', '--broker', url)
    const heard = (topic: string): string | undefined =>
      client.heard
        .slice(from)
        .findLast((message) => message.topic === topic && !message.isRetained)
        ?.payload.toString()
    const label = 'gapcam/porch/cam0/gate/label'
    await expect.poll(() => heard(label), { timeout: 60_000 }).toBe('closed')
    await expect.poll(() => heard(discovery), { timeout: 30_000 }).toBeDefined()
    const states = client.heard.slice(from).filter(({ topic }) => topic.endsWith('/gate/event'))
    return { node, entities: JSON.parse(heard(discovery)!) as unknown, heard, states }
  }

  it('takes the place of the old one: same labels, entities and settings, and its events go on', async () => {
    const { url } = await startMosquitto()
    const client = await connectClient(url)
    try {
      const before = await serve(old, url, client)
      await client.ask('gapcam/porch', 'threshold', { camera: 'cam0', zone: 'gate', value: 0.41 })
      const made = JSON.parse(await backup('porch.backup', '--galleries', ...withPassphrase)) as { lastEvent: number }
      expect(made.lastEvent).toBeGreaterThan(0)
      before.node.kill('SIGKILL')
      await before.node.ended

      const fresh = board('new')
      await fresh.done('restore', join(root, 'porch.backup'), ...withPassphrase)
      const after = await serve(fresh, url, client)
      expect(after.entities).toEqual(before.entities)
      await client.sees('gapcam/porch/cam0/gate/threshold', '0.41')
      const seqs = after.states.map(({ payload }) => (JSON.parse(payload.toString()) as { seq: number }).seq)
      expect(Math.min(...seqs)).toBeGreaterThan(made.lastEvent)
      expect(JSON.parse(await fresh.done('gallery', 'list', '--config', 'gapcam.yaml'))).toMatchObject(
        JSON.parse(await old.done('gallery', 'list', '--config', 'gapcam.yaml')) as object,
      )
      after.node.kill('SIGTERM')
      await after.node.ended
    } finally {
      await client.close()
    }
  }, 240_000)
})

describe('a backup', () => {
  it('holds no secret, and galleries only where they are asked for, encrypted', () => {
    const [plain, whole] = ['plain', 'whole'].map((name) => readFileSync(join(root, `${name}.backup`), 'latin1'))
    for (const text of [plain!, whole!]) {
      expect(text).not.toContain('not-for-the-file')
      expect(text).not.toContain('anna')
      expect(text).toContain('taught/gatehead/record.json')
    }
    expect([plain!.includes('galleries.sealed'), whole!.includes('galleries.sealed')]).toEqual([false, true])
  })

  it('of an earlier version is read: its settings become those of this one', async () => {
    const file = await changed('plain.backup', (entries) => {
      const settings = { version: 1, cameras: { cam0: { enabled: false } }, values: { 'mqtt.stateEveryMs': 7000 } }
      entries.set('settings.json', Buffer.from(JSON.stringify(settings)))
    })
    const fresh = board('later')
    await fresh.done('restore', file)
    const { config } = loadConfig({ flags: {}, environment: {}, file: fresh.at('gapcam.yaml') })
    const folder = fresh.at('state/porch')
    const log = { warn: (...said: unknown[]) => expect.unreachable(JSON.stringify(said)) }
    const settings = openSettings({ config, cameras: config.cameras, folder, log: log as never })
    expect(settings.camera('cam0').isEnabled).toBe(false)
    await settings.close()
  })

  const badOnes: [string, () => Promise<string>, string][] = [
    ['of a later format', () => changed('plain.backup', () => undefined, { format: 2 }), 'a later gapcam made'],
    ['with a file outside', () => changed('plain.backup', (all) => all.set('../x', Buffer.from('x'))), 'plain name'],
    ['with a changed file', () => damaged('plain.backup'), 'is damaged'],
    ['of a configuration with unknown keys', () => changed('plain.backup', later), 'Update gapcam'],
    ['that is cut', () => cut('plain.backup'), 'no whole tar archive'],
    ['that is absent', () => Promise.resolve(join(root, 'absent')), 'it does not exist'],
  ]

  it.each(badOnes)('%s is refused, and nothing is written', async (name, make, sentence) => {
    const fresh = board(name.replaceAll(' ', '-'))
    const { status, stderr } = await fresh.say('restore', await make())
    expect([status, stderr]).toEqual([4, expect.stringContaining(sentence)])
    expect(readdirSync(fresh.folder)).toEqual([])
  })

  it('does not replace a state or a configuration unless it is told to, and keeps what was there', async () => {
    const fresh = board('twice')
    const file = join(root, 'plain.backup')
    await fresh.done('restore', file)
    expect((await fresh.say('restore', file)).stderr).toContain('there is a configuration gapcam.yaml already')
    const again = await fresh.say('restore', file, '--output', 'other.yaml')
    expect([again.status, again.stderr]).toEqual([2, expect.stringContaining('there is a state in')])
    await fresh.done('restore', file, '--replace')
    expect(readdirSync(fresh.at('state')).toSorted()).toEqual(['porch', 'porch.before-restore'])
  })

  it('with galleries needs its passphrase', async () => {
    const fresh = board('sealed')
    const file = join(root, 'whole.backup')
    expect((await fresh.say('restore', file)).stderr).toContain('give --passphrase-file, or --no-galleries')
    writeFileSync(fresh.at('wrong'), 'incorrect horse\n')
    const wrong = await fresh.say('restore', file, '--passphrase-file', 'wrong')
    expect([wrong.status, wrong.stderr]).toEqual([4, expect.stringContaining('cannot be decrypted')])
    await fresh.done('restore', file, '--no-galleries')
    expect(readdirSync(fresh.at('state/porch'))).toEqual(['taught'])
  })
})

it('what is sealed opens with its passphrase only, and only unchanged', () => {
  const bytes = Buffer.from('who lives here')
  const sealed = seal(bytes, 'correct horse')
  expect(open(sealed, 'correct horse')).toEqual(bytes)
  for (const at of [20, sealed.length - 1]) {
    const other = Buffer.from(sealed)
    other[at]! ^= 1
    expect(() => open(other, 'correct horse')).toThrow(/galleries/)
  }
  expect(() => open(sealed.subarray(0, 30), 'correct horse')).toThrow(/galleries/)
})

type Entries = Map<string, Buffer>
const later = (all: Entries): unknown =>
  all.set('gapcam.yaml', Buffer.concat([all.get('gapcam.yaml')!, Buffer.from('telepathy: true\n')]))

/** Another backup with other files, which its list names rightly. */
async function changed(name: string, change: (files: Entries) => unknown, head: object = {}): Promise<string> {
  const { createHash } = await import('node:crypto')
  const entries = await unpackTar(readFileSync(join(root, name)))
  const files: Entries = new Map(entries.map(({ header, data }) => [header.name, Buffer.from(data!)]))
  const about = JSON.parse(files.get('backup.json')!.toString()) as object
  files.delete('backup.json')
  change(files)
  const listed = [...files].map(([path, bytes]) => ({
    path,
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }))
  const text = Buffer.from(JSON.stringify({ ...about, files: listed, ...head }))
  return write([['backup.json', text], ...files])
}

async function write(files: readonly (readonly [string, Buffer])[]): Promise<string> {
  const file = join(root, `changed-${Math.floor(random.next() * 1e9)}.backup`)
  const tar = await packTar(files.map(([path, body]) => ({ header: { name: path, size: body.length }, body })))
  writeFileSync(file, tar)
  return file
}

async function damaged(name: string): Promise<string> {
  const entries = await unpackTar(readFileSync(join(root, name)))
  const files = entries.map(({ header, data }): [string, Buffer] => [header.name, Buffer.from(data!)])
  files.at(-1)![1][0]! ^= 1
  return write(files)
}

function cut(name: string): Promise<string> {
  const file = join(root, 'cut.backup')
  writeFileSync(file, readFileSync(join(root, name)).subarray(0, 3000))
  return Promise.resolve(file)
}
