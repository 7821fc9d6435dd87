/** Where bundles come from when an order names them: folders, an index on a server, and a real OCI registry. */
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installBundle } from '../../src/bundle/install.js'
import { readPublicKey } from '../../src/bundle/signature.js'
import { latestOf, offersOf, withOffer, type Offer } from '../../src/bundle/sources.js'
import { openBundleStore } from '../../src/bundle/store.js'
import { loadConfig } from '../../src/config/config.js'
import { freshFolder, makeBundle, makeKey } from './bundles.js'
import { noRegistry, startRegistry, type Registry } from './registry-server.js'

const folder = freshFolder()
const key = makeKey(folder, 'maker')
let [first, second]: { readonly file: string; readonly digest: string }[] = []
beforeAll(async () => {
  first = await makeBundle(folder, { key: key.secret })
  second = await makeBundle(folder, { version: '1.10.0', key: key.secret })
})

/** The offers, and the sentences about what could not be read. */
async function asked(...sources: string[]): Promise<{ offers: readonly Offer[]; faults: string[] }> {
  const faults: string[] = []
  return { offers: await offersOf(sources, (sentence) => faults.push(sentence)), faults }
}

const named = (offers: readonly Offer[]): string[] => offers.map(({ name, version }) => `${name} ${version}`)

/** Downloads and installs an offer, as an order from afar does. */
function order(offer: Offer, store = openBundleStore(freshFolder())) {
  const trust = { keys: [readPublicKey(key.open)], revoked: [] }
  const wanted = { name: offer.name, digest: offer.digest }
  const options = { store, trust, origin: 'remote', isShadow: false, engine: {}, wanted } as const
  return withOffer(
    offer,
    () => store.downloads(),
    (file) => installBundle(file, options),
  )
}

describe('a folder', () => {
  it('offers its bundles, and names the files that are none', async () => {
    const shelf = freshFolder()
    copyFileSync(first!.file, join(shelf, 'a.gapcam'))
    writeFileSync(join(shelf, 'b.gapcam'), 'no tar')
    writeFileSync(join(shelf, 'notes.txt'), '')
    const { offers, faults } = await asked(shelf, join(shelf, 'absent'))
    expect(named(offers)).toEqual(['small 1.0.0'])
    expect(faults).toEqual([expect.stringContaining('b.gapcam'), expect.stringContaining('absent: ')])
    expect((await order(offers[0]!)).entry.phase).toBe('probation')
    expect(readdirSync(shelf)).toHaveLength(3)
  })

  it('the newest version is found by its numbers, and not among those that were rolled back', () => {
    const offers = ['1.9.0', '1.10.0', '1.2.0'].map((version) => ({
      name: 'small',
      version,
      digest: version,
      place: '',
      head: null,
      save: null,
    }))
    expect(latestOf(offers, 'small', [])?.version).toBe('1.10.0')
    expect(latestOf(offers, 'small', ['1.10.0'])?.version).toBe('1.9.0')
    expect(latestOf(offers, 'other', [])).toBeNull()
  })
})

describe('an index on a server', () => {
  let server: Server
  let base = ''
  let serve: (path: string) => { status?: number; body: string | Uint8Array; location?: string }
  beforeAll(async () => {
    server = createServer((request, response) => {
      const { status = 200, body, location } = serve(request.url!)
      response.writeHead(status, location === undefined ? {} : { location })
      response.end(body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/models`
  })
  afterAll(() => server.close())
  const index = (change: object = {}): string =>
    JSON.stringify([{ name: 'small', version: '1.0.0', digest: first!.digest, file: 'small.gapcam', ...change }])

  it('offers what its list says, and the file is what was listed', async () => {
    serve = (path) => ({ body: path.endsWith('index.json') ? index() : readFileSync(first!.file) })
    const { offers, faults } = await asked(base)
    expect([named(offers), faults]).toEqual([['small 1.0.0'], []])
    const store = openBundleStore(freshFolder())
    expect((await order(offers[0]!, store)).digest).toBe(first!.digest)
    expect(readdirSync(join(store.folder, 'slots'))).toEqual([first!.digest])
  })

  it.each<[string, typeof serve, string]>([
    ['no list', () => ({ status: 404, body: '' }), 'the server answers 404'],
    ['a list that is none', () => ({ body: '{"a": 1}' }), 'expected array'],
    ['a path in its list', () => ({ body: index({ file: '../other.gapcam' }) }), 'file'],
    ['a list of 2 MB', () => ({ body: new Uint8Array(2 ** 21) }), 'the server sends more than 1048576 bytes'],
    [
      'a redirect to an address without TLS',
      // The IPv6 way to write 127.0.0.1, which is none of the names of this machine.
      (path) =>
        path === '/end'
          ? { body: index() }
          : {
              status: 302,
              body: '',
              location: `${base.replace('127.0.0.1', '[::ffff:127.0.0.1]').replace('/models', '')}/end`,
            },
      'the server redirects to an address without TLS',
    ],
  ])('with %s is named with the reason, and offers nothing', async (_, answer, sentence) => {
    serve = answer
    const { offers, faults } = await asked(base)
    expect([offers, faults]).toEqual([[], [expect.stringContaining(sentence)]])
  })

  it('that has another bundle under the name is refused, and nothing of it stays', async () => {
    serve = (path) => ({ body: path.endsWith('index.json') ? index() : readFileSync(second!.file) })
    const store = openBundleStore(freshFolder())
    await expect(order((await asked(base)).offers[0]!, store)).rejects.toThrow('not the wanted one')
    expect(readdirSync(join(store.folder, 'slots'))).toEqual([])
  })

  it('that ends in the middle of a file is named', async () => {
    serve = (path) => ({ body: path.endsWith('index.json') ? index() : readFileSync(first!.file).subarray(0, 5000) })
    const { offers } = await asked(base)
    await expect(order(offers[0]!)).rejects.toMatchObject({ code: 'BUNDLE_INVALID' })
  })
})

describe.skipIf(noRegistry !== null)(`an OCI registry${noRegistry === null ? '' : ` (${noRegistry})`}`, () => {
  let registry: Registry
  const repository = 'gapcam/models'
  beforeAll(async () => {
    registry = await startRegistry(freshFolder())
    await registry.push(repository, '1.0.0', first!.file)
    await registry.push(repository, '1.10.0', second!.file)
    await registry.push(repository, 'notes', key.open, 'notes.txt')
  })
  afterAll(() => registry.close())

  it('offers the bundles of all tags by what they say of themselves, and one of them is installed', async () => {
    const { offers, faults } = await asked(`oci://${registry.host}/${repository}`)
    expect(named(offers).toSorted()).toEqual(['small 1.0.0', 'small 1.10.0'])
    expect(faults).toEqual([])
    const store = openBundleStore(freshFolder())
    const { digest, entry } = await order(latestOf(offers, 'small', [])!, store)
    expect([digest, entry.phase]).toEqual([second!.digest, 'probation'])
    expect(readdirSync(join(store.folder, 'slots'))).toEqual([second!.digest])
  })

  it('offers one tag, or the manifest with a digest, where the source names it', async () => {
    const { manifest } = await registry.push(repository, '1.0.0', first!.file)
    for (const reference of [':1.0.0', `@${manifest}`])
      expect(named((await asked(`oci://${registry.host}/${repository}${reference}`)).offers)).toEqual(['small 1.0.0'])
  })

  it('a bundle that changed in the registry is refused by its digest', async () => {
    const third = await makeBundle(folder, { version: '1.3.0', key: key.secret })
    const { layer } = await registry.push('gapcam/changed', '1.3.0', third.file)
    const { offers } = await asked(`oci://${registry.host}/gapcam/changed`)
    const bytes = readFileSync(registry.blobFile(layer))
    bytes[bytes.length - 2000]! ^= 1
    writeFileSync(registry.blobFile(layer), bytes)
    await expect(order(offers[0]!)).rejects.toThrow(/the server sends bytes with the SHA-256 [0-9a-f]{64}/)
  })

  it.each([
    ['an absent repository', 'gapcam/absent', 'the server answers 404'],
    ['an absent tag', `${repository}:9.9.9`, 'the server answers 404'],
    ['an absent digest', `${repository}@sha256:${'0'.repeat(64)}`, 'the server answers 404'],
  ])('%s is named with the reason', async (_, path, sentence) => {
    const { offers, faults } = await asked(`oci://${registry.host}/${path}`)
    expect([offers, faults]).toEqual([[], [expect.stringContaining(sentence)]])
  })

  it('a tag whose bundle is damaged is named, and the others are offered', async () => {
    const damaged = join(folder, 'damaged.gapcam')
    writeFileSync(damaged, readFileSync(first!.file).fill(1, 0, 600))
    await registry.push('gapcam/mixed', '1.0.0', first!.file)
    await registry.push('gapcam/mixed', '2.0.0', damaged)
    const { offers, faults } = await asked(`oci://${registry.host}/gapcam/mixed`)
    expect([named(offers), faults]).toEqual([['small 1.0.0'], [expect.stringContaining('gapcam/mixed:2.0.0: bundle')]])
  })

  it('a registry that is not there is named with the reason', async () => {
    const { faults } = await asked(`oci://127.0.0.1:1/${repository}`)
    expect(faults).toEqual([expect.stringMatching(/oci:\/\/127\.0\.0\.1:1\/gapcam\/models: fetch failed: .+/)])
  })

  it('one that asks for a token gets an anonymous one', async () => {
    const other = await startRegistry(freshFolder(), true)
    try {
      await other.push(repository, '1.0.0', first!.file)
      const { offers, faults } = await asked(`oci://${other.host}/${repository}`)
      expect([named(offers), faults]).toEqual([['small 1.0.0'], []])
      expect((await order(offers[0]!)).digest).toBe(first!.digest)
    } finally {
      await other.close()
    }
  })
})

it.each([
  ['http://models.example/', 'expected a folder, https:// or oci:// but received http://'],
  ['ftp://models.example/', 'expected a folder, https:// or oci:// but received ftp://'],
  ['oci://models.example', 'expected oci://HOST/REPOSITORY'],
  ['oci://models.example/Upper', 'expected oci://HOST/REPOSITORY'],
  ['oci://models.example/a@sha256:12', 'expected oci://HOST/REPOSITORY'],
])('the configuration refuses %s', (source, sentence) => {
  expect(() => loadConfig({ flags: {}, environment: {}, values: { models: { sources: [source] } } })).toThrow(sentence)
})
