/**
 * A gallery: names with pictures, their vectors, and the model that zones use. Every change reads the record, makes the new model
 * and then writes the record; the model before serves until then. What is forgotten is gone first, and then a new model is made.
 */
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EngineOptions } from '../engine/engine.js'
import { GapcamError, writeFaultOf } from '../errors.js'
import { decodePicture } from '../pixels/decode.js'
import { calibrate, matches, type Calibration, type Match, type NamedVectors } from './match.js'
import { openGalleryNetwork, type GalleryNetwork } from './network.js'
import { enrolled, forgotten, moved, personFault, type GalleryRecord } from './record.js'
import { GalleryStore } from './store.js'

/** Share of impostors that may pass. */
const defaultRate = 0.01

/** A gallery on disk. Changes of one object are made one after the other. Close it. */
export class Gallery {
  readonly store: GalleryStore
  readonly #engine: EngineOptions
  readonly #defaultModel: string
  #network: { readonly path: string; readonly opening: Promise<GalleryNetwork> } | null = null
  #changing: Promise<unknown> = Promise.resolve()

  /** `model` is the network of a gallery that does not exist yet. */
  constructor(stateFolder: string, name: string, options: { readonly model: string; readonly engine: EngineOptions }) {
    this.store = new GalleryStore(stateFolder, name)
    this.#engine = options.engine
    this.#defaultModel = options.model
  }

  /** Rejects with GALLERY_INVALID where there is no such gallery. */
  async record(): Promise<GalleryRecord> {
    const record = await this.store.record()
    if (record) return record
    throw new GapcamError('GALLERY_INVALID', `there is no gallery ${this.store.name}`, {
      hint: 'gapcam gallery list names those that there are; enrol makes one.',
    })
  }

  /** Enrols pictures under a name. Rejects with PICTURE_INVALID for one that cannot be read, and then nothing has changed. */
  enrol(name: string, pictures: readonly Uint8Array[]): Promise<GalleryRecord> {
    return this.#change(async () => {
      const fault = personFault(name)
      if (fault !== null) throw new GapcamError('USAGE', `${JSON.stringify(name)}: ${fault}`)
      const network = await this.#open(this.#defaultModel)
      const before = (await this.store.record()) ?? (await this.#created(network))
      this.#requireSame(before, network)
      const ids: string[] = []
      for (const bytes of pictures) ids.push(await this.#keep(bytes, network))
      const after = enrolled(before, name, [...new Set(ids)])
      if ('fault' in after) throw new GapcamError('USAGE', `${this.store.name}: ${after.fault}`)
      return this.#serve(after, network)
    })
  }

  /** The names that are nearest to a picture, and the one that it is; null: none of them. */
  async match(
    bytes: Uint8Array,
    file: string,
  ): Promise<{ readonly is: string | null; readonly nearest: readonly Match[] }> {
    const record = await this.record()
    const network = await this.#open(record.model.path)
    const { names, mean } = await this.#vectors(record, network)
    const raw = await network.look(await decodePicture(bytes, file))
    const nearest = matches(network.unit(raw, mean), names)
    const [best] = nearest
    const isKnown = best !== undefined && record.calibration !== null && best.cosine >= record.calibration.threshold
    return { is: isKnown ? best.name : null, nearest }
  }

  /** Joins two names that are the same; the pictures of `from` go to `into`. */
  merge(from: string, into: string): Promise<GalleryRecord> {
    return this.#change(async () => {
      const record = await this.record()
      this.#require(record, from)
      this.#require(record, into)
      return this.#serve(moved(record, from, into), await this.#open(record.model.path))
    })
  }

  rename(from: string, to: string): Promise<GalleryRecord> {
    return this.#change(async () => {
      const record = await this.record()
      this.#require(record, from)
      const fault =
        personFault(to) ?? (record.names.some(({ name }) => name === to) ? 'the name is taken; merge joins two' : null)
      if (fault !== null) throw new GapcamError('USAGE', `${JSON.stringify(to)}: ${fault}`)
      return this.#serve(moved(record, from, to), await this.#open(record.model.path))
    })
  }

  /** Deletes a name with its pictures and vectors, and every model that holds them. Gives what of it has left the device. */
  forget(name: string): Promise<GalleryRecord['left']> {
    return this.#change(async () => {
      const record = await this.record()
      this.#require(record, name)
      await this.store.dropModels()
      const after = { ...forgotten(record, name), file: null }
      await this.store.keep(after)
      await this.#serve(after, await this.#open(record.model.path))
      return record.left.filter(({ names }) => names.includes(name))
    })
  }

  /** Deletes the gallery. */
  remove(): Promise<void> {
    return this.#change(() => this.store.remove())
  }

  /** Finds the threshold again, with pictures of strangers (default: those of the last time), so that `rate` of them pass. */
  calibrate(strangers: readonly Uint8Array[] | null, rate?: number): Promise<GalleryRecord> {
    return this.#change(async () => {
      const record = await this.record()
      const network = await this.#open(record.model.path)
      if (strangers) {
        const vectors: Float32Array[] = []
        for (const bytes of strangers) vectors.push(await network.look(await decodePicture(bytes, 'of a stranger')))
        await this.store.keepVectors('strangers', vectors)
      }
      return this.#serve({ ...record, rate: rate ?? record.rate }, network)
    })
  }

  /** Copies the model to a file, and remembers that it has left. */
  export(file: string): Promise<GalleryRecord> {
    return this.#change(async () => {
      const record = await this.record()
      if (record.file === null) throw new GapcamError('GALLERY_INVALID', `gallery ${this.store.name} has no names`)
      const names = record.names.map(({ name }) => name)
      const after = {
        ...record,
        left: [...record.left, { atMs: Date.now(), what: `a model with vectors: ${file}`, names }],
      }
      await this.store.keep(after)
      await copyFile(join(this.store.folder, record.file), file).catch((error: unknown) => {
        throw new GapcamError('OUTPUT_NOT_WRITTEN', `${file}: ${writeFaultOf(error)}`)
      })
      return after
    })
  }

  /** Closes the network. */
  async close(): Promise<void> {
    await this.#changing.catch(() => undefined)
    const network = this.#network
    this.#network = null
    await (await network?.opening.catch(() => null))?.close()
  }

  #change<T>(work: () => Promise<T>): Promise<T> {
    const change = this.#changing.catch(() => undefined).then(work)
    this.#changing = change
    return change
  }

  async #open(path: string): Promise<GalleryNetwork> {
    const wanted = (await this.store.record())?.model.path ?? path
    if (this.#network?.path !== wanted) {
      await (await this.#network?.opening.catch(() => null))?.close()
      this.#network = { path: wanted, opening: openGalleryNetwork(wanted, this.#engine) }
    }
    return this.#network!.opening
  }

  async #created({ sha256, ordinary }: GalleryNetwork): Promise<GalleryRecord> {
    await this.store.keepVectors('ordinary', await ordinary())
    const model = { path: this.#defaultModel, sha256 }
    return { version: 1, model, names: [], calibration: null, rate: defaultRate, file: null, left: [] }
  }

  #requireSame({ model }: GalleryRecord, { sha256 }: GalleryNetwork): void {
    if (model.sha256 === sha256) return
    throw new GapcamError('GALLERY_INVALID', `gallery ${this.store.name}: another network lies at ${model.path} now`, {
      hint: 'Put the network back, or forget the gallery and enrol again.',
    })
  }

  #require({ names }: GalleryRecord, name: string): void {
    if (names.some((each) => each.name === name)) return
    const known = names.map((each) => each.name).join(', ')
    throw new GapcamError('USAGE', `gallery ${this.store.name} has no name ${JSON.stringify(name)}`, {
      hint: `It has ${known || 'none'}.`,
    })
  }

  /** Keeps a picture and its vector. */
  async #keep(bytes: Uint8Array, network: GalleryNetwork): Promise<string> {
    const raw = await network.look(await decodePicture(bytes, 'to enrol'))
    const id = await this.store.keepPicture(bytes)
    await this.store.keepVectors(id, [raw])
    return id
  }

  /** Unit vectors of all names, and what they were centred on. A vector that is gone is computed again. */
  async #vectors(
    record: GalleryRecord,
    network: GalleryNetwork,
  ): Promise<{
    readonly names: readonly NamedVectors[]
    readonly others: readonly Float32Array[]
    readonly mean: Float32Array
  }> {
    this.#requireSame(record, network)
    const raws = new Map<string, Float32Array>()
    for (const id of record.names.flatMap(({ pictures }) => pictures)) {
      const raw = await this.#raw(id, network)
      if (raw) raws.set(id, raw)
    }
    const { length } = network
    const ordinary = (await this.store.vectors('ordinary', length)) ?? []
    const strangers = (await this.store.vectors('strangers', length)) ?? []
    const mean = new Float32Array(length)
    for (const vector of ordinary) for (let i = 0; i < length; i++) mean[i]! += vector[i]! / ordinary.length
    const names = record.names.map(({ name, pictures }) => ({
      name,
      vectors: pictures.flatMap((id) => (raws.has(id) ? [network.unit(raws.get(id)!, mean)] : [])),
    }))
    return {
      names: names.filter(({ vectors }) => vectors.length > 0),
      others: [...ordinary, ...strangers].map((raw) => network.unit(raw, mean)),
      mean,
    }
  }

  async #raw(id: string, network: GalleryNetwork): Promise<Float32Array | null> {
    const known = await this.store.vectors(id, network.length)
    if (known?.length === 1) return known[0]!
    const bytes = await this.store.picture(id)
    if (!bytes) return null
    const raw = await network.look(await decodePicture(bytes, id))
    await this.store.keepVectors(id, [raw])
    return raw
  }

  /** Calibrates, writes the model, and then the record. */
  async #serve(record: GalleryRecord, network: GalleryNetwork): Promise<GalleryRecord> {
    const { names, others, mean } = await this.#vectors(record, network)
    let [calibration, file]: [Calibration | null, string | null] = [null, null]
    if (names.length > 0) {
      calibration = calibrate({ names, others, rate: record.rate, usual: network.usual })
      const head = { ...calibration, mean, vectors: names.map(({ vectors }) => vectors) }
      const labels = names.map(({ name }) => name)
      file = await this.store.keepModel(network.write(labels, head))
    }
    const after = { ...record, calibration, file }
    await this.store.keep(after)
    return after
  }
}
