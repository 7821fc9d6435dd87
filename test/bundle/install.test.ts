/** Bundles from file to slot, whole and damaged, on a real file system and with the real engine. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packTar } from 'modern-tar'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { readBundle } from '../../src/bundle/archive.js'
import { installBundle, type InstallOptions, type Installed } from '../../src/bundle/install.js'
import { readPublicKey } from '../../src/bundle/signature.js'
import { openBundleStore } from '../../src/bundle/store.js'
import { freshFolder, makeBundle, makeKey } from './bundles.js'

const folder = freshFolder()
const key = makeKey(folder, 'maker')
let first: Awaited<ReturnType<typeof makeBundle>>
let second: typeof first

beforeAll(async () => {
  first = await makeBundle(folder, { key: key.secret })
  second = await makeBundle(folder, { version: '1.1.0', key: key.secret })
})

function installer(stateFolder = freshFolder()) {
  const store = openBundleStore(stateFolder)
  const install = (file: string, options: Partial<InstallOptions> = {}): Promise<Installed> =>
    installBundle(file, {
      store,
      trust: { keys: [], revoked: [] },
      origin: 'local',
      isShadow: false,
      engine: {},
      ...options,
    })
  return { store, install, slots: () => readdirSync(join(store.folder, 'slots')).toSorted() }
}

interface Content {
  name: string
  bytes: Uint8Array
  type?: 'symlink'
}

/** A bundle with other content under the manifest of `first`, or another manifest. */
async function remade(
  change: (entries: { name: string; bytes: Uint8Array; type?: 'symlink' }[]) => void,
): Promise<string> {
  const { head, files } = await readBundle(first.file, true)
  const entries: Content[] = [
    { name: 'manifest.json', bytes: head.bytes },
    ...head.manifest.files.map(({ path }) => ({ name: path, bytes: files.get(path)! })),
  ]
  change(entries)
  const file = join(
    folder,
    `changed-${createHash('sha256').update(String(Math.random())).digest('hex').slice(0, 8)}.gapcam`,
  )
  const packed = entries.map(({ name, bytes, type = 'file' as const }) => ({
    header: {
      name,
      type,
      size: type === 'file' ? bytes.length : 0,
      ...(type === 'symlink' ? { linkname: '/etc/passwd' } : {}),
    },
    body: type === 'file' ? bytes : undefined,
  }))
  writeFileSync(file, await packTar(packed as never))
  return file
}

interface Written {
  format: number
  minimumGapcam: string
  model: string
  files: { path: string; size: number; sha256: string }[]
  golden?: { pictures: { top: { score: number }[] }[] }
}

const rewritten = (change: (manifest: Written) => void): Promise<string> =>
  remade((entries) => {
    const manifest = JSON.parse(new TextDecoder().decode(entries[0]!.bytes)) as Written
    change(manifest)
    entries[0]!.bytes = new TextEncoder().encode(JSON.stringify(manifest))
  })

/** A bundle whose file `path` has other bytes, or is new, and is listed rightly. */
const resealed = (path: string, text: string): Promise<string> =>
  remade((entries) => {
    const bytes = new TextEncoder().encode(text)
    const manifest = JSON.parse(new TextDecoder().decode(entries[0]!.bytes)) as Written
    const listed = { path, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
    manifest.files = [...manifest.files.filter((file) => file.path !== path), listed]
    entries[0]!.bytes = new TextEncoder().encode(JSON.stringify(manifest))
    const found = entries.find(({ name }) => name === path)
    if (found) found.bytes = bytes
    else entries.push({ name: path, bytes })
  })

describe('a whole bundle', () => {
  it('serves after its pictures had the expected scores on this engine', async () => {
    const { store, install } = installer()
    const { rehearsal, entry, verdict } = await install(first.file)
    expect(rehearsal.pictures).toBe(1)
    expect(verdict.warning).toContain('unknown keys only')
    expect(store.entries()['small']).toEqual(entry)
    expect(existsSync(store.modelOf(entry.serving!))).toBe(true)
    expect(store.manifestOf(entry.serving!).version).toBe('1.0.0')
  })

  it('leaves two slots at most, and none that no name uses', async () => {
    const { install, slots } = installer()
    await install(first.file)
    await install(second.file)
    await install((await makeBundle(folder, { version: '1.2.0' })).file)
    expect(slots()).toHaveLength(1) // the first was never confirmed, so nothing goes back to it
  })

  it('is the same file each time it is packed from the same model', async () => {
    const again = await makeBundle(freshFolder(), { key: key.secret })
    expect(readFileSync(again.file).equals(readFileSync(first.file))).toBe(true)
  })

  it('is accepted from afar only with a trusted signature, and not after it was rolled back', async () => {
    const trust = { keys: [readPublicKey(key.open)], revoked: [] }
    await expect(installer().install(first.file, { origin: 'remote' })).rejects.toThrow('no key is configured')
    const { install, store } = installer()
    const { entry } = await install(first.file, { origin: 'remote', trust })
    await store.replace('small', { ...entry, serving: null, rejected: [first.digest] })
    await expect(install(first.file, { origin: 'remote', trust })).rejects.toThrow('was rolled back here before')
  })

  it('is installed by a board whose clock stands in 1970', async () => {
    vi.useFakeTimers({ now: 1000, toFake: ['Date'] })
    try {
      const trust = { keys: [readPublicKey(key.open)], revoked: [] }
      const { entry } = await installer().install(first.file, { trust })
      expect(entry).toMatchObject({ phase: 'probation', serving: { installedAt: '1970-01-01T00:00:01.000Z' } })
    } finally {
      vi.useRealTimers()
    }
  })

  it('gives its heads names as models: BUNDLE/HEAD', async () => {
    const { install, store } = installer()
    const { entry } = await install((await makeBundle(folder, { version: '2.0.0', withHead: 'lobby' })).file)
    expect(store.serving('small')).toBe(store.modelOf(entry.serving!))
    expect(store.serving('small/lobby')).toBe(join(store.placeOf(entry.serving!), 'heads/lobby.onnx'))
    expect([store.serving('small/hall'), store.serving('other/lobby')]).toEqual([null, null])
  })

  it('is refused where an order names another digest', async () => {
    const wanted = { name: 'small', digest: second.digest }
    await expect(installer().install(first.file, { wanted })).rejects.toThrow('not the wanted one')
  })
})

describe('a bundle that must not serve', () => {
  const rejects: [string, () => Promise<string>, string][] = [
    [
      'with a path outside',
      () => rewritten((m) => (m.files[0]!.path = '../outside.onnx')),
      '"../outside.onnx" is not a plain name of a file',
    ],
    [
      'with an absolute path',
      () => rewritten((m) => (m.files[0]!.path = '/etc/passwd')),
      '"/etc/passwd" is not a plain name of a file',
    ],
    [
      'with a symlink',
      () => remade((entries) => entries.push({ name: 'link', bytes: new Uint8Array(), type: 'symlink' })),
      'is a symlink',
    ],
    ['that claims 100 GB', () => rewritten((m) => (m.files[0]!.size = 100e9)), '100.0 GB is more than 2.1 GB'],
    ['that claims more than it holds', () => rewritten((m) => (m.files[0]!.size = 2 ** 30)), 'claims'],
    ['of a later format', () => rewritten((m) => (m.format = 2)), 'which a later gapcam made'],
    ['for a later gapcam', () => rewritten((m) => (m.minimumGapcam = '99.0.0')), 'needs gapcam 99.0.0'],
    ['with a second model', () => resealed('other.onnx', 'x'), 'lists a second model, other.onnx'],
    [
      'whose model takes labels from outside',
      () => resealed('small.json', '{"labels": "../../../../../etc/passwd"}'),
      'takes its labels from ../../../../../etc/passwd, outside the bundle',
    ],
    ['without golden pictures', () => rewritten((m) => (m.golden!.pictures = [])), 'needs golden pictures'],
    ['that says nothing of golden pictures', () => rewritten((m) => delete m.golden), 'needs golden pictures'],
    [
      'with other golden scores',
      () => rewritten((m) => (m.golden!.pictures[0]!.top[0]!.score = 0.001)),
      'has the score',
    ],
    [
      'with a file that no manifest lists',
      () => remade((entries) => entries.push({ name: 'b.onnx', bytes: new Uint8Array(3) })),
      'is not in its manifest',
    ],
    ['with a file twice', () => remade((entries) => entries.push(entries[1]!)), 'is there twice'],
    ['that lacks a file', () => remade((entries) => entries.pop()), 'its manifest claims'],
    [
      'with another content',
      () => remade((entries) => (entries[1]!.bytes = entries[1]!.bytes.map((byte) => byte ^ 1))),
      'another SHA-256',
    ],
    ['that is empty', () => Promise.resolve(emptyFile()), 'it is no whole tar archive'],
    ['that does not exist', () => Promise.resolve(join(folder, 'absent.gapcam')), 'it does not exist'],
    ['that is a folder', () => Promise.resolve(folder), 'it is a folder'],
  ]
  const emptyFile = (): string => {
    writeFileSync(join(folder, 'empty.gapcam'), '')
    return join(folder, 'empty.gapcam')
  }

  it.each(rejects)('%s is refused, and the bundle that serves stays', async (_, make, sentence) => {
    const { install, store, slots } = installer()
    const { entry } = await install(first.file)
    const before = slots()
    await expect(install(await make())).rejects.toThrow(sentence)
    expect(store.entries()['small']).toEqual(entry)
    expect(slots()).toEqual(before)
  })
})
