/**
 * Where bundles may be installed from when an order comes from afar: folders, https addresses and repositories of OCI registries
 * that the configuration names, never an address of the order. An https source holds `index.json`, a list of {name, version,
 * digest, file}; registry.ts reads registries. The signatures of a bundle are checked as always, so no server needs trust.
 */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { GapcamError, messageOf } from '../errors.js'
import { readBundleHead, type BundleHead } from './archive.js'
import { ask, good, saveTo, serverFaultOf, wholeOf } from './download.js'
import { bundleName } from './manifest.js'
import { bundlesOf } from './registry.js'
import { isSafeAddress, repositoryOf } from './source-address.js'

/** A bundle that a source has. */
export interface Offer {
  readonly name: string
  readonly version: string
  readonly digest: string
  /** What it says of itself, with its signatures; null: that is known once it is downloaded. */
  readonly head: BundleHead | null
  /** A path or an address. */
  readonly place: string
  /** Writes the bundle to a new file; null: `place` is its file. */
  readonly save: ((file: string) => Promise<void>) | null
}

const indexSchema = z
  .array(
    z.object({
      name: bundleName,
      version: z.string().max(64),
      digest: z.string().regex(/^[0-9a-f]{64}$/),
      file: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}$/),
    }),
  )
  .max(1000)

const mostIndexBytes = 2 ** 20
const mostBundleBytes = 2 ** 31

/**
 * The bundles of all sources in their order. `onFault` receives a sentence about each source and file that cannot be read.
 *
 *     const offers = await offersOf(['/srv/bundles'], (sentence) => log.warn(sentence))
 */
export async function offersOf(
  sources: readonly string[],
  onFault: (sentence: string) => void,
): Promise<readonly Offer[]> {
  const all: Offer[] = []
  for (const source of sources) {
    const say = (sentence: string): void => onFault(`models.sources: ${source}: ${sentence}`)
    try {
      all.push(...(await offersFrom(source, say)))
    } catch (error) {
      say(serverFaultOf(error))
    }
  }
  return all
}

function offersFrom(source: string, onFault: (sentence: string) => void): Promise<readonly Offer[]> {
  if (source.startsWith('oci://')) return offersOfRegistry(source, onFault)
  return isSafeAddress(source) ? offersAt(source) : offersIn(source, onFault)
}

async function offersIn(folder: string, onFault: (sentence: string) => void): Promise<Offer[]> {
  const offers: Offer[] = []
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.gapcam')).toSorted()) {
    const place = join(folder, file)
    try {
      const head = await readBundleHead(place)
      const { manifest, digest } = head
      offers.push({ name: manifest.name, version: manifest.version, digest, head, place, save: null })
    } catch (error) {
      onFault(messageOf(error))
    }
  }
  return offers
}

async function offersAt(address: string): Promise<Offer[]> {
  const base = address.endsWith('/') ? address : `${address}/`
  const text = await wholeOf(await good(ask(`${base}index.json`, { mostBytes: mostIndexBytes })))
  return indexSchema.parse(JSON.parse(new TextDecoder().decode(text))).map(({ file, ...offer }) => {
    const place = `${base}${file}`
    const save = async (to: string): Promise<void> => saveTo(to, await good(ask(place, { mostBytes: mostBundleBytes })))
    return { ...offer, head: null, place, save }
  })
}

async function offersOfRegistry(source: string, onFault: (sentence: string) => void): Promise<Offer[]> {
  const repository = repositoryOf(source)
  if (!repository) throw new Error('it names no repository')
  const found = await bundlesOf(repository, onFault)
  return found.map(({ layer, ...offer }) => ({
    ...offer,
    place: `oci://${new URL(repository.base).host}/${repository.name}@${layer}`,
  }))
}

/**
 * Runs `work` on the file of an offer. What lies on a server is downloaded into a new `folder` first, which is removed
 * afterwards. Rejects with BUNDLE_INVALID where the server fails.
 */
export async function withOffer<T>(
  { place, save }: Offer,
  folder: () => Promise<string>,
  work: (file: string) => Promise<T>,
): Promise<T> {
  if (!save) return work(place)
  const beside = await folder()
  try {
    const file = join(beside, 'download.gapcam')
    await save(file)
    return await work(file)
  } catch (error) {
    if (error instanceof GapcamError) throw error
    throw new GapcamError('BUNDLE_INVALID', `bundle ${place}: ${serverFaultOf(error)}`, { cause: error })
  } finally {
    await rm(beside, { recursive: true, force: true })
  }
}

/** The newest version of a name whose digest is not in `rejected`; versions are compared as numbers between dots. */
export function latestOf(offers: readonly Offer[], name: string, rejected: readonly string[]): Offer | null {
  const fitting = offers.filter((offer) => offer.name === name && !rejected.includes(offer.digest))
  return fitting.toSorted((a, b) => b.version.localeCompare(a.version, 'en', { numeric: true }))[0] ?? null
}
