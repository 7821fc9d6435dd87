/**
 * The review of kept pictures: lists and groups them, gives labels to groups and single pictures, takes in pictures that a
 * person reported, exports folders that are named by label and imports such folders.
 */
import { createHash } from 'node:crypto'
import { copyFile, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileFaultOf, GapcamError, isOfOnePicture, writeFaultOf } from '../errors.js'
import type { EngineOptions } from '../engine/engine.js'
import { makeFolder } from '../folder.js'
import { decodePicture } from '../pixels/decode.js'
import { encodeJpeg } from '../pixels/jpeg.js'
import { groupsOf, groupedBy, type Group } from './groups.js'
import { labelFault } from './label.js'
import type { About, Kept, PictureStore } from './store.js'
import { compared, type Vectors, type PictureVector } from './vectors.js'

/** A group of pictures without a label that look alike. */
export interface PictureGroup {
  /** Differs when the group has other pictures. */
  readonly id: string
  /** What is nearly the same picture is one of these lists, oldest first. */
  readonly pictures: readonly (readonly Kept[])[]
  /** What the model says of most of them; null where it says nothing. */
  readonly suggestion: string | null
}

/** Groups, and how many pictures have none yet. */
export interface Grouping {
  readonly groups: readonly PictureGroup[]
  /** Pictures without a label that were not looked at yet, or cannot be decoded. */
  readonly waiting: number
}

/** A picture with its vector. */
interface Looked {
  readonly kept: Kept
  readonly vector: PictureVector
}

/** More pictures are grouped in a second pass, when the newest have their labels: the memory is 8 bytes for each pair. */
const mostGrouped = 1500

/** Pictures of a longer side are scaled down when they are imported. */
const importSide = 1280

/** What a review works on. */
export interface ReviewOptions {
  readonly store: PictureStore
  readonly vectors: Vectors
  readonly engine: EngineOptions
}

/** How many pictures an export or an import has taken, and those that it could not take. */
export interface Moved {
  readonly pictures: number
  readonly labels: number
  readonly broken: readonly string[]
}

/** Labels pictures. Each call reads the folder as it is. */
export class Review {
  readonly #options: ReviewOptions
  #grouping: { readonly key: string; readonly groups: readonly PictureGroup[] } | null = null

  constructor(options: ReviewOptions) {
    this.#options = options
  }

  /** All pictures, oldest first. */
  list(): Promise<readonly Kept[]> {
    return this.#options.store.list()
  }

  /** The JPEG of a picture; null where there is none of this name. */
  picture(name: string): Promise<Buffer | null> {
    return this.#options.store.picture(name)
  }

  /** Groups the newest pictures without a label, after looking at those that were not looked at; `signal` ends the looking. */
  async groups(signal?: AbortSignal): Promise<Grouping> {
    const open = (await this.#options.store.list()).filter(({ label }) => label === null)
    const looked = await this.#looked(open, signal)
    const key = digestOf(looked.map(({ kept }) => kept.name))
    const known = this.#grouping?.key === key ? this.#grouping : null
    this.#grouping = known ?? { key, groups: await this.#grouped(looked) }
    return { groups: this.#grouping.groups, waiting: open.length - looked.length }
  }

  /** Labels a group, except some of its pictures; null takes labels away. Gives the number of pictures; null: there is no such group any more. */
  async labelGroup(id: string, label: string | null, except: readonly string[] = []): Promise<number | null> {
    const group = this.#grouping?.groups.find((each) => each.id === id)
    if (!group) return null
    const names = group.pictures.flat().map(({ name }) => name)
    return this.label(
      names.filter((name) => !except.includes(name)),
      label,
    )
  }

  /**
   * Pictures with a label that a zone can be taught: its own and those from folders, or those of `names`. Of nearly equal ones
   * of one label the oldest stands for all.
   */
  async labelled(zone: string, names?: readonly string[]): Promise<readonly Kept[]> {
    const all = (await this.#options.store.list()).filter(({ label }) => label !== null)
    if (names) return all.filter(({ name }) => names.includes(name))
    const own = all.filter(({ about }) => about.zone === zone || about.zone === '')
    const looked = await this.#looked(own)
    const twinOf = new Map<string, string>()
    for (const { pictures } of await this.#grouped(looked))
      for (const twins of pictures)
        for (const [, same] of groupedBy(twins, ({ label }) => label))
          for (const { name } of same) twinOf.set(name, same[0]!.name)
    return own.filter(({ name }) => (twinOf.get(name) ?? name) === name)
  }

  /** Labels pictures. Gives the number of those that are there. Rejects with USAGE for a label that is none, and with COLLECTED_NOT_WRITTEN. */
  async label(names: readonly string[], label: string | null): Promise<number> {
    const fault = label === null ? null : labelFault(label)
    if (fault !== null) throw new GapcamError('USAGE', `label: ${fault}`)
    return this.#options.store.label(names, label)
  }

  /** Deletes pictures for good: files and vectors. */
  async discard(names: readonly string[]): Promise<void> {
    for (const name of names) await this.#options.store.remove(name)
  }

  /** Deletes the pictures of a group; null: there is no such group any more. */
  async discardGroup(id: string): Promise<number | null> {
    const group = this.#grouping?.groups.find((each) => each.id === id)
    if (!group) return null
    const names = group.pictures.flat().map(({ name }) => name)
    await this.discard(names)
    return names.length
  }

  /** Takes in a picture that a person reported, with the right label where that is known. Gives its name. */
  async report(jpeg: Uint8Array, about: Omit<About, 'v' | 'why'>, label: string | null): Promise<string> {
    const fault = label === null ? null : labelFault(label)
    if (fault !== null) throw new GapcamError('USAGE', `label: ${fault}`)
    const name = await this.#options.store.keep(jpeg, { ...about, why: 'reported' })
    if (label !== null) await this.#options.store.label([name], label)
    return name
  }

  /** Every picture that has a label as LABEL/NAME.jpg; null where they are larger than `mostBytes` together. */
  async files(mostBytes: number): Promise<readonly { readonly name: string; readonly bytes: Buffer }[] | null> {
    const files: { name: string; bytes: Buffer }[] = []
    let left = mostBytes
    for (const { name, label } of await this.list()) {
      const bytes = label === null ? null : await this.picture(name)
      if (!bytes) continue
      left -= bytes.length
      if (left < 0) return null
      files.push({ name: `${label}/${name}.jpg`, bytes })
    }
    return files
  }

  /** Copies every picture that has a label to FOLDER/LABEL/NAME.jpg. Rejects with OUTPUT_NOT_WRITTEN. */
  async export(folder: string): Promise<Moved> {
    const labelled = (await this.list()).filter(({ label }) => label !== null)
    const byLabel = groupedBy(labelled, ({ label }) => label!)
    try {
      for (const [label, pictures] of byLabel) {
        await makeFolder(join(folder, label))
        for (const { name } of pictures)
          await copyFile(join(this.#options.store.folder, `${name}.jpg`), join(folder, label, `${name}.jpg`))
      }
    } catch (error) {
      throw new GapcamError('OUTPUT_NOT_WRITTEN', `export to ${folder}: ${writeFaultOf(error)}`, { cause: error })
    }
    return { pictures: labelled.length, labels: byLabel.size, broken: [] }
  }

  /** Takes in the pictures of FOLDER/LABEL/, with their labels. Rejects with PICTURE_INVALID where the folder cannot be read. */
  async import(folder: string): Promise<Moved> {
    const entries = await readdir(folder, { withFileTypes: true, recursive: false }).catch((error: unknown) => {
      throw new GapcamError('PICTURE_INVALID', `${folder}: ${fileFaultOf(error)}`)
    })
    const labels = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
    const broken: string[] = []
    let pictures = 0
    for (const label of labels.sort()) {
      const fault = labelFault(label)
      if (fault !== null) throw new GapcamError('USAGE', `folder ${label} cannot be a label: ${fault}`)
      for (const file of (await readdir(join(folder, label))).sort()) {
        const isTaken = await this.#importOne(join(folder, label, file), label)
        if (isTaken) pictures++
        else broken.push(join(folder, label, file))
      }
    }
    return { pictures, labels: labels.length, broken }
  }

  /** Closes what looks at pictures. */
  close(): Promise<void> {
    return this.#options.vectors.close()
  }

  async #importOne(file: string, label: string): Promise<boolean> {
    const { store } = this.#options
    try {
      const { data, width, height } = await scaled(await readFile(file), file)
      const about = { zone: '', atMs: Date.now(), why: 'imported', said: '', score: 0 } as const
      const name = await store.keep(await encodeJpeg({ rgb: data, width, height }, 90), about)
      return (await store.label([name], label)) === 1
    } catch (error) {
      if (isOfOnePicture(error) || (error as NodeJS.ErrnoException).code === 'EISDIR') return false
      throw error
    }
  }

  /** The newest of these pictures with their vectors; `signal` ends the looking. */
  async #looked(pictures: readonly Kept[], signal?: AbortSignal): Promise<readonly Looked[]> {
    const { vectors } = this.#options
    const looked: Looked[] = []
    for (const kept of pictures.slice(-mostGrouped)) {
      const vector = signal?.aborted ? await vectors.known(kept.name) : await vectors.of(kept.name)
      if (vector) looked.push({ kept, vector })
    }
    return looked
  }

  async #grouped(looked: readonly Looked[]): Promise<PictureGroup[]> {
    if (looked.length === 0) return []
    const { arithmetic } = await import('../teach/arithmetic.js')
    const vectors = compared(looked.map(({ vector }) => vector))
    const { length } = vectors[0]!
    const products = await arithmetic().byteProducts(vectors, null, {
      mean: new Float32Array(length),
      lengths: Uint32Array.of(length),
      weights: Float32Array.of(1),
    })
    return groupsOf(products, looked.length).map((group) => groupOf(group, looked))
  }
}

function groupOf(group: Group, looked: readonly { readonly kept: Kept }[]): PictureGroup {
  const pictures = group.map((twins) => twins.map((i) => looked[i]!.kept))
  const said = groupedBy(
    pictures.flat().filter(({ about }) => about.said !== ''),
    ({ about }) => about.said,
  )
  const [best] = [...said].sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1))
  return { id: digestOf(pictures.flat().map(({ name }) => name)), pictures, suggestion: best?.[0] ?? null }
}

const digestOf = (names: readonly string[]): string =>
  createHash('sha256').update(names.join(' ')).digest('hex').slice(0, 16)

/** A picture, scaled down where it is larger than pictures of a camera need to be. */
async function scaled(bytes: Buffer, name: string): ReturnType<typeof decodePicture> {
  const picture = await decodePicture(bytes, name)
  const scale = importSide / Math.max(picture.width, picture.height)
  if (scale >= 1) return picture
  const sized = (side: number): number => Math.max(1, Math.round(side * scale))
  return decodePicture(bytes, name, { width: sized(picture.width), height: sized(picture.height) })
}
