/** The Review tab: the collector's switch, and groups of pictures without a label. */
import type { LiveState } from '../../messages.js'
import { getJson, RequestError, send } from '../api.js'
import { askSure } from '../dialogs.js'
import { el, panel, setText } from '../dom.js'
import { saveFile } from '../thumbnail.js'
import { createGroup } from './group.js'
import type { ReviewGroup, ReviewState } from '../../review-messages.js'
import { createHandOver, type HandOver } from './teaching.js'
import { reviewText as text } from './text.js'

export interface ReviewTabEvents {
  onFault(error: unknown): void
  tell(message: string): void
}

const stateEveryMs = 3000

export class ReviewTab {
  readonly #events: ReviewTabEvents
  readonly #counts = el('p', { role: 'status' })
  readonly #fault = el('p', { class: 'fault', hidden: true })
  readonly #switch = el('button', { type: 'button', class: 'primary' }, text.on)
  readonly #again = el('button', { type: 'button' }, text.again)
  readonly #back = el('button', { type: 'button', disabled: true }, text.back)
  readonly #export = el('button', { type: 'button', class: 'quiet', disabled: true }, text.exportPictures)
  readonly #told = el('p', { class: 'note', role: 'status' })
  readonly #groups = el('div', { class: 'review-groups' })
  readonly #handOver: HandOver
  readonly element: HTMLElement
  #state: ReviewState | null = null
  /** Pictures that were labelled last. */
  #last: readonly string[] = []
  #isShown = false
  #isLoading = false
  #timer = 0

  constructor(events: ReviewTabEvents) {
    this.#events = events
    const buttons = el('div', { class: 'zone-tools' }, this.#switch, this.#again, this.#back, this.#export)
    const head = panel(
      text.title,
      '',
      el('p', { class: 'note' }, text.hint),
      this.#counts,
      this.#fault,
      buttons,
      this.#told,
    )
    this.#handOver = createHandOver(events)
    this.element = el('div', { class: 'review' }, head, this.#groups, this.#handOver.element)
    this.#switch.addEventListener('click', () => void this.#toggle().catch(events.onFault))
    this.#again.addEventListener('click', () => void this.#load())
    this.#export.addEventListener(
      'click',
      () => void saveFile('/api/review/labelled.zip', 'labelled.zip').catch(events.onFault),
    )
    this.#back.addEventListener('click', () => void this.#takeBack().catch(events.onFault))
  }

  show(isShown: boolean): void {
    if (isShown && !this.#isShown) void this.#load()
    this.#isShown = isShown
    clearInterval(this.#timer)
    if (isShown)
      this.#timer = window.setInterval(() => {
        if (!document.hidden) void this.#read().catch(() => undefined)
      }, stateEveryMs)
  }

  /** Zones that can be taught. */
  update(state: Pick<LiveState, 'cameras'>): void {
    this.#handOver.live(state)
  }

  async #toggle(): Promise<void> {
    this.#showState(await send<ReviewState>('PUT', '/api/review/collector', { value: !(this.#state?.isOn ?? false) }))
  }

  async #read(): Promise<ReviewState> {
    const state = await getJson<ReviewState>('/api/review')
    this.#showState(state)
    return state
  }

  #showState(state: ReviewState): void {
    this.#state = state
    this.#handOver.update(state)
    const { isOn, pictures, labelled, bytes, maxBytes, left, fault } = state
    setText(this.#switch, isOn ? text.off : text.on)
    this.#switch.classList.toggle('primary', !isOn)
    setText(
      this.#counts,
      `${text.counts(pictures, labelled, bytes, maxBytes)}${left > 0 ? `; ${text.left(left)}` : ''}`,
    )
    this.#export.disabled = labelled === 0
    setText(this.#fault, fault ?? '')
    this.#fault.toggleAttribute('hidden', fault === null)
  }

  /** Looks at the pictures and groups them again. */
  async #load(): Promise<void> {
    if (this.#isLoading) return
    this.#isLoading = true
    setText(this.#told, text.looking)
    try {
      const { labels } = await this.#read()
      const { groups, waiting } = await getJson<{ groups: ReviewGroup[]; waiting: number }>('/api/review/groups')
      const events = {
        labels,
        onLabel: (group: ReviewGroup, label: string, except: readonly string[]) =>
          void this.#label(group, label, except),
        onDiscard: (names: readonly string[]) => void this.#discard(names),
      }
      this.#groups.replaceChildren(...groups.map((group, i) => createGroup(group, { ...events, number: i + 1 })))
      setText(this.#told, waiting > 0 ? text.waiting(waiting) : groups.length === 0 ? text.empty : text.leaveOutHint)
    } catch (error) {
      setText(this.#told, '')
      this.#events.onFault(error)
    } finally {
      this.#isLoading = false
    }
  }

  async #label(group: ReviewGroup, label: string, except: readonly string[]): Promise<void> {
    try {
      const { pictures } = await send<{ pictures: number }>('POST', `/api/review/groups/${group.id}/label`, {
        label,
        except,
      })
      this.#last = group.pictures.flat().flatMap(({ name }) => (except.includes(name) ? [] : [name]))
      this.#back.disabled = false
      this.#events.tell(text.labelled(pictures, label))
    } catch (error) {
      if (error instanceof RequestError && error.status === 409) this.#events.tell(text.changed)
      else this.#events.onFault(error)
    }
    await this.#load()
  }

  async #takeBack(): Promise<void> {
    const names = this.#last
    if (names.length === 0) return
    this.#last = []
    this.#back.disabled = true
    await send('POST', '/api/review/label', { pictures: names, label: null })
    await this.#load()
  }

  async #discard(pictures: readonly string[]): Promise<void> {
    if (pictures.length === 0 || !(await askSure(text.sure(pictures.length)))) return
    await send('POST', '/api/review/discard', { pictures }).catch(this.#events.onFault)
    await this.#load()
  }
}
