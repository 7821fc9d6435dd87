/**
 * The files of a gallery in the state directory, readable only by the user that runs gapcam:
 *
 *     galleries/family/record.json        names, pictures, threshold: the one file that decides
 *     galleries/family/pictures/<id>      pictures as they were given
 *     galleries/family/vectors/<id>       their raw vectors; `ordinary` and `strangers` hold those of impostors
 *     galleries/family/<digest>.onnx      the model that zones use
 *
 * Every file is written whole, the record last. What the record does not name is removed after each change.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileFaultOf, GapcamError, messageOf, writeFaultOf } from '../errors.js'
import { writeWhole } from '../state-file.js'
import { galleryFault, recordSchema, type GalleryRecord } from './record.js'

const recordFile = 'record.json'

/** The folder of all galleries in a state directory. */
const galleriesFolder = (stateFolder: string): string => join(stateFolder, 'galleries')

/** Names of the galleries in a state directory, in order. */
export async function galleriesIn(stateFolder: string): Promise<readonly string[]> {
  const entries = await readdir(galleriesFolder(stateFolder), { withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isDirectory() && galleryFault(entry.name) === null)
    .map(({ name }) => name)
    .sort()
}

/** Sets of vectors that belong to no name. */
export type Impostors = 'ordinary' | 'strangers'

/** The files of one gallery. */
export class GalleryStore {
  readonly name: string
  readonly folder: string

  constructor(stateFolder: string, name: string) {
    this.name = name
    this.folder = join(galleriesFolder(stateFolder), name)
  }

  /** Null: there is no such gallery. Rejects with GALLERY_INVALID for a record that cannot be read. */
  async record(): Promise<GalleryRecord | null> {
    const text = await readFile(join(this.folder, recordFile), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw this.#invalid(fileFaultOf(error))
    })
    if (text === null) return null
    try {
      return recordSchema.parse(JSON.parse(text))
    } catch (error) {
      throw this.#invalid(messageOf(error).split('\n')[0]!)
    }
  }

  /** Writes the record and removes everything that it does not name. */
  async keep(record: GalleryRecord): Promise<void> {
    await this.#write(recordFile, `${JSON.stringify(record)}\n`)
    const ids = new Set(record.names.flatMap(({ pictures }) => pictures))
    await this.#removeOthers('pictures', (file) => ids.has(file))
    await this.#removeOthers('vectors', (file) => ids.has(file) || file === 'ordinary' || file === 'strangers')
    await this.#removeOthers('.', (file) => !file.endsWith('.onnx') || file === record.file)
  }

  /** Keeps a picture, and gives its id. It stays only if the next record names it. */
  async keepPicture(bytes: Uint8Array): Promise<string> {
    const id = createHash('sha256').update(bytes).digest('hex').slice(0, 24)
    await this.#write(join('pictures', id), bytes)
    return id
  }

  /** Null where the picture is gone. */
  picture(id: string): Promise<Buffer | null> {
    return readFile(join(this.folder, 'pictures', id)).catch(() => null)
  }

  /** The vectors in a file, each of `length` numbers; null where it does not hold any. */
  async vectors(file: string, length: number): Promise<readonly Float32Array[] | null> {
    const bytes = await readFile(join(this.folder, 'vectors', file)).catch(() => null)
    if (bytes === null || bytes.length === 0 || bytes.length % (length * 4) !== 0) return null
    const all = new Float32Array(new Uint8Array(bytes).buffer)
    return Array.from({ length: all.length / length }, (_, i) => all.slice(i * length, (i + 1) * length))
  }

  async keepVectors(file: string | Impostors, vectors: readonly Float32Array[]): Promise<void> {
    await this.#write(
      join('vectors', file),
      Buffer.concat(vectors.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength))),
    )
  }

  /** Keeps the model, and gives the name of its file. */
  async keepModel(bytes: Uint8Array): Promise<string> {
    const file = `${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}.onnx`
    await this.#write(file, bytes)
    return file
  }

  /** Deletes the vectors of all names at once: a model holds them too. */
  async dropModels(): Promise<void> {
    await this.#removeOthers('.', (file) => !file.endsWith('.onnx'))
  }

  /** Deletes everything. The folder is renamed first, so that no half of it is left in its place. */
  async remove(): Promise<void> {
    const going = `${this.folder}.removed`
    await rm(going, { recursive: true, force: true })
    await rename(this.folder, going).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw this.#notWritten(error)
    })
    await rm(going, { recursive: true, force: true })
  }

  async #write(file: string, bytes: Uint8Array | string): Promise<void> {
    try {
      await writeWhole(join(this.folder, file), bytes)
    } catch (error) {
      throw this.#notWritten(error)
    }
  }

  async #removeOthers(folder: string, isWanted: (file: string) => boolean): Promise<void> {
    const path = join(this.folder, folder)
    try {
      for (const entry of await readdir(path, { withFileTypes: true }).catch(() => []))
        if (entry.isFile() && !isWanted(entry.name)) await rm(join(path, entry.name), { force: true })
    } catch (error) {
      throw this.#notWritten(error)
    }
  }

  #notWritten(error: unknown): GapcamError {
    return new GapcamError('GALLERY_NOT_WRITTEN', `gallery ${this.name}: ${writeFaultOf(error)}`, { cause: error })
  }

  #invalid(why: string): GapcamError {
    return new GapcamError('GALLERY_INVALID', `gallery ${this.name}: its record cannot be read: ${why}`)
  }
}

/** The file of the model of a gallery; null where there is no gallery of this name. Rejects with GALLERY_INVALID where nothing is enrolled. */
export async function galleryModel(stateFolder: string, name: string): Promise<string | null> {
  if (galleryFault(name) !== null) return null
  const store = new GalleryStore(stateFolder, name)
  const record = await store.record()
  if (record === null) return null
  if (record.file !== null) return join(store.folder, record.file)
  throw new GapcamError('GALLERY_INVALID', `gallery ${name} has no names`, {
    hint: `gapcam gallery enrol ${name} NAME PICTURE... enrols one.`,
  })
}
