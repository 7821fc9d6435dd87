/** One gallery: its threshold, who is seen now, and its names with their pictures. */
import type { ZoneState } from '../../messages.js'
import { ask, askSure } from '../dialogs.js'
import { el, panel, setText } from '../dom.js'
import { thumbnail } from '../thumbnail.js'
import { score } from '../time.js'
import { saidBy } from '../zones/layer.js'
import type { GalleryState, LeftRow } from '../../gallery-messages.js'
import { galleryText as text } from './text.js'

/** A zone of any camera. */
export type PlacedZone = Pick<ZoneState, 'key' | 'label' | 'reason' | 'score' | 'values'>

export interface GalleryCard {
  readonly element: HTMLElement
  update(state: GalleryState): void
  /** What the zones say now. */
  seen(zones: readonly PlacedZone[]): void
}

export interface CardEvents {
  /** Sends a change below the gallery's address; `method` DELETE removes it. Resolves with the answer, null after a fault. */
  change(method: 'POST' | 'DELETE', below: string, body?: unknown): Promise<unknown>
  serve(zone: string): void
  tell(message: string): void
  /** A name was pressed: more pictures of it are enrolled. */
  choose(name: string): void
}

/** Pictures of one name that are shown. */
const shownOfName = 8

export function createCard(gallery: string, events: CardEvents): GalleryCard {
  const threshold = el('p', { class: 'note' })
  const seen = el('ul', { class: 'gallery-seen', 'aria-label': text.seen })
  const choice = el('select', { 'aria-label': text.serve })
  const names = el('ul', { class: 'gallery-names' })
  const left = el('ul', { class: 'note gallery-left', 'aria-label': text.leftTitle })
  const remove = el('button', { type: 'button', class: 'quiet danger' }, text.remove)
  const element = panel(gallery, '', threshold, seen, choice, names, left, el('div', { class: 'row' }, remove))
  element.classList.add('gallery-card')
  let shown = ''
  let offered = ''

  remove.addEventListener('click', () => {
    void askSure(text.removeSure(gallery)).then((isSure) => isSure && events.change('DELETE', ''))
  })
  choice.addEventListener('change', () => {
    if (choice.value !== '') events.serve(choice.value)
  })

  return {
    element,
    update(state) {
      const wanted = JSON.stringify(state)
      if (wanted === shown) return
      shown = wanted
      setText(threshold, state.calibration ? text.threshold(state.calibration) : text.empty)
      names.replaceChildren(...state.names.map((each) => nameItem(gallery, each, { ...events, all: state.names })))
      left.toggleAttribute('hidden', state.left.length === 0)
      left.replaceChildren(...state.left.map((row) => el('li', {}, text.left(row))))
    },
    seen(zones) {
      const own = zones.filter(({ values }) => values['model'] === gallery)
      const words = own.map(
        (zone) => `${zone.key}: ${saidBy(zone)}${zone.reason === null ? ` ${score(zone.score)}` : ''}`,
      )
      const lines = words.length === 0 ? [text.unused] : words
      if ([...seen.children].map(({ textContent }) => textContent).join('\n') !== lines.join('\n'))
        seen.replaceChildren(...lines.map((line) => el('li', {}, line)))
      const others = zones.filter((zone) => !own.includes(zone)).map(({ key }) => key)
      if (others.join('\n') === offered && choice.options.length > 0) return
      offered = others.join('\n')
      choice.toggleAttribute('hidden', others.length === 0)
      choice.replaceChildren(
        el('option', { value: '' }, text.serve),
        ...others.map((key) => el('option', { value: key }, key)),
      )
    },
  }
}

type Named = GalleryState['names'][number]

function nameItem(
  gallery: string,
  { name, pictures, ids }: Named,
  { all, change, tell, choose }: CardEvents & { readonly all: readonly Named[] },
): HTMLElement {
  const more = el('button', { type: 'button', class: 'quiet gallery-name' }, name)
  more.addEventListener('click', () => choose(name))
  const rename = el('button', { type: 'button', class: 'quiet' }, text.rename)
  rename.addEventListener('click', () => void renamed())
  const forget = el('button', { type: 'button', class: 'quiet danger' }, text.forget)
  forget.addEventListener('click', () => void forgotten())

  async function renamed(): Promise<void> {
    const { cancel, newName, renameHint, renameTitle } = text
    const given = await ask({
      title: renameTitle(name),
      hint: renameHint,
      field: newName,
      value: name,
      yes: text.rename,
      no: cancel,
      type: 'text',
      offered: all.flatMap((each) => (each.name === name ? [] : [each.name])),
    })
    const to = given?.trim() ?? ''
    if (to === '' || to === name) return
    const isOther = all.some((each) => each.name === to)
    if (isOther && !(await askSure(text.joins(name, to)))) return
    await change('POST', isOther ? '/merge' : '/rename', { from: name, to })
  }

  async function forgotten(): Promise<void> {
    if (!(await askSure(text.sure(name)))) return
    const answer = (await change('POST', '/forget', { name })) as { readonly left: readonly LeftRow[] } | null
    if (answer) tell(text.forgotten(name, answer.left))
  }

  const path = (id: string): string => `/api/galleries/${gallery}/pictures/${id}/thumbnail.jpg`
  const shown = ids
    .slice(-shownOfName)
    .map((id) => el('li', {}, el('div', { class: 'thumb' }, thumbnail(path(id), ''))))
  const head = el('div', { class: 'panel-head' }, more, el('span', { class: 'note' }, text.pictures(pictures)))
  return el(
    'li',
    { 'data-name': name },
    head,
    el('ul', { class: 'thumbs' }, ...shown),
    el('div', { class: 'row' }, rename, forget),
  )
}
