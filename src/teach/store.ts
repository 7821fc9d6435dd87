/**
 * The files of one taught head in the state directory:
 *
 *     taught/gate/record.json            states, pictures, what serves and what served before: the one file that decides
 *     taught/gate/pictures/<id>          pictures as they were given
 *     taught/gate/vectors/<id>.<network> their vectors, which can be computed again
 *     taught/gate/heads/<digest>.onnx    the head that serves and the one before
 *
 * Every file is written whole. The record is written last, so that after power loss or with a full disk the old head serves
 * with its old pictures. What no record names is removed.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileFaultOf, GapcamError, messageOf, writeFaultOf } from '../errors.js'
import { writeWhole } from '../state-file.js'
import { headFolder, recordFile } from './names.js'
import { emptyRecord, picturesOf, recordSchema, type HeadRecord } from './record.js'

/** The files of one head. Changes are made one after the other. */
export interface HeadStore {
  readonly name: string
  readonly folder: string
  /** As it was read or written last. */
  readonly record: HeadRecord
  /** Reads the record again: another process may have changed it. Rejects with HEAD_INVALID. */
  refresh(): Promise<HeadRecord>
  /**
   * Changes the record as it is on the disk, and removes files that nothing names any more. Rejects with HEAD_NOT_WRITTEN,
   * and then nothing has changed.
   */
  change(next: (record: HeadRecord) => HeadRecord): Promise<HeadRecord>
  /** Keeps a picture, and gives its id. It stays only if the next change names it. */
  keepPicture(bytes: Uint8Array): Promise<string>
  /** Rejects with PICTURE_INVALID where the file is gone. */
  picture(id: string): Promise<Buffer>
  /** The vectors of a picture by one network; null where they are not kept. */
  vectors(id: string, network: string, count: number): Promise<Float32Array | null>
  keepVectors(id: string, network: string, values: Float32Array): Promise<void>
  /** Keeps a head, and gives its digest. It stays only if the next change names it. */
  keepHead(bytes: Uint8Array): Promise<string>
  /** The file of a head. */
  headFile(digest: string): string
}

/** Opens the store of a head; it need not exist. Rejects with HEAD_INVALID for a record that cannot be read. */
export async function openHeadStore(stateFolder: string, name: string): Promise<HeadStore> {
  const folder = headFolder(stateFolder, name)
  const store = new Files(folder, name)
  await store.refresh()
  return store
}

/** Changes under way, by folder: stores of one head wait for each other. */
const changing = new Map<string, Promise<unknown>>()

class Files implements HeadStore {
  readonly name: string
  readonly folder: string
  #record: HeadRecord = emptyRecord

  constructor(folder: string, name: string) {
    this.folder = folder
    this.name = name
  }

  get record(): HeadRecord {
    return this.#record
  }

  async refresh(): Promise<HeadRecord> {
    this.#record = await readRecord(join(this.folder, recordFile), this.name)
    return this.#record
  }

  change(next: (record: HeadRecord) => HeadRecord): Promise<HeadRecord> {
    return this.#inTurn(() => this.#change(next))
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = changing.get(this.folder) ?? Promise.resolve()
    const change = before.catch(() => undefined).then(work)
    changing.set(this.folder, change)
    void change.catch(() => undefined).then(() => changing.get(this.folder) === change && changing.delete(this.folder))
    return change
  }

  async #change(next: (record: HeadRecord) => HeadRecord): Promise<HeadRecord> {
    const before = await this.refresh()
    const after = next(before)
    if (after === before) return before
    const record = { ...after, revision: before.revision + 1 }
    await this.#write(join(this.folder, recordFile), `${JSON.stringify(record)}\n`)
    this.#record = record
    await this.#sweep(new Set([...picturesOf(before), ...headsOf(before)]))
    return record
  }

  async keepPicture(bytes: Uint8Array): Promise<string> {
    const id = createHash('sha256').update(bytes).digest('hex').slice(0, 24)
    await this.#inTurn(() => this.#write(join(this.folder, 'pictures', id), bytes))
    return id
  }

  async picture(id: string): Promise<Buffer> {
    try {
      return await readFile(join(this.folder, 'pictures', id))
    } catch (error) {
      throw new GapcamError('PICTURE_INVALID', `picture ${id} of head ${this.name}: ${fileFaultOf(error)}`)
    }
  }

  async vectors(id: string, network: string, count: number): Promise<Float32Array | null> {
    const bytes = await readFile(this.#vectorFile(id, network)).catch(() => null)
    if (bytes?.length !== count * 4) return null
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  }

  keepVectors(id: string, network: string, values: Float32Array): Promise<void> {
    return this.#write(
      this.#vectorFile(id, network),
      new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    )
  }

  async keepHead(bytes: Uint8Array): Promise<string> {
    const digest = createHash('sha256').update(bytes).digest('hex')
    await this.#inTurn(() => this.#write(this.headFile(digest), bytes))
    return digest
  }

  headFile(digest: string): string {
    return join(this.folder, 'heads', `${digest}.onnx`)
  }

  #vectorFile(id: string, network: string): string {
    return join(this.folder, 'vectors', `${id}.${network}`)
  }

  async #write(file: string, bytes: Uint8Array | string): Promise<void> {
    try {
      await writeWhole(file, bytes)
    } catch (error) {
      throw new GapcamError(
        'HEAD_NOT_WRITTEN',
        `head ${this.name}: ${file} cannot be written: ${writeFaultOf(error)}`,
        {
          cause: error,
        },
      )
    }
  }

  /**
   * Removes what the record does not name: files that it named before at once, others when no change can be on its way to
   * naming them. A file that cannot be removed stays until the next change.
   */
  async #sweep(namedBefore: ReadonlySet<string>): Promise<void> {
    const { served, before } = this.#record
    const pictures = picturesOf(this.#record)
    const heads = new Set(headsOf(this.#record))
    const networks = new Set([served, before].map((lesson) => networkOf(lesson?.model)))
    const isGone = (file: string): boolean => namedBefore.has(idIn(file))
    await removeOthers(join(this.folder, 'pictures'), (file) => pictures.has(file), isGone)
    await removeOthers(join(this.folder, 'heads'), (file) => heads.has(idIn(file)), isGone)
    const isVector = (file: string): boolean =>
      pictures.has(idIn(file)) && (served === null || networks.has(file.split('.')[1] ?? ''))
    await removeOthers(join(this.folder, 'vectors'), isVector, isGone)
  }
}

const headsOf = ({ served, before }: HeadRecord): readonly string[] =>
  [served, before].flatMap((lesson) => (lesson ? [lesson.head] : []))

const idIn = (file: string): string => file.split('.')[0]!

/** The name under which vectors of a network are kept. */
export function networkOf(
  model: { readonly sha256: string; readonly width: number; readonly height: number } | undefined,
): string {
  if (!model) return ''
  const { sha256, width, height } = model
  return createHash('sha256').update(`${sha256} ${width}x${height} looks 1`).digest('hex').slice(0, 16)
}

/** A file may lie unnamed for this long: it is being written, or its change follows. */
const unnamedMs = 60_000

async function removeOthers(
  folder: string,
  isNamed: (file: string) => boolean,
  isGone: (file: string) => boolean,
): Promise<void> {
  for (const file of await readdir(folder).catch(() => [])) {
    if (isNamed(file)) continue
    const path = join(folder, file)
    const isOld =
      isGone(file) ||
      (await stat(path).then(
        ({ mtimeMs }) => Date.now() - mtimeMs > unnamedMs,
        () => false,
      ))
    if (isOld) await rm(path, { force: true }).catch(() => undefined)
  }
}

async function readRecord(file: string, name: string): Promise<HeadRecord> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return emptyRecord
    throw new GapcamError('HEAD_INVALID', `head ${name}: ${file} cannot be read: ${fileFaultOf(error)}`)
  }
  let why: string
  try {
    const result = recordSchema.safeParse(JSON.parse(text))
    if (result.success) return result.data
    why = `${result.error.issues[0]?.path.join('.') ?? ''}: ${result.error.issues[0]?.message ?? ''}`
  } catch (error) {
    why = messageOf(error)
  }
  throw new GapcamError('HEAD_INVALID', `head ${name}: ${basename(file)} is damaged: ${why}`)
}

/** Removes a head with its pictures. Its folder is renamed first, so that no half of it is left in its place. */
export async function removeHead(stateFolder: string, name: string): Promise<void> {
  const folder = headFolder(stateFolder, name)
  const going = `${folder}.removed`
  try {
    await rm(going, { recursive: true, force: true })
    await rename(folder, going)
    await rm(going, { recursive: true, force: true })
    await rm(`${folder}.onnx`, { force: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw new GapcamError('HEAD_NOT_WRITTEN', `head ${name} cannot be removed: ${writeFaultOf(error)}`)
  }
}
