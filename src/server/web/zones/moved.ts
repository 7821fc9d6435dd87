/** Says that the camera has moved: the view in which the regions were drawn beside the present one, and what can be done. */
import type { CameraState } from '../../messages.js'
import { getJson, send } from '../api.js'
import { el } from '../dom.js'
import { thumbnail } from '../thumbnail.js'
import { text } from '../text.js'

interface MovedEvents {
  onFault(error: unknown): void
  /** The present view was accepted, and the regions are drawn again. */
  onDraw(): void
}

export interface MovedPanel {
  readonly element: HTMLElement
  update(camera: CameraState): void
}

export function createMoved({ onFault, onDraw }: MovedEvents): MovedPanel {
  const words = text.zones.moved
  const pictures = el('div', { class: 'moved-views' })
  const accept = button(words.accept)
  const same = button(words.same)
  const draw = button(words.draw)
  const element = el(
    'section',
    { class: 'panel moved', role: 'alert', hidden: true },
    el('h2', {}, words.title),
    el('p', { class: 'note' }, words.hint),
    pictures,
    el('div', { class: 'zone-tools' }, accept, same, draw),
  )
  let camera = ''
  let shownFor = ''

  async function take(body: { readonly same?: boolean }): Promise<void> {
    await send('POST', `/api/cameras/${camera}/anchor/accept`, body)
  }
  accept.addEventListener('click', () => void take({}).catch(onFault))
  same.addEventListener('click', () => void take({ same: true }).catch(onFault))
  draw.addEventListener('click', () => void take({}).then(onDraw, onFault))

  /** The view with the regions over it, as they were drawn. */
  function view(which: 'reference' | 'present', seenMs: number | null): HTMLElement {
    const path = `/api/cameras/${camera}/anchor/${which}.jpg?at=${seenMs ?? 0}`
    return el('figure', {}, thumbnail(path, words[which]), el('figcaption', { class: 'note' }, words[which]))
  }

  return {
    element,
    update({ id, zones }) {
      const isMoved = zones.some(({ reason }) => reason === 'moved')
      element.toggleAttribute('hidden', !isMoved)
      camera = id
      const wanted = isMoved ? id : ''
      if (wanted === shownFor) return
      shownFor = wanted
      if (isMoved)
        void getJson<{ seenMs: number | null }>(`/api/cameras/${id}/anchor`).then(
          ({ seenMs }) => pictures.replaceChildren(view('reference', seenMs), view('present', seenMs)),
          onFault,
        )
    },
  }
}

const button = (words: string): HTMLButtonElement => el('button', { type: 'button' }, words)
