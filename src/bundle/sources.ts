/**
 * Where bundles may be installed from when an order comes from afar: folders and https addresses of the configuration, never
 * an address of the order. An https source holds `index.json`, a list of {name, version, digest, file}; the signatures of a
 * bundle are checked as always, so the server needs no trust.
 */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { GapcamError, messageOf } from '../errors.js'
import { readBundleHead } from './archive.js'
import { bundleName } from './manifest.js'

/** A bundle that a source has. */
export interface Offer {
  readonly name: string
  readonly version: string
  readonly digest: string
  /** A path or an address. */
  readonly place: string
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
const timeLimitMs = 60_000
const isAddress = (source: string): boolean => source.startsWith('https://')

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
    try {
      all.push(...(isAddress(source) ? await offersAt(source) : await offersIn(source, onFault)))
    } catch (error) {
      onFault(`models.sources: ${source}: ${messageOf(error)}`)
    }
  }
  return all
}

async function offersIn(folder: string, onFault: (sentence: string) => void): Promise<Offer[]> {
  const offers: Offer[] = []
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.gapcam')).toSorted()) {
    const place = join(folder, file)
    try {
      const { manifest, digest } = await readBundleHead(place)
      offers.push({ name: manifest.name, version: manifest.version, digest, place })
    } catch (error) {
      onFault(messageOf(error))
    }
  }
  return offers
}

async function offersAt(address: string): Promise<Offer[]> {
  const base = address.endsWith('/') ? address : `${address}/`
  const index = indexSchema.parse(
    JSON.parse(new TextDecoder().decode(await download(`${base}index.json`, mostIndexBytes))),
  )
  return index.map(({ file, ...offer }) => ({ ...offer, place: `${base}${file}` }))
}

/** Fetches bytes. A redirect to an address without TLS is an error; fetch itself would follow it. */
async function download(address: string, mostBytes: number): Promise<Uint8Array> {
  const response = await fetch(address, { signal: AbortSignal.timeout(timeLimitMs), redirect: 'follow' })
  if (!response.ok) throw new Error(`the server answers ${response.status}`)
  if (response.redirected && !isAddress(response.url)) throw new Error('the server redirects to an address without TLS')
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > mostBytes) throw new Error(`the server sends more than ${mostBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Runs `work` on the file of an offer, which is downloaded for it where it lies on a server. */
export async function withOffer<T>({ place }: Offer, work: (file: string) => Promise<T>): Promise<T> {
  if (!isAddress(place)) return work(place)
  const folder = await mkdtemp(join(tmpdir(), 'gapcam-bundle-'))
  try {
    const file = join(folder, 'download.gapcam')
    await writeFile(file, await download(place, mostBundleBytes))
    return await work(file)
  } catch (error) {
    if (error instanceof GapcamError) throw error
    throw new GapcamError('BUNDLE_INVALID', `bundle ${place}: ${messageOf(error)}`, { cause: error })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The newest version of a name that is not rejected; versions are compared as numbers between dots. */
export function latestOf(offers: readonly Offer[], name: string, rejected: readonly string[]): Offer | null {
  const fitting = offers.filter((offer) => offer.name === name && !rejected.includes(offer.digest))
  return fitting.toSorted((a, b) => b.version.localeCompare(a.version, 'en', { numeric: true }))[0] ?? null
}
