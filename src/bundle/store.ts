/**
 * The installed bundles of a node on disk: `bundles/slots/DIGEST` holds an unpacked bundle, and `bundles/pointer.json` says
 * which one serves. A slot is complete before it gets its name, and the pointer is replaced by a rename, so at every moment
 * the pointer names whole bundles. A lock keeps two programs from changing one store at once.
 */
import { readFileSync } from 'node:fs'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { GapcamError, messageOf, writeFaultOf } from '../errors.js'
import { makeFolder } from '../folder.js'
import { writeWhole } from '../state-file.js'
import { syncFolder } from './archive.js'
import { manifestFile, readManifest, type BundleManifest } from './manifest.js'
import type { Entry, Slot } from './phases.js'

const slot = z.strictObject({
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  version: z.string(),
  model: z.string(),
  installedAt: z.string(),
})
const entry = z.strictObject({
  serving: slot.nullable(),
  other: slot.nullable(),
  phase: z.enum(['shadow', 'probation', 'settled']),
  rejected: z.array(z.string()),
  starts: z.int().min(0),
  fault: z.string().nullable(),
})
const pointerSchema = z.strictObject({ format: z.literal(1), bundles: z.record(z.string(), entry) })

/** The model that comes with gapcam; a bundle of this name takes its place. */
export const builtInName = 'efficientnet-lite0'

/** The bundle that a model's name means: `gate`, and `gate` for its head `gate/lobby`. */
export const bundleIn = (model: string): string => model.split('/', 1)[0]!

/** What is installed, by name. */
export type Entries = Readonly<Record<string, Entry>>

export interface BundleStore {
  /** The folder of everything: `bundles` in the node's state directory. */
  readonly folder: string
  /** Reads the pointer. Throws BUNDLE_NOT_KEPT for one that cannot be read. */
  entries(): Entries
  /** Replaces what is kept of one name; null removes it. Slots that no name uses any more are removed. Only inside `alone`. */
  replace(name: string, entry: Entry | null): Promise<void>
  /** Runs `work` while no other program changes the store. Rejects with BUNDLE_STATE where another one does for long. */
  alone<T>(work: () => Promise<T>): Promise<T>
  /** A new empty folder beside the slots; give it to `keep`, or remove it. */
  incoming(): Promise<string>
  /** The same for a file that is downloaded first. */
  downloads(): Promise<string>
  /** Makes a complete folder a slot, and returns its place. */
  keep(incoming: string, digest: string): Promise<string>
  /** The folder of a bundle. */
  placeOf(slot: Slot): string
  /** The model's file of a bundle. */
  modelOf(slot: Slot): string
  /** The file of the model that serves as `NAME`, or of its head `NAME/HEAD`; null where none is installed. */
  serving(name: string): string | null
  /** The manifest of a bundle. Throws BUNDLE_INVALID where the slot is damaged. */
  manifestOf(slot: Slot): BundleManifest
}

/**
 * Opens the store in a node's state directory. Nothing is created before the first installation.
 *
 *     const store = openBundleStore(stateDirectory(config))
 *     store.entries()['gate']?.serving?.version
 */
export function openBundleStore(stateFolder: string): BundleStore {
  const folder = join(stateFolder, 'bundles')
  const [slots, pointer] = [join(folder, 'slots'), join(folder, 'pointer.json')]
  const placeOf = (kept: Slot): string => join(slots, kept.digest)
  const modelOf = (kept: Slot): string => join(placeOf(kept), kept.model)

  function entries(): Entries {
    let text: string
    try {
      text = readFileSync(pointer, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
      throw notKept(pointer, 'read', error)
    }
    try {
      return pointerSchema.parse(JSON.parse(text)).bundles
    } catch (error) {
      throw new GapcamError('BUNDLE_NOT_KEPT', `${pointer} is damaged: ${messageOf(error).split('\n')[0]}`, {
        hint: 'Move the file away and install the bundles again; the model that comes with gapcam serves meanwhile.',
      })
    }
  }

  return {
    folder,
    entries,
    async replace(name, next) {
      const { [name]: before, ...others } = entries()
      const bundles = next === null ? others : { ...others, [name]: next }
      try {
        await writeWhole(pointer, `${JSON.stringify({ format: 1, bundles })}\n`)
      } catch (error) {
        throw notKept(pointer, 'written', error)
      }
      if (before || next) await removeUnused(slots, bundles)
    },
    async alone(work) {
      const lock = join(folder, 'lock')
      await takeLock(folder, lock)
      try {
        return await work()
      } finally {
        await rm(lock, { force: true })
      }
    },
    incoming: () => fresh(slots, 'incoming'),
    downloads: () => fresh(slots, 'download'),
    async keep(incoming, digest) {
      const place = join(slots, digest)
      try {
        if (digestsOf(entries()).has(digest)) await rm(incoming, { recursive: true, force: true })
        else {
          // One of an interrupted installation, which no pointer names.
          await rm(place, { recursive: true, force: true })
          await rename(incoming, place)
          await syncFolder(slots)
        }
      } catch (error) {
        throw notKept(place, 'written', error)
      }
      return place
    },
    placeOf,
    modelOf,
    serving(name) {
      const [kept, bundle] = [entries(), bundleIn(name)]
      const slotOf = Object.hasOwn(kept, bundle) ? kept[bundle]!.serving : null
      if (!slotOf || bundle === name) return slotOf && modelOf(slotOf)
      return headIn(placeOf(slotOf), name.slice(bundle.length + 1))
    },
    manifestOf: (kept) => manifestIn(placeOf(kept)),
  }
}

/** An empty folder of this program beside the slots. */
async function fresh(slots: string, kind: 'incoming' | 'download'): Promise<string> {
  const made = join(slots, `${kind}-${process.pid}`)
  try {
    await makeFolder(slots, 0o700)
    await rm(made, { recursive: true, force: true })
    await makeFolder(made, 0o700)
    return made
  } catch (error) {
    throw notKept(slots, 'written', error)
  }
}

const manifestIn = (place: string): BundleManifest =>
  readManifest(readFileSync(join(place, manifestFile)), `bundle ${basename(place).slice(0, 12)}`).manifest

/** The file of a head in a slot; null where the bundle has none of this name. */
function headIn(place: string, name: string): string | null {
  const head = manifestIn(place).heads.find((one) => one.name === name)
  return head ? join(place, head.path) : null
}

function notKept(path: string, how: 'read' | 'written', error: unknown): GapcamError {
  return new GapcamError('BUNDLE_NOT_KEPT', `${path} cannot be ${how}: ${writeFaultOf(error)}`, { cause: error })
}

const digestsOf = (bundles: Entries): ReadonlySet<string | undefined> =>
  new Set(Object.values(bundles).flatMap(({ serving, other }) => [serving?.digest, other?.digest]))

/** Removes slots that no name uses, and what an interrupted installation left. Failures only cost space. */
async function removeUnused(slots: string, bundles: Entries): Promise<void> {
  const used = digestsOf(bundles)
  for (const name of await readdir(slots).catch(() => []))
    if (!used.has(name) && !isUnderWay(name))
      await rm(join(slots, name), { recursive: true, force: true }).catch(() => undefined)
}

/** Whether a program unpacks or downloads into this folder at present. Our own `incoming` has become a slot, or failed. */
function isUnderWay(name: string): boolean {
  const [, kind, pid] = /^(incoming|download)-(\d+)$/.exec(name) ?? []
  if (pid === undefined) return false
  return Number(pid) === process.pid ? kind === 'download' : processMark(Number(pid)) !== null
}

const lockPollMs = 50
/** Longer than the golden pictures of a large model take on a slow board. */
const longestLockMs = 120_000

/** Names a process for good: its id, when it started, and in which run of the machine. Null: there is none. */
function processMark(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    return `${pid} ${started} ${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}`
  } catch {
    return null
  }
}

/** Creates the lock file with our mark; that of a process that is gone is taken over. */
async function takeLock(folder: string, lock: string): Promise<void> {
  const start = performance.now()
  for (;;) {
    try {
      await makeFolder(folder, 0o700)
      return await writeFile(lock, processMark(process.pid) ?? '', { flag: 'wx', mode: 0o600 })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw notKept(lock, 'written', error)
    }
    const mark = await readFile(lock, 'utf8').catch(() => '')
    const holder = Number.parseInt(mark, 10)
    // An empty file is one that its program is about to write.
    const isStale = mark === '' ? performance.now() - start > 10 * lockPollMs : processMark(holder) !== mark
    if (isStale) await rm(lock, { force: true })
    else if (performance.now() - start > longestLockMs)
      throw new GapcamError('BUNDLE_STATE', `the program with process id ${holder} installs a bundle at present`, {
        hint: 'Wait until it has ended.',
      })
    else await new Promise((resolve) => setTimeout(resolve, lockPollMs))
  }
}
