/**
 * Bundles in an OCI registry (OCI distribution specification 1.1, pulling only). A repository is a source: each of its tags is a
 * manifest with a bundle as a layer, as `oras push` makes it. What a bundle is called is read from its own first bytes, and every
 * blob is checked against the digest that names it. A registry that asks for a token gets an anonymous one.
 */
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { readBundleHead, type BundleHead } from './archive.js'
import { ask, good, saveTo, wholeOf, type Answer, type Wanted } from './download.js'
import { mostManifestBytes } from './manifest.js'
import { mostSignatureBytes } from './signature.js'
import { isSafeAddress, type Repository } from './source-address.js'

/** The media type of a layer that is a bundle, whatever its title. */
export const bundleMediaType = 'application/vnd.gapcam.bundle.v1.tar'

/** A bundle in a registry. */
export interface RegistryBundle {
  readonly name: string
  readonly version: string
  /** Of the bundle, not of the layer. */
  readonly digest: string
  readonly head: BundleHead
  /** `sha256:…`, for sentences. */
  readonly layer: string
  /** Writes the bundle to a new file. */
  readonly save: (file: string) => Promise<void>
}

const manifestTypes = 'application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json'
const tagsSchema = z.object({ tags: z.array(z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/)).nullish() })
const layerSchema = z.object({
  mediaType: z.string(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  size: z
    .int()
    .min(1)
    .max(2 ** 31),
  annotations: z.record(z.string(), z.string()).optional(),
})
type Layer = z.output<typeof layerSchema>
/** An index of several manifests has no layers, and no bundle. */
const manifestSchema = z.object({ layers: z.array(layerSchema).max(100).default([]) })

const mostAnswerBytes = 2 ** 22
/** The newest tags; each unknown one costs two requests. */
const mostTags = 100
/** What a bundle says of itself, with what tar adds. */
const mostHeadBytes = mostManifestBytes + mostSignatureBytes + 8192

/** What is known of layers. A digest always means the same bytes, so it is asked for once. */
const known = new Map<string, Omit<RegistryBundle, 'save' | 'layer'>>()

/**
 * The bundles of a repository. `onFault` receives a sentence about each tag that cannot be read.
 *
 *     await bundlesOf(repositoryOf('oci://registry.example/gapcam/gate')!, (sentence) => log.warn(sentence))
 */
export async function bundlesOf(
  repository: Repository,
  onFault: (sentence: string) => void,
): Promise<readonly RegistryBundle[]> {
  const client = new Client(repository)
  const references = repository.reference === null ? await client.tags() : [repository.reference]
  const found: RegistryBundle[] = []
  for (const reference of references)
    try {
      for (const layer of (await client.manifest(reference)).layers.filter(isBundle)) {
        const head = known.get(layer.digest) ?? (await client.head(layer))
        known.set(layer.digest, head)
        const save = (file: string): Promise<void> => client.save(layer, file)
        found.push({ ...head, layer: layer.digest, save })
      }
    } catch (error) {
      if (repository.reference !== null) throw error
      onFault(`${repository.name}:${reference}: ${error instanceof Error ? error.message : String(error)}`)
    }
  return found
}

const isBundle = ({ mediaType, annotations }: Layer): boolean =>
  mediaType === bundleMediaType || annotations?.['org.opencontainers.image.title']?.endsWith('.gapcam') === true

class Client {
  readonly #address: string
  readonly #name: string
  #token: string | null = null

  constructor({ base, name }: Repository) {
    this.#address = `${base}/v2/${name}`
    this.#name = name
  }

  async tags(): Promise<readonly string[]> {
    const text = await wholeOf(await this.#ask('/tags/list', { mostBytes: mostAnswerBytes }))
    const { tags } = tagsSchema.parse(parsed(text))
    return (tags ?? []).toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true })).slice(0, mostTags)
  }

  /** A manifest by tag or digest; one that is named by its digest must have it. */
  async manifest(reference: string): Promise<z.output<typeof manifestSchema>> {
    const wanted = { mostBytes: mostAnswerBytes, headers: { accept: manifestTypes } }
    const bytes = await wholeOf(await this.#ask(`/manifests/${reference}`, wanted))
    const found = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    if (reference.startsWith('sha256:') && found !== reference)
      throw new Error(`the registry sends a manifest with the digest ${found}`)
    return manifestSchema.parse(parsed(bytes))
  }

  /** What a bundle says of itself: only its first bytes are fetched. */
  async head({ digest, size }: Layer): Promise<Omit<RegistryBundle, 'save' | 'layer'>> {
    const range = `bytes=0-${Math.min(size, mostHeadBytes) - 1}`
    const answer = await this.#ask(`/blobs/${digest}`, { mostBytes: size, headers: { range } })
    const folder = await mkdtemp(join(tmpdir(), 'gapcam-bundle-'))
    try {
      const file = join(folder, 'head.gapcam')
      await writeFile(file, await beginningOf(answer))
      const head = await readBundleHead(file)
      return { name: head.manifest.name, version: head.manifest.version, digest: head.digest, head }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  async save({ digest, size }: Layer, file: string): Promise<void> {
    await saveTo(file, await this.#ask(`/blobs/${digest}`, { mostBytes: size }), digest.slice('sha256:'.length))
  }

  async #ask(path: string, wanted: Wanted): Promise<Answer> {
    const once = (): Promise<Answer> => {
      const authorization = this.#token === null ? {} : { authorization: `Bearer ${this.#token}` }
      return ask(`${this.#address}${path}`, { ...wanted, headers: { ...wanted.headers, ...authorization } })
    }
    const answer = await once()
    const challenge = answer.headers.get('www-authenticate')
    if (answer.status !== 401 || challenge === null) return good(Promise.resolve(answer))
    await answer.chunks.return(undefined)
    this.#token = await anonymousToken(challenge, this.#name)
    return good(once())
  }
}

/** Distribution's token protocol: the registry names who gives tokens. */
async function anonymousToken(challenge: string, repository: string): Promise<string> {
  const fields = new Map([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key!, value!]))
  const realm = fields.get('realm')
  if (!/^bearer /i.test(challenge) || realm === undefined || !URL.canParse(realm))
    throw new Error('the registry wants a password; only repositories that anyone may read can be sources')
  if (!isSafeAddress(realm)) throw new Error(`the registry takes tokens from ${realm}, an address without TLS`)
  const address = new URL(realm)
  const service = fields.get('service')
  if (service !== undefined) address.searchParams.set('service', service)
  address.searchParams.set('scope', fields.get('scope') ?? `repository:${repository}:pull`)
  const text = await wholeOf(await good(ask(address.href, { mostBytes: mostAnswerBytes })))
  const answer = z.object({ token: z.string().optional(), access_token: z.string().optional() }).parse(parsed(text))
  const token = answer.token ?? answer.access_token
  if (token === undefined) throw new Error('the registry gives no token to anyone without a password')
  return token
}

const parsed = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes))

/** At most what a head needs, also of a server that knows no ranges. */
async function beginningOf({ chunks }: Answer): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of chunks) {
    parts.push(chunk)
    bytes += chunk.length
    if (bytes >= mostHeadBytes) break
  }
  return Buffer.concat(parts)
}
