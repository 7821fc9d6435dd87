/** The taught pictures by state, with what each is called now. Files that are dropped on a state are taught under it. */
import type { TaughtPicture, TeachStatus } from '../../teach-messages.js'
import { el, panel, setText } from '../dom.js'
import { ask, askSure } from '../dialogs.js'
import { called, thumbnail } from '../thumbnail.js'
import { nounOf, teachText, type Noun } from './text.js'
import { droppedFiles } from './upload.js'

const text = teachText.pictures

export interface TaughtPictures {
  readonly element: HTMLElement
  update(status: TeachStatus): void
  /** States without a picture, which can be given files too. */
  name(states: ReadonlySet<string>): void
  /** How far an upload is; empty: none is under way. */
  progress(sentence: string): void
}

interface PictureEvents {
  readonly pathOf: (picture: string) => string
  onMove(picture: string, state: string | null): void
  onRemove(picture: string): void
  /** Another name for a state; the name of another state joins both. */
  onRename(state: string, to: string): void
  onDelete(state: string): void
  onFiles(state: string | null, files: readonly File[]): void
}

/** More pictures of a state are shown on demand. */
const shownAtOnce = 60

export function createTaughtPictures(events: PictureEvents): TaughtPictures {
  return new PicturePanel(events)
}

class PicturePanel implements TaughtPictures {
  readonly element: HTMLElement
  readonly #events: PictureEvents
  readonly #progress = el('p', { class: 'note', role: 'status', hidden: true })
  readonly #groups = el('div', { class: 'taught-groups' })
  /** States of which all pictures are shown. */
  readonly #opened = new Set<string | null>()
  /** The picture whose actions are shown. */
  #chosen: string | null = null
  #status: TeachStatus | null = null
  #named: readonly string[] = []
  #shown = ''

  constructor(events: PictureEvents) {
    this.#events = events
    this.element = panel(text.title('picture'), text.drop('picture'), this.#progress, this.#groups)
    this.element.classList.add('taught-panel')
  }

  update(status: TeachStatus): void {
    this.#status = status
    this.#draw()
  }

  name(states: ReadonlySet<string>): void {
    this.#named = [...states]
    this.#draw()
  }

  progress(sentence: string): void {
    setText(this.#progress, sentence)
    this.#progress.toggleAttribute('hidden', sentence === '')
  }

  #draw(): void {
    const status = this.#status
    if (!status) return
    const states: (string | null)[] = [...new Set([...status.states.map(({ state }) => state), ...this.#named])]
    if (status.pictures.some(({ state }) => state === null)) states.push(null)
    const wanted = JSON.stringify([status.zone, status.clip, status.pictures, states, this.#chosen, [...this.#opened]])
    if (wanted === this.#shown) return
    this.#shown = wanted
    const [heading, note] = this.element.firstElementChild!.children
    setText(heading!, text.title(nounOf(status)))
    setText(note!, states.length > 0 ? text.drop(nounOf(status)) : text.none(nounOf(status)))
    const focused = (document.activeElement as HTMLElement | null)?.dataset['picture']
    this.#groups.replaceChildren(...states.map((state) => this.#group(state, status, states)))
    if (focused) this.#groups.querySelector<HTMLElement>(`[data-picture="${focused}"]`)?.focus({ preventScroll: true })
  }

  #group(state: string | null, status: TeachStatus, states: readonly (string | null)[]): HTMLElement {
    const { pictures } = status
    const noun = nounOf(status)
    const own = pictures.filter((picture) => picture.state === state).reverse()
    const seen = this.#opened.has(state) ? own : own.slice(0, shownAtOnce)
    const more = el('button', { type: 'button', class: 'quiet' }, text.more(own.length - seen.length))
    more.addEventListener('click', () => {
      this.#opened.add(state)
      this.#draw()
    })
    const name = state ?? teachText.none
    const section = el(
      'section',
      { class: 'taught-group', 'aria-label': name },
      el(
        'div',
        { class: 'panel-head' },
        el('h3', {}, name),
        el('span', { class: 'note' }, teachText.count(own.length, noun)),
      ),
      el('ul', { class: 'thumbs' }, ...seen.map((picture) => this.#item(picture, states))),
      seen.length < own.length ? more : null,
      el(
        'div',
        { class: 'taught-foot' },
        fileInput(state, this.#events, noun),
        ...(state === null || own.length === 0 ? [] : this.#stateButtons(state, own.length, status)),
      ),
    )
    allowDrop(section, (files) => this.#events.onFiles(state, files))
    return section
  }

  #stateButtons(state: string, count: number, status: TeachStatus): HTMLElement[] {
    const noun = nounOf(status)
    const others = status.states.flatMap((each) => (each.state === state ? [] : [each.state]))
    const rename = el('button', { type: 'button', class: 'quiet', 'aria-label': text.renameOf(state) }, text.rename)
    const remove = el(
      'button',
      { type: 'button', class: 'quiet danger', 'aria-label': text.deleteOf(state) },
      text.delete,
    )
    rename.addEventListener('click', () => void this.#rename(state, others, noun))
    remove.addEventListener('click', () => {
      void askSure(text.sure(state, count, noun)).then((isSure) => isSure && this.#events.onDelete(state))
    })
    return [rename, remove]
  }

  async #rename(state: string, others: readonly string[], noun: Noun): Promise<void> {
    const { cancel, newName, rename, renameHint, renameOf } = text
    const given = await ask({
      title: renameOf(state),
      hint: renameHint,
      field: newName,
      value: state,
      yes: rename,
      no: cancel,
      type: 'text',
      offered: others,
    })
    const to = given?.trim() ?? ''
    if (to === '' || to === state) return
    if (others.includes(to) && !(await askSure(text.joins(state, to, noun)))) return
    this.#events.onRename(state, to)
  }

  #item(picture: TaughtPicture, states: readonly (string | null)[]): HTMLElement {
    const { id, label, score, state, doubt } = picture
    const isChosen = id === this.#chosen
    const isWrong = (label !== null && label !== state) || doubt !== null
    // A head tells nothing of pictures of none of the states.
    const name = label ?? (state === null ? '' : text.fresh)
    const said = name === '' ? null : called(name, label === null ? null : score, isWrong)
    const words = text.of(state ?? teachText.none, said?.textContent ?? '', nounOf(this.#status!))
    const button = el(
      'button',
      { type: 'button', class: 'thumb', 'aria-label': words, 'aria-expanded': String(isChosen), 'data-picture': id },
      thumbnail(this.#events.pathOf(id), ''),
      said,
    )
    button.addEventListener('click', () => {
      this.#chosen = isChosen ? null : id
      this.#draw()
    })
    return el('li', {}, button, isChosen ? this.#actions(picture, states) : null)
  }

  #actions({ id, state }: TaughtPicture, states: readonly (string | null)[]): HTMLElement {
    const others = states
      .filter((other) => other !== state)
      .map((other) => {
        const move = el('button', { type: 'button' }, `${text.moveTo} ${other ?? teachText.none}`)
        move.addEventListener('click', () => this.#events.onMove(id, other))
        return move
      })
    const remove = el('button', { type: 'button', class: 'quiet danger' }, text.remove)
    remove.addEventListener('click', () => this.#events.onRemove(id))
    return el('div', { class: 'thumb-actions' }, ...others, remove)
  }
}

function fileInput(state: string | null, { onFiles }: PictureEvents, noun: Noun): HTMLElement {
  const label = text.files(state ?? teachText.none)
  const input = el('input', {
    type: 'file',
    multiple: true,
    accept: noun === 'clip' ? 'image/gif,image/webp,image/avif,.mjpeg,.mjpg,.gcrec' : 'image/*',
    'aria-label': label,
    class: 'visually-hidden',
  })
  input.addEventListener('change', () => {
    onFiles(state, [...(input.files ?? [])])
    input.value = ''
  })
  return el('label', { class: 'file-button' }, input, text.add)
}

function allowDrop(element: HTMLElement, onFiles: (files: readonly File[]) => void): void {
  element.addEventListener('dragover', (event) => {
    event.preventDefault()
    element.classList.add('is-target')
  })
  element.addEventListener('dragleave', () => element.classList.remove('is-target'))
  element.addEventListener('drop', (event) => {
    event.preventDefault()
    element.classList.remove('is-target')
    if (event.dataTransfer) void droppedFiles(event.dataTransfer).then(onFiles)
  })
}
