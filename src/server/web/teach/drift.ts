/** Why a zone needs teaching, with pictures that show it: a person says what each shows. Hidden while the zone needs none. */
import type { TeachStatus } from '../../teach-messages.js'
import { el, panel, setText } from '../dom.js'
import { thumbnail } from '../thumbnail.js'
import { clockTime } from '../time.js'
import { teachText } from './text.js'

const text = teachText.drift

/** An example and what it shows; null: none of the states. */
export interface NamedExample {
  readonly example: number
  readonly state: string | null
}

export interface Drift {
  readonly element: HTMLElement
  update(status: TeachStatus): void
}

interface DriftEvents {
  readonly pathOf: (example: number) => string
  onTeach(examples: readonly NamedExample[]): Promise<void>
}

/** What a choice holds for none of the states; no state is empty. */
const none = ' '

export function createDrift({ pathOf, onTeach }: DriftEvents): Drift {
  const why = el('p', {})
  const pictures = el('ul', { class: 'thumbs' })
  const teach = el('button', { type: 'button', class: 'primary', disabled: true }, text.teach)
  const element = panel(text.title, '', why, pictures, el('div', { class: 'row' }, teach))
  element.classList.add('drift')
  let choices: readonly HTMLSelectElement[] = []
  let shown = ''

  const named = (): readonly NamedExample[] =>
    choices.flatMap(({ value }, example) => (value === '' ? [] : [{ example, state: value === none ? null : value }]))
  teach.addEventListener('click', () => {
    teach.disabled = true
    void onTeach(named()).finally(() => {
      teach.disabled = named().length === 0
    })
  })

  function choice(index: number, states: readonly string[]): HTMLSelectElement {
    const select = el(
      'select',
      { 'aria-label': text.example(index + 1) },
      el('option', { value: '' }, text.unsaid),
      ...states.map((state) => el('option', { value: state }, state)),
      el('option', { value: none }, teachText.none),
    )
    select.addEventListener('change', () => {
      teach.disabled = named().length === 0
    })
    return select
  }

  return {
    element,
    update({ zone, states, needsTeaching }) {
      element.toggleAttribute('hidden', needsTeaching === null)
      if (needsTeaching === null) return
      setText(why, text.why(needsTeaching.why, clockTime(needsTeaching.sinceMs)))
      const names = states.map(({ state }) => state)
      const wanted = JSON.stringify([zone, needsTeaching.sinceMs, needsTeaching.examples, names])
      if (wanted === shown) return
      shown = wanted
      choices = Array.from({ length: needsTeaching.examples }, (_, i) => choice(i, names))
      const items = choices.map((select, i) =>
        el('li', {}, el('div', { class: 'thumb' }, thumbnail(pathOf(i), text.example(i + 1))), select),
      )
      pictures.replaceChildren(...items)
      teach.disabled = true
      teach.toggleAttribute('hidden', choices.length === 0)
    },
  }
}
