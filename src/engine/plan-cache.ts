/**
 * Compiled models on disk, so that the next start needs neither reader nor compiler. An entry is found by the fingerprints
 * of the model, of this program and of the target, and is used only while every file that it was made from is the same. A
 * damaged entry is removed and the model compiled again. A disk that cannot be written is no error.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, rmSync, statSync, utimesSync } from 'node:fs'
import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadAddon, type Addon } from '../addon.js'
import { messageOf, writeFaultOf } from '../errors.js'
import { makeFolder } from '../folder.js'
import { readBytes } from '../model/onnx/file.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import { version } from '../version.js'
import type { EngineOptions } from './engine.js'
import { partsOfEntry, readEntry, type FilePrint, type Kept, type SourceFile } from './plan-entry.js'
import { wantedHere, type OwnChoice } from './select.js'

/** Where plans are kept. */
export interface PlanCacheOptions {
  /** Created when the first plan is kept. */
  readonly folder: string
  /** Receives a sentence about each entry that was damaged or could not be written. */
  readonly onNote?: ((sentence: string) => void) | undefined
  /** Bounds; the entries that were not used for longest go first. Default 16 entries and 256 MiB. */
  readonly mostEntries?: number
  readonly mostBytes?: number
}

/** What decides over a compiled model besides the model itself. */
export interface PlanUse {
  readonly choice: OwnChoice
  readonly engine: EngineOptions
  /** Plain data: further options that change what is kept. */
  readonly options?: unknown
  /** Files that change the result, whether they exist or not. */
  readonly beside: readonly string[]
}

/** The place of one model, opened in one way. */
export interface PlanPlace {
  /** The model's file, mapped. Give these bytes to the loader, so that the entry describes them. */
  readonly bytes: Uint8Array
  /** What was kept, or null. Its constants are views of mapped files, valid while the result is referenced. */
  find(): Kept | null
  /** The entry cannot be used after all: removes it. */
  refuse(why: string): void
  /**
   * Keeps a compiled model. `sources` are the files that its constants are views of, the model's own first; `beside` names
   * further files that change the result. Never rejects.
   */
  keep(kept: Kept, sources: readonly SourceFile[], beside?: readonly string[]): Promise<void>
}

/** The files that hold a loaded model's weights, for `keep`. A converted model's lie in none. */
export const sourcesOf = ({ path, bytes, isConverted, externalFiles }: LoadedModel): SourceFile[] => [
  { path, bytes: isConverted ? new Uint8Array() : bytes },
  ...externalFiles.map((file) => ({ path: join(dirname(path), file.location), bytes: file.bytes })),
]

/** Opens the place of a model; null where there is no addon, or where the file cannot be read. */
export async function placeOf(model: string, cache: PlanCacheOptions, use: PlanUse): Promise<PlanPlace | null> {
  const loaded = loadAddon()
  if ('reason' in loaded) return null
  let bytes: Uint8Array
  try {
    if (statSync(model).size === 0) return null
    bytes = await readBytes(model)
  } catch {
    return null // the loader says why
  }
  const { addon } = loaded
  const { inputSize, outputs, extraOutputs, integers, byteInputs, precision } = use.engine
  const print = addon.fingerprint(bytes)
  const wanted = await wantedHere(addon, use.choice, use.engine)
  const parts = [codeIdentity(), resolve(model), bytes.length, print, wanted, use.options]
  const key = JSON.stringify([...parts, { inputSize, outputs, extraOutputs, integers, byteInputs, precision }])
  return new Place(addon, cache, bytes, addon.fingerprint(new TextEncoder().encode(key)), use.beside)
}

class Place implements PlanPlace {
  readonly bytes: Uint8Array
  readonly #addon: Addon
  readonly #cache: PlanCacheOptions
  readonly #beside: readonly string[]
  readonly #key: string
  readonly #file: string

  constructor(addon: Addon, cache: PlanCacheOptions, bytes: Uint8Array, key: string, beside: readonly string[]) {
    this.bytes = bytes
    this.#addon = addon
    this.#cache = cache
    this.#beside = beside
    this.#key = key
    this.#file = join(cache.folder, `${this.#key}.plan`)
  }

  find(): Kept | null {
    let entry: Uint8Array
    try {
      entry = this.#addon.mapFile(this.#file)
    } catch {
      if (existsSync(this.#file)) this.refuse('it cannot be read')
      return null
    }
    try {
      const { beside, ...kept } = readEntry(this.#addon, this.#key, entry, this.bytes, (path) =>
        this.#addon.mapFile(path),
      )
      if (beside.some(([path, print]) => this.#printOf(path) !== print)) return null
      markUsed(this.#file)
      return kept
    } catch (error) {
      if ((error as NodeJS.ErrnoException).errno !== undefined) return null // a file with weights is gone
      this.refuse(messageOf(error))
      return null
    }
  }

  refuse(why: string): void {
    this.#cache.onNote?.(`the kept plan ${this.#file} is not used: ${why}; the model is compiled again`)
    try {
      rmSync(this.#file, { force: true, recursive: true })
    } catch {
      // It is refused again at the next start.
    }
  }

  async keep(kept: Kept, sources: readonly SourceFile[], beside: readonly string[] = []): Promise<void> {
    const [, ...others] = sources
    const all = [...new Set([...this.#beside, ...beside, ...others.map(({ path }) => path)])]
    const part = `${this.#file}.${process.pid}-${randomBytes(4).toString('hex')}.part`
    try {
      const prints = all.map((path): FilePrint => [path, this.#printOf(path)])
      const parts = partsOfEntry(this.#addon, this.#key, kept, sources, prints)
      const size = parts.reduce((sum, { length }) => sum + length, 0)
      const { folder, mostEntries = 16, mostBytes = 256 * 2 ** 20 } = this.#cache
      if (size > mostBytes) return
      await makeFolder(folder, 0o700)
      await makeRoom(folder, `${this.#key}.plan`, mostEntries - 1, mostBytes - size)
      await writeParts(part, parts)
      await rename(part, this.#file)
    } catch (error) {
      this.#cache.onNote?.(`the compiled plan is not kept: ${this.#file}: ${writeFaultOf(error)}`)
      await rm(part, { force: true }).catch(() => undefined)
    }
  }

  /** The fingerprint of a file's content; '' if there is none, and a word if it cannot be read. */
  #printOf(path: string): string {
    try {
      return this.#addon.fingerprint(this.#addon.mapFile(path))
    } catch {
      return existsSync(path) ? 'empty or unreadable' : ''
    }
  }
}

/** The time of its last use decides which entries go first. */
function markUsed(file: string): void {
  const now = new Date()
  try {
    utimesSync(file, now, now)
  } catch {
    // Nothing is written to a read-only folder, so nothing goes either.
  }
}

async function writeParts(file: string, parts: readonly Uint8Array[]): Promise<void> {
  const handle = await open(file, 'wx', 0o600)
  try {
    for (const bytes of parts) if (bytes.length > 0) await handle.writeFile(bytes)
  } finally {
    await handle.close()
  }
}

/** A part that is older was left by a process that ended while it wrote. */
const strayMs = 3_600_000

/** Removes the entries that were not used for longest until the others are few and small enough. */
async function makeRoom(folder: string, own: string, mostEntries: number, mostBytes: number): Promise<void> {
  const found = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      const { size, mtimeMs } = await stat(join(folder, name)).catch(() => ({ size: 0, mtimeMs: Infinity }))
      return { name, size, mtimeMs }
    }),
  )
  const strays = found.filter(({ name, mtimeMs }) => name.endsWith('.part') && Date.now() - mtimeMs > strayMs)
  const entries = found.filter(({ name }) => name.endsWith('.plan') && name !== own)
  const newestFirst = entries.toSorted((a, b) => b.mtimeMs - a.mtimeMs)
  let bytes = 0
  const surplus = newestFirst.filter(({ size }, i) => (bytes += size) > mostBytes || i >= mostEntries)
  for (const { name } of [...strays, ...surplus]) await rm(join(folder, name), { force: true })
}

let identity: string | undefined

/**
 * What tells this program's code apart from another's: its version. A checkout changes without its version, so there it is
 * the time of the last build too, which writes this file and the addon again.
 */
function codeIdentity(): string {
  return (identity ??= isCheckout() ? `${version} ${buildTimes()}` : version)
}

const here = fileURLToPath(import.meta.url)
const root = fileURLToPath(new URL('../..', import.meta.url))
const isCheckout = (): boolean => existsSync(join(root, 'src'))

function buildTimes(): string {
  const addon =
    process.env['GAPCAM_ADDON'] ?? join(root, 'prebuilds', `${process.platform}-${process.arch}`, 'gapcam.node')
  return [here, addon].map((file) => statSync(file).mtimeMs).join(' ')
}
