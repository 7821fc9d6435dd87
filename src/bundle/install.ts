/** The whole way of a bundle from a file to a slot: signatures, room, digests, golden pictures, pointer. */
import { rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { openClassifier, type Classifier, type ClassifierOptions } from '../classifier.js'
import { fileFaultOf, GapcamError } from '../errors.js'
import { version as ownVersion } from '../version.js'
import { unpackBundle, type BundleHead } from './archive.js'
import { rehearse, type Rehearsal } from './golden.js'
import { requireVersion, type BundleManifest } from './manifest.js'
import { requireOwnFiles } from './models.js'
import { installed, type Entry, type Slot } from './phases.js'
import { builtInName, type BundleStore } from './store.js'
import { judgeSignatures, type Trust, type Verdict } from './trust.js'

export interface InstallOptions {
  readonly store: BundleStore
  readonly trust: Trust
  readonly origin: 'local' | 'remote'
  /** The candidate computes beside the model that serves first. */
  readonly isShadow: boolean
  /** How the golden pictures are classified: engine and threads of this node. */
  readonly engine: Omit<ClassifierOptions, 'model'>
  /** The only digest and name that are wanted, where an order names them. */
  readonly wanted?: { readonly name: string; readonly digest?: string | undefined } | undefined
}

/** What came of an installation. */
export interface Installed {
  readonly manifest: BundleManifest
  readonly digest: string
  readonly entry: Entry
  readonly verdict: Verdict
  readonly rehearsal: Rehearsal
}

/**
 * Installs a bundle. Until the pointer is replaced nothing has changed: a fault or a power cut before leaves the bundle that
 * served. Rejects with BUNDLE_INVALID, BUNDLE_REFUSED, BUNDLE_NOT_KEPT or BUNDLE_STATE.
 *
 *     const { entry } = await installBundle('gate-1.2.gapcam', { store, trust, origin: 'local', isShadow: false, engine: {} })
 *     entry.phase // 'probation'
 */
export function installBundle(file: string, options: InstallOptions): Promise<Installed> {
  const { store } = options
  return store.alone(async () => {
    await requireRoom(file, store)
    const incoming = await store.incoming()
    try {
      let verdict: Verdict | null = null
      const head = await unpackBundle(file, incoming, (found) => {
        verdict = admitted(found, file, options)
      })
      const { manifest, digest } = head
      const slot: Slot = {
        digest,
        version: manifest.version,
        model: manifest.model,
        installedAt: new Date().toISOString(),
      }
      const change = { name: manifest.name, slot, isShadow: options.isShadow, isBuiltIn: manifest.name === builtInName }
      const entry = installed(store.entries()[manifest.name], change)
      const rehearsal = await tried(manifest, incoming, options.engine)
      await store.keep(incoming, digest)
      await store.replace(manifest.name, entry)
      return { manifest, digest, entry, verdict: verdict!, rehearsal }
    } finally {
      await rm(incoming, { recursive: true, force: true }).catch(() => undefined)
    }
  })
}

/** Refuses a bundle by its head, before any of it is written. */
function admitted({ manifest, bytes, signatures, digest }: BundleHead, file: string, options: InstallOptions): Verdict {
  const { wanted, trust, origin, store } = options
  const { name } = manifest
  const verdict = judgeSignatures({ name: `bundle ${file}`, manifest: bytes, signatures }, trust, origin)
  requireVersion(manifest, ownVersion)
  if (wanted && (wanted.name !== name || (wanted.digest !== undefined && wanted.digest !== digest)))
    throw new GapcamError('BUNDLE_REFUSED', `bundle ${file} is ${name} with the digest ${digest}, not the wanted one`)
  if (origin === 'remote' && store.entries()[name]?.rejected.includes(digest))
    throw new GapcamError('BUNDLE_REFUSED', `bundle ${file} was rolled back here before`, {
      hint: 'gapcam model install FILE on the board installs it all the same.',
    })
  return verdict
}

/** The pictures of a bundle through its own model. */
async function tried(
  manifest: BundleManifest,
  folder: string,
  engine: Omit<ClassifierOptions, 'model'>,
): Promise<Rehearsal> {
  let classifier: Classifier
  try {
    await requireOwnFiles(manifest, folder)
    classifier = await openClassifier({ ...engine, model: join(folder, manifest.model), planCache: undefined })
  } catch (error) {
    if (!(error instanceof GapcamError) || error.code === 'BUNDLE_REFUSED') throw error
    throw new GapcamError('BUNDLE_REFUSED', `bundle ${manifest.name}: its model cannot be opened: ${error.message}`, {
      cause: error,
    })
  }
  try {
    return await rehearse(manifest, folder, classifier)
  } finally {
    await classifier.close()
  }
}

/** What a slot may need beside the files: folders, and a disk's rounding to blocks. */
const spareBytes = 2 ** 20

/** Refuses where the disk has no room for a second slot. */
async function requireRoom(file: string, store: BundleStore): Promise<void> {
  let size: number
  try {
    size = (await stat(file)).size
  } catch (error) {
    throw new GapcamError('BUNDLE_INVALID', `bundle ${file}: ${fileFaultOf(error)}`)
  }
  const { bavail, bsize } = await statfs(store.folder)
  const free = bavail * bsize
  if (free < size + spareBytes)
    throw new GapcamError(
      'BUNDLE_NOT_KEPT',
      `there is no room for bundle ${file} beside the one that serves: it needs ${((size + spareBytes) / 1e6).toFixed(1)} MB, and ${(free / 1e6).toFixed(1)} MB are free in ${store.folder}`,
    )
}
