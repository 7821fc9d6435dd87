/**
 * The bundles of a running node: starts are counted on probation, faults roll back, and a bundle that is to serve instead of
 * the open one restarts the node. docs/bundles.md has the rules; `src/bundle/phases.ts` computes them.
 */
import { renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { rehearse } from '../../bundle/golden.js'
import { endedWell, goodStartMs, hung, rolledBack, started, type Entry } from '../../bundle/phases.js'
import { builtInName, bundleIn, openBundleStore, type BundleStore } from '../../bundle/store.js'
import type { Classifier } from '../../classifier.js'
import { ownBundle } from '../../config/model.js'
import type { Config } from '../../config/schema.js'
import { stateDirectory } from '../../config/state-directory.js'
import { exitStatus, GapcamError, messageOf } from '../../errors.js'
import type { Logger } from '../../log.js'

/** How often the pointer is looked at: one `stat`. */
const lookEveryMs = 2000

export interface NodeBundles {
  readonly store: BundleStore
  /** The bundle of the node's own model; null where the configuration names a file. */
  readonly own: string | null
  /** What is installed under a name; undefined: nothing. Never throws. */
  entry(name: string): Entry | undefined
  /**
   * Opens the node's own model. On probation its golden pictures must have their scores on this board; a model that fails is
   * rolled back, and the one before opened.
   */
  open(open: () => Promise<Classifier>): Promise<Classifier>
  /**
   * Calls back when the pointer has changed: `isOther` where another bundle is to serve or to be compared than the open one.
   * While `isChanging` holds, it waits.
   */
  watch(listener: (isOther: boolean) => void, isChanging?: () => boolean): void
  /** The run failed. Faults of cameras, brokers and the configuration are not the model's. */
  failed(error: unknown): void
  /** An orderly end: the start was a good one, unless the run failed. */
  close(): Promise<void>
}

/** The file that a watchdog leaves; its folder exists where a bundle was ever installed. */
export const hangFileOf = (config: Config): string => join(stateDirectory(config), 'bundles', 'hung')

/** Counts the start. Never rejects: a store that cannot be used is logged, and leaves the node with the model it has. */
export async function openNodeBundles(config: Config, log: Pick<Logger, 'warn' | 'info'>): Promise<NodeBundles> {
  const store = openBundleStore(stateDirectory(config))
  const own = ownBundle(config)
  const bundles = new Bundles(store, own, log)
  await bundles.begin(namesIn(config, own), hangFileOf(config))
  return bundles
}

/** The bundles that the node and its zones may use. */
function namesIn({ cameras }: Config, own: string | null): readonly string[] {
  const named = cameras.flatMap(({ zones = [] }) =>
    zones.flatMap(({ model }) => (model === undefined ? [] : [bundleIn(model)])),
  )
  return [...new Set([...(own === null ? [] : [own]), ...named])]
}

class Bundles implements NodeBundles {
  readonly store: BundleStore
  readonly own: string | null
  readonly #log: Pick<Logger, 'warn' | 'info'>
  #names: readonly string[] = []
  /** What this node has open, by name. */
  #open = new Map<string, string>()
  #timers: NodeJS.Timeout[] = []
  #hasFailed = false

  constructor(store: BundleStore, own: string | null, log: Pick<Logger, 'warn' | 'info'>) {
    this.store = store
    this.own = own
    this.#log = log
  }

  async begin(names: readonly string[], hangFile: string): Promise<void> {
    const hasHung = takeMark(hangFile)
    this.#repair()
    this.#names = names
    await this.#changeAll((entry, name) => {
      const after = hasHung ? hung(entry, name, name === builtInName) : entry
      return after === entry ? started(entry, name, name === builtInName) : after
    })
    this.#remember()
    this.#timers.push(setTimeout(() => void this.#changeAll(endedWell), goodStartMs).unref())
  }

  entry(name: string): Entry | undefined {
    try {
      return this.store.entries()[name]
    } catch (error) {
      this.#log.warn(messageOf(error))
      return undefined
    }
  }

  async open(open: () => Promise<Classifier>): Promise<Classifier> {
    const entry = this.own === null ? undefined : this.entry(this.own)
    if (!entry?.serving || entry.phase !== 'probation') return open()
    try {
      const classifier = await open()
      try {
        await rehearse(this.store.manifestOf(entry.serving), this.store.placeOf(entry.serving), classifier)
        return classifier
      } catch (error) {
        await classifier.close()
        throw error
      }
    } catch (error) {
      if (!(error instanceof GapcamError) || error.exitStatus !== exitStatus.model) throw error
      await this.#change(this.own!, (now, name) => rolledBack(now, name, name === builtInName, error.message))
      this.#remember()
      return open()
    }
  }

  watch(listener: (isOther: boolean) => void, isChanging = (): boolean => false): void {
    const pointer = join(this.store.folder, 'pointer.json')
    let seen = stampOf(pointer)
    const look = setInterval(() => {
      const now = stampOf(pointer)
      if (now === seen || isChanging()) return
      seen = now
      listener([...this.#open].some(([name, open]) => openOf(this.entry(name)) !== open))
    }, lookEveryMs)
    this.#timers.push(look.unref())
  }

  failed(error: unknown): void {
    const others: readonly number[] = [exitStatus.camera, exitStatus.broker, exitStatus.usage, exitStatus.output]
    this.#hasFailed = !(error instanceof GapcamError && others.includes(error.exitStatus))
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer)
    if (!this.#hasFailed) await this.#changeAll(endedWell)
  }

  /** A pointer that the disk has damaged is put aside, so that the node starts with the model that comes with gapcam. */
  #repair(): void {
    try {
      this.store.entries()
    } catch (error) {
      const pointer = join(this.store.folder, 'pointer.json')
      this.#log.warn(`${messageOf(error)}; it is renamed to pointer.json.damaged, and no bundle serves`)
      try {
        renameSync(pointer, `${pointer}.damaged`)
      } catch {
        // A disk that cannot be read: nothing of it can be used anyway.
      }
    }
  }

  #remember(): void {
    this.#open = new Map(this.#names.map((name) => [name, openOf(this.entry(name))]))
  }

  async #changeAll(change: (entry: Entry, name: string) => Entry): Promise<void> {
    for (const name of this.#names) if (this.entry(name)?.phase === 'probation') await this.#change(name, change)
  }

  async #change(name: string, change: (entry: Entry, name: string) => Entry): Promise<void> {
    try {
      await this.store.alone(async () => {
        const before = this.store.entries()[name]
        const after = before && change(before, name)
        if (!before || !after || JSON.stringify(after) === JSON.stringify(before)) return
        await this.store.replace(name, after)
        if (after.serving?.digest === before.serving?.digest) return
        const to = after.serving?.version ?? 'the model that comes with gapcam'
        this.#log.warn(`${name} ${before.serving?.version} is rolled back to ${to}: ${after.fault}`)
      })
    } catch (error) {
      this.#log.warn(`bundle ${name}: ${messageOf(error)}`)
    }
  }
}

/** What a node opens of an entry: the model that serves, and a candidate in its shadow. */
function openOf(entry: Entry | undefined): string {
  return [entry?.serving?.digest, entry?.phase === 'shadow' ? entry.other?.digest : undefined].join(' ')
}

/** Whether the watchdog has left its mark; removes it. */
function takeMark(file: string): boolean {
  if (stampOf(file) === '') return false
  rmSync(file, { force: true })
  return true
}

/** Changes with every replacement of a file; '' where there is none. */
function stampOf(file: string): string {
  try {
    const { ino, mtimeMs } = statSync(file)
    return `${ino} ${mtimeMs}`
  } catch {
    return ''
  }
}
