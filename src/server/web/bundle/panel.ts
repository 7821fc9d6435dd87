/** A new model of the node: how it compares with the one that serves, and the two next steps. Hidden while none waits. */
import { getJson, send } from '../api.js'
import { askSure } from '../dialogs.js'
import { el, setText } from '../dom.js'
import { thumbnail } from '../thumbnail.js'
import type { BundleState, ShadowState } from '../../bundle-messages.js'
import { bundleText as text } from './text.js'

export interface BundleEvents {
  onFault(error: unknown): void
  tell(message: string): void
}

const askEveryMs = 5000

export class BundlePanel {
  readonly #events: BundleEvents
  readonly #title = el('h2')
  readonly #lead = el('p', { class: 'note' })
  readonly #facts = el('dl', { class: 'facts' })
  readonly #changes = el('ul', { class: 'bundle-changes' })
  readonly #pictures = el('div', { class: 'bundle-pictures' })
  readonly #confirm = el('button', { type: 'button', class: 'primary' }, text.confirm.shadow)
  readonly #rollback = el('button', { type: 'button' }, text.rollback.shadow)
  readonly element: HTMLElement
  #state: BundleState | null = null
  /** What the pictures show at present. */
  #shown = ''

  constructor(events: BundleEvents) {
    this.#events = events
    const buttons = el('div', { class: 'zone-tools' }, this.#confirm, this.#rollback)
    this.element = el(
      'section',
      { class: 'panel bundle', 'aria-label': text.title.shadow, hidden: true },
      this.#title,
      this.#lead,
      this.#facts,
      this.#changes,
      this.#pictures,
      buttons,
    )
    this.#confirm.addEventListener('click', () => void this.#step('confirm').catch(events.onFault))
    this.#rollback.addEventListener('click', () => void this.#step('rollback').catch(events.onFault))
    setInterval(() => {
      if (!document.hidden) void this.load()
    }, askEveryMs)
  }

  /** Asks the node. A node that cannot be reached says so elsewhere on the page. */
  async load(): Promise<void> {
    const state = await getJson<BundleState>('/api/bundle').catch(() => null)
    if (state) this.#show(state)
  }

  #show(state: BundleState): void {
    this.#state = state
    const { state: phase, fault, shadow } = state
    this.element.toggleAttribute('hidden', phase === 'none' || (phase === 'settled' && fault === null))
    if (phase === 'none') return
    setText(this.#title, text.title[phase])
    this.element.setAttribute('aria-label', text.title[phase])
    setText(this.#lead, text.lead[phase](state))
    for (const button of [this.#confirm, this.#rollback]) button.toggleAttribute('hidden', phase === 'settled')
    if (phase !== 'settled') {
      setText(this.#confirm, text.confirm[phase])
      setText(this.#rollback, text.rollback[phase])
    }
    this.#compare(phase === 'shadow' ? shadow : null)
  }

  #compare(shadow: ShadowState | null): void {
    this.#facts.replaceChildren(...(shadow ? factsOf(shadow) : []))
    const changes = shadow?.changes ?? []
    this.#changes.replaceChildren(...changes.map(({ from, to, count }) => el('li', {}, text.change(from, to, count))))
    const pictures = shadow?.pictures ?? []
    const key = pictures.map(({ number, atMs }) => `${number} ${atMs}`).join()
    if (key === this.#shown) return
    this.#shown = key
    this.#pictures.replaceChildren(
      ...pictures.map(({ number, atMs, from, to }) => {
        const words = text.picture(from, to)
        const image = thumbnail(`/api/bundle/pictures/${number}?at=${atMs}`, words)
        return el('figure', {}, image, el('figcaption', { class: 'note' }, words))
      }),
    )
  }

  async #step(step: 'confirm' | 'rollback'): Promise<void> {
    const phase = this.#state?.state
    if (phase !== 'shadow' && phase !== 'probation') return
    if (step === 'rollback' && !(await askSure(text.sure[phase]))) return
    this.#show(await send<BundleState>('POST', `/api/bundle/${step}`, {}))
    const isOther = step === 'rollback' ? phase === 'probation' : phase === 'shadow'
    this.#events.tell(isOther ? text.restarts : step === 'confirm' ? text.confirmed : text.dropped)
  }
}

function factsOf(shadow: ShadowState): HTMLElement[] {
  const { compared, agreed, failed, servingMs, candidateMs, drift, objection } = shadow
  const rows: [string, string][] =
    compared === 0
      ? [[text.agreement, text.none]]
      : [
          [text.agreement, text.agreed(agreed / compared, compared)],
          [text.time, text.times(candidateMs, servingMs)],
          [text.drift, text.drifts(drift)],
        ]
  if (failed > 0) rows.push([text.failed, text.failedOn(failed)])
  if (objection !== null) rows.push([text.waits, objection])
  return rows.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)])
}
