/**
 * The folder of pictures that wait for a label, or have one:
 *
 *     collected/20260412T181500250Z-9f3c.jpg     the picture, with what is known of it as its comment
 *     collected/20260412T181500250Z-9f3c.label   the label that a person gave it
 *     collected/20260412T181500250Z-9f3c.vec     its vector, which can be computed again
 *
 * Every file is whole or not there. All of them together never take more than the bytes that are allowed: room is made before
 * a file is written, the oldest pictures without a label go first. The folder is read again at each call, so that several
 * processes may use it.
 */
import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { GapcamError, writeFaultOf } from '../errors.js'
import { writeWhole } from '../state-file.js'
import { commentOf, withComment } from './comment.js'
import { groupedBy } from './groups.js'
import { reasons } from './worth.js'

const aboutSchema = z.object({
  v: z.literal(1),
  /** Key of the zone; '' for a picture from a folder. */
  zone: z.string(),
  /** Wall time of the capture, milliseconds. */
  atMs: z.number(),
  why: z.enum(reasons),
  /** What the model said; '' where it was not asked. */
  said: z.string(),
  score: z.number(),
})
/** What is known of a kept picture. */
export type About = z.output<typeof aboutSchema>

/** A picture in the folder. */
export interface Kept {
  readonly name: string
  readonly about: About
  /** The label that a person gave it; null: none. */
  readonly label: string | null
  /** Bytes of all its files. */
  readonly bytes: number
}

/** The only names that are read. None of them leads out of the folder. */
export const keptName = /^\d{8}T\d{9}Z-[0-9a-f]{4}$/

const endings = ['jpg', 'label', 'vec'] as const
type Ending = (typeof endings)[number]

/** A file of the folder. */
interface Found {
  readonly name: string
  readonly ending: Ending
  readonly bytes: number
}

/** A temporary file older than this was left by a process that was killed. */
const strayMs = 60_000

/** The bytes of the folder are counted again after this time. */
const recountMs = 5000

/** What a store needs. */
export interface StoreOptions {
  readonly folder: string
  readonly maxBytes: number
}

/** The pictures in a folder, which is made with the first picture. */
export class PictureStore {
  readonly folder: string
  readonly maxBytes: number
  /** What the comments say: they never change. */
  readonly #abouts = new Map<string, About | null>()
  #writing: Promise<unknown> = Promise.resolve()
  /** Bytes in the folder as they were counted last, with what was written since. */
  #total: { bytes: number; readonly atMs: number } | null = null

  constructor({ folder, maxBytes }: StoreOptions) {
    this.folder = folder
    this.maxBytes = maxBytes
  }

  /** Oldest first. Damaged pictures are left out. */
  async list(): Promise<readonly Kept[]> {
    const { files } = await this.#files()
    const byName = groupedBy(files, ({ name }) => name)
    for (const name of this.#abouts.keys()) if (!byName.has(name)) this.#abouts.delete(name)
    const kept: Kept[] = []
    for (const [name, own] of [...byName].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const about = own.some(({ ending }) => ending === 'jpg') ? await this.#about(name) : null
      if (about === null) continue
      const hasLabel = own.some(({ ending, bytes }) => ending === 'label' && bytes > 0)
      const label = hasLabel ? await readFile(this.#path(name, 'label'), 'utf8').catch(() => '') : ''
      kept.push({ name, about, label: label || null, bytes: own.reduce((sum, { bytes }) => sum + bytes, 0) })
    }
    return kept
  }

  /** Keeps a JPEG, and gives its name. Rejects with COLLECTED_NOT_WRITTEN, and then nothing of it is left. */
  async keep(jpeg: Uint8Array, about: Omit<About, 'v'>): Promise<string> {
    const time = new Date(about.atMs).toISOString().replace(/[-:.]/g, '')
    const name = `${time}-${randomBytes(2).toString('hex')}`
    await this.#write(name, 'jpg', withComment(jpeg, JSON.stringify({ v: 1, ...about })))
    return name
  }

  /** The file of a picture; null where there is none. */
  picture(name: string): Promise<Buffer | null> {
    return this.#read(name, 'jpg')
  }

  /** Gives pictures a label, or takes it away. Gives how many of them are there. Rejects with COLLECTED_NOT_WRITTEN. */
  async label(names: readonly string[], label: string | null): Promise<number> {
    const there: string[] = []
    for (const name of names) if ((await this.#sizeOf(name, 'jpg')) !== null) there.push(name)
    if (label === null) for (const name of there) await rm(this.#path(name, 'label'), { force: true })
    else await Promise.all(there.map((name) => this.#write(name, 'label', Buffer.from(label))))
    this.#total = null
    return there.length
  }

  /** Deletes a picture with all that is known of it. */
  async remove(name: string): Promise<void> {
    if (!keptName.test(name)) return
    for (const ending of endings) await rm(this.#path(name, ending), { force: true })
    this.#total = null
  }

  /** What `keepVector` kept; null where there is none. */
  vector(name: string): Promise<Buffer | null> {
    return this.#read(name, 'vec')
  }

  /** Keeps a vector where it fits: no picture goes for it. */
  async keepVector(name: string, bytes: Uint8Array): Promise<void> {
    if ((await this.#knownBytes()) + bytes.length <= this.maxBytes)
      await this.#write(name, 'vec', bytes).catch(() => undefined)
  }

  /** Bytes of all files in the folder, temporary ones too. */
  async bytes(): Promise<number> {
    return (await this.#files()).total
  }

  async #about(name: string): Promise<About | null> {
    const known = this.#abouts.get(name)
    if (known !== undefined) return known
    const text = commentOf((await this.#read(name, 'jpg')) ?? Buffer.alloc(0))
    const about = aboutSchema.safeParse(text === null ? null : jsonOf(text)).data ?? null
    this.#abouts.set(name, about)
    return about
  }

  async #read(name: string, ending: Ending): Promise<Buffer | null> {
    return keptName.test(name) ? readFile(this.#path(name, ending)).catch(() => null) : null
  }

  /** One file after the other, so that no two of them take the same room. */
  #write(name: string, ending: Ending, bytes: Uint8Array): Promise<void> {
    const writing = this.#writing.then(() => this.#writeNow(name, ending, bytes))
    this.#writing = writing.catch(() => undefined)
    return writing
  }

  async #writeNow(name: string, ending: Ending, bytes: Uint8Array): Promise<void> {
    if (bytes.length > this.maxBytes)
      throw new GapcamError(
        'COLLECTED_NOT_WRITTEN',
        `a picture of ${bytes.length} bytes exceeds the ${this.maxBytes} that pictures for review may take`,
      )
    try {
      if ((await this.#knownBytes()) + bytes.length > this.maxBytes) await this.#makeRoom(bytes.length, name)
      // The label and the vector of a picture that has just gone to make room would be left behind.
      if (ending !== 'jpg' && (await this.#sizeOf(name, 'jpg')) === null) return
      await writeWhole(this.#path(name, ending), bytes)
      if (this.#total) this.#total.bytes += bytes.length
    } catch (error) {
      throw new GapcamError('COLLECTED_NOT_WRITTEN', `picture for review in ${this.folder}: ${writeFaultOf(error)}`, {
        cause: error,
      })
    }
  }

  /** Deletes the oldest pictures until `need` bytes fit, those without a label before the others, `spared` last. */
  async #makeRoom(need: number, spared: string): Promise<void> {
    const { files, total } = await this.#files()
    let bytes = total
    if (bytes + need <= this.maxBytes) return
    const byName = groupedBy(files, ({ name }) => name)
    const rank = (name: string): number =>
      name === spared ? 2 : byName.get(name)!.some(({ ending }) => ending === 'label') ? 1 : 0
    const order = [...byName.keys()].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
    for (const name of order) {
      if (bytes + need <= this.maxBytes) return
      await this.remove(name)
      bytes -= byName.get(name)!.reduce((sum, { bytes: own }) => sum + own, 0)
    }
  }

  /** Bytes in the folder; counted again after some seconds, since another process may write there too. */
  async #knownBytes(): Promise<number> {
    if (this.#total === null || performance.now() - this.#total.atMs > recountMs) await this.#files()
    return this.#total!.bytes
  }

  /** All files with their sizes. What a killed process left half-written is deleted, and counted until then. */
  async #files(): Promise<{ readonly files: readonly Found[]; readonly total: number }> {
    const files: Found[] = []
    let total = 0
    for (const file of await readdir(this.folder).catch(() => [])) {
      const found = await stat(join(this.folder, file)).catch(() => null)
      if (!found?.isFile()) continue
      if (file.endsWith('.new') && Date.now() - found.mtimeMs > strayMs) {
        await rm(join(this.folder, file), { force: true })
        continue
      }
      total += found.size
      const [name, ending, rest] = file.split('.')
      const known = endings.find((each) => each === ending)
      if (known && rest === undefined && keptName.test(name!))
        files.push({ name: name!, ending: known, bytes: found.size })
    }
    this.#total = { bytes: total, atMs: performance.now() }
    return { files, total }
  }

  #sizeOf(name: string, ending: Ending): Promise<number | null> {
    if (!keptName.test(name)) return Promise.resolve(null)
    return stat(this.#path(name, ending)).then(
      ({ size }) => size,
      () => null,
    )
  }

  #path(name: string, ending: Ending): string {
    return join(this.folder, `${name}.${ending}`)
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
