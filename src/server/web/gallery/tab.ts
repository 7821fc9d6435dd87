/** The Galleries tab: enrols pictures under names, and shows the galleries. */
import type { LiveState } from '../../messages.js'
import { getJson, send } from '../api.js'
import { el, freshId, panel } from '../dom.js'
import { Steady } from '../steady.js'
import { base64Of, isPicture, partsOf } from '../teach/upload.js'
import { createCard, type GalleryCard, type PlacedZone } from './card.js'
import type { GalleryState } from '../../gallery-messages.js'
import { galleryText as text } from './text.js'

export interface GalleryTabEvents {
  onFault(error: unknown): void
  tell(message: string): void
}

/** Others may enrol too. */
const readEveryMs = 5000

export class GalleryTab {
  readonly #events: GalleryTabEvents
  readonly #gallery = textField(text.gallery, 'cats')
  readonly #name = textField(text.name, 'Mia')
  readonly #zone = el('select', { id: freshId() })
  readonly #none = el('p', { class: 'note', hidden: true }, text.none)
  readonly #cards = el('div', { class: 'review-groups' })
  readonly #open = new Map<string, GalleryCard>()
  readonly element: HTMLElement
  readonly #keys = new Steady<{ readonly key: string }>()
  #zones: readonly PlacedZone[] = []
  #targets = ''
  #isShown = false
  #timer = 0

  constructor(events: GalleryTabEvents) {
    this.#events = events
    const now = el('button', { type: 'button', class: 'primary' }, text.now)
    now.addEventListener('click', () => void this.#enrolNow())
    const files = el('input', { type: 'file', multiple: true, accept: 'image/*', class: 'visually-hidden' })
    files.addEventListener('change', () => {
      void this.#enrolFiles([...(files.files ?? [])])
      files.value = ''
    })
    const zone = el('div', { class: 'gallery-field' }, el('label', { for: this.#zone.id }, text.zone), this.#zone)
    const fields = el('div', { class: 'gallery-fields' }, this.#gallery.element, this.#name.element, zone)
    const buttons = el('div', { class: 'zone-tools' }, now, el('label', { class: 'file-button' }, files, text.files))
    const head = panel(text.title, '', el('p', { class: 'note' }, text.hint), fields, buttons, this.#none)
    this.element = el('div', { class: 'review galleries' }, head, this.#cards)
  }

  show(isShown: boolean): void {
    this.#isShown = isShown
    clearInterval(this.#timer)
    if (!isShown) return
    void this.#read()
    this.#timer = window.setInterval(() => {
      if (!document.hidden) void this.#read()
    }, readEveryMs)
  }

  update({ cameras }: Pick<LiveState, 'cameras'>): void {
    this.#zones = cameras.flatMap(({ zones }) => zones)
    const keys = cameras.flatMap(({ id, hasOwn, zones }) => [...(hasOwn ? [id] : []), ...zones.map(({ key }) => key)])
    const targets = this.#keys.update(keys.map((key) => ({ key }))).map(({ key }) => key)
    if (targets.join('\n') !== this.#targets) {
      this.#targets = targets.join('\n')
      const chosen = this.#zone.value
      this.#zone.replaceChildren(...targets.map((key) => el('option', { value: key }, key)))
      // A zone that was drawn is where things are.
      const drawn = targets.filter((key) => key.includes('/')).at(-1)
      this.#zone.value = targets.includes(chosen) ? chosen : (drawn ?? targets[0] ?? '')
    }
    if (this.#isShown) for (const card of this.#open.values()) card.seen(this.#zones)
  }

  async #read(): Promise<void> {
    try {
      this.#show(await getJson<GalleryState[]>('/api/galleries'))
    } catch (error) {
      this.#events.onFault(error)
    }
  }

  #show(galleries: readonly GalleryState[]): void {
    this.#none.toggleAttribute('hidden', galleries.length > 0)
    const wanted = galleries.map(({ gallery }) => gallery)
    if (wanted.join('\n') !== [...this.#open.keys()].join('\n')) {
      const cards = wanted.map((gallery) => [gallery, this.#open.get(gallery) ?? this.#card(gallery)] as const)
      this.#open.clear()
      for (const [gallery, card] of cards) this.#open.set(gallery, card)
      this.#cards.replaceChildren(...cards.map(([, { element }]) => element))
    }
    for (const state of galleries) this.#open.get(state.gallery)!.update(state)
    for (const card of this.#open.values()) card.seen(this.#zones)
    if (this.#gallery.input.value === '' && wanted.length === 1) this.#gallery.input.value = wanted[0]!
  }

  #card(gallery: string): GalleryCard {
    return createCard(gallery, {
      tell: this.#events.tell,
      change: (method, below, body) => this.#change(method, `/api/galleries/${gallery}${below}`, body),
      choose: (name) => {
        this.#gallery.input.value = gallery
        this.#name.input.value = name
        this.#name.input.focus()
      },
      serve: (key) => {
        const [camera, zone] = key.split('/')
        const path = `/api/cameras/${camera}/zones/${zone}`
        void send('PUT', path, { values: { model: gallery } }).then(
          () => this.#events.tell(text.serving(key)),
          this.#events.onFault,
        )
      },
    })
  }

  async #change(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<unknown> {
    try {
      const answer = await send<unknown>(method, path, body)
      await this.#read()
      return answer
    } catch (error) {
      this.#events.onFault(error)
      return null
    }
  }

  /** Where to enrol; null where a person has not said it. */
  #place(): { readonly path: string; readonly name: string } | null {
    const [gallery, name] = [this.#gallery.input.value.trim(), this.#name.input.value.trim()]
    if (gallery !== '' && name !== '') return { path: `/api/galleries/${encodeURIComponent(gallery)}`, name }
    this.#events.tell(text.needs)
    return null
  }

  async #enrolNow(): Promise<void> {
    const place = this.#place()
    if (place) await this.#enrol(`${place.path}/enrol`, { name: place.name, zone: this.#zone.value })
  }

  async #enrolFiles(files: readonly File[]): Promise<void> {
    const place = this.#place()
    if (!place) return
    const pictures = files.filter(isPicture)
    for (const part of partsOf(pictures)) {
      const data = await Promise.all(part.map(async (file) => base64Of(new Uint8Array(await file.arrayBuffer()))))
      if (!(await this.#enrol(`${place.path}/pictures`, { name: place.name, pictures: data }))) return
    }
    if (pictures.length < files.length) this.#events.tell(text.skipped(files.length - pictures.length))
  }

  async #enrol(path: string, body: { readonly name: string } & Readonly<Record<string, unknown>>): Promise<boolean> {
    const answer = (await this.#change('POST', path, body)) as GalleryState | null
    const own = answer?.names.find(({ name }) => name === body.name)
    if (own) this.#events.tell(text.enrolled(own.name, own.pictures))
    return answer !== null
  }
}

function textField(
  words: string,
  placeholder: string,
): { readonly element: HTMLElement; readonly input: HTMLInputElement } {
  const input = el('input', { type: 'text', id: freshId(), maxlength: 64, autocomplete: 'off', placeholder })
  return { input, element: el('div', { class: 'gallery-field' }, el('label', { for: input.id }, words), input) }
}
