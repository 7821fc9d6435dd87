/** Galleries of a running node: people on the page enrol, rename and forget, and zones that use the gallery follow at once. */
import { modelOptions } from '../../config/model.js'
import type { Config } from '../../config/schema.js'
import { GapcamError } from '../../errors.js'
import { Gallery } from '../../gallery/gallery.js'
import { galleryFault, type GalleryRecord } from '../../gallery/record.js'
import { galleriesIn, GalleryStore } from '../../gallery/store.js'
import type { AnyZone } from '../../zone/missing.js'
import { partOf } from './reviewing.js'
import type { Settings } from '../commands/settings.js'
import type { Zones } from '../zones/zones.js'

/** What galleries of a node need. */
export interface GalleriesOptions {
  readonly config: Config
  /** Null: there is no state directory, so nothing can be enrolled. */
  readonly stateFolder: string | null
  readonly zones: Pick<Zones, 'find' | 'renew'>
  readonly settings: Pick<Settings, 'findZone'>
}

/** A gallery by its name. */
export interface NamedGallery {
  readonly name: string
  readonly record: GalleryRecord
}

/** The networks of galleries are closed when nothing was changed for this long. */
const restAfterMs = 60_000

/** The galleries in the state directory. */
export class Galleries {
  readonly #options: GalleriesOptions
  readonly #open = new Map<string, Gallery>()
  #resting: NodeJS.Timeout | null = null

  constructor(options: GalleriesOptions) {
    this.#options = options
  }

  /** All of them. Rejects with GALLERY_INVALID for a record that cannot be read. */
  async list(): Promise<readonly NamedGallery[]> {
    const { stateFolder } = this.#options
    if (stateFolder === null) return []
    const all: NamedGallery[] = []
    for (const name of await galleriesIn(stateFolder)) {
      const record = await new GalleryStore(stateFolder, name).record()
      if (record) all.push({ name, record })
    }
    return all
  }

  /** Enrols the present picture of a zone. */
  async enrol(name: string, person: string, zone: string, signal: AbortSignal): Promise<GalleryRecord> {
    const { zones, settings } = this.#options
    const found: AnyZone | undefined = zones.find(zone)
    if (!found) throw new GapcamError('USAGE', `zone: there is no zone ${zone}`)
    const picture = await found.capture({ maxSide: 1280, signal })
    const { jpeg } = await partOf(picture, found, settings.findZone(zone)?.roi ?? null)
    return this.change(name, (gallery) => gallery.enrol(person, [jpeg]))
  }

  /** An enrolled picture; null where there is none. */
  async picture(name: string, id: string): Promise<Buffer | null> {
    const { stateFolder } = this.#options
    if (stateFolder === null || galleryFault(name) !== null) return null
    return new GalleryStore(stateFolder, name).picture(id)
  }

  /** Changes a gallery; the zones that use it follow. Gives what `act` gives. */
  async change<T>(name: string, act: (gallery: Gallery) => Promise<T>): Promise<T> {
    const done = await act(this.#gallery(name))
    // A zone must not go on with the vectors of a name that was forgotten.
    await this.#options.zones.renew(name, false)
    return done
  }

  async close(): Promise<void> {
    if (this.#resting) clearTimeout(this.#resting)
    for (const gallery of this.#open.values()) await gallery.close()
    this.#open.clear()
  }

  #gallery(name: string): Gallery {
    const { config, stateFolder } = this.#options
    const fault = galleryFault(name)
    if (fault !== null) throw new GapcamError('USAGE', `gallery: ${fault}`)
    if (stateFolder === null)
      throw new GapcamError('GALLERY_INVALID', 'there is no state directory to keep pictures in')
    if (this.#resting) clearTimeout(this.#resting)
    this.#resting = setTimeout(() => void this.close(), restAfterMs).unref()
    const { model, threads } = modelOptions(config)
    const gallery = this.#open.get(name) ?? new Gallery(stateFolder, name, { model, engine: { threads } })
    this.#open.set(name, gallery)
    return gallery
  }
}
