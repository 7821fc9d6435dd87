/** How long each label must hold before it is told: rows of a label and a time. */
import { el, freshId } from '../dom.js'
import { text } from '../text.js'
import type { ValueField } from './trigger-field.js'

/** Times by label; undefined for none. */
export type DwellTimes = Readonly<Record<string, string>> | undefined

export interface DwellField extends ValueField<DwellTimes> {
  /** Labels of the zone's model, which the field offers. */
  labels(labels: readonly string[]): void
}

/** A browser is slow with a list of all classes of a large model; typing narrows it down. */
const mostOffered = 2000

export function createDwellField(onChange: () => void): DwellField {
  const offered = el('datalist', { id: freshId() })
  const rows = el('div', { class: 'dwell-rows' })
  const add = el('button', { type: 'button', class: 'quiet' }, text.zones.dwellAdd)
  const element = el('div', { class: 'dwell' }, rows, add, offered)

  function row(label: string, time: string): HTMLElement {
    const plain = { type: 'text', spellcheck: 'false', autocomplete: 'off' } as const
    const name = el('input', { ...plain, list: offered.id, 'aria-label': text.zones.dwellLabel, maxlength: 255 })
    const value = el('input', { ...plain, 'aria-label': text.zones.dwellTime, placeholder: '30s', maxlength: 20 })
    const remove = el('button', { type: 'button', class: 'quiet', 'aria-label': text.zones.dwellRemove(label) }, '×')
    ;[name.value, value.value] = [label, time]
    const made = el('div', { class: 'dwell-row' }, name, value, remove)
    remove.addEventListener('click', () => {
      made.remove()
      onChange()
    })
    return made
  }
  add.addEventListener('click', () => {
    const made = row('', '')
    rows.append(made)
    made.querySelector('input')?.focus()
  })
  element.addEventListener('input', onChange)

  return {
    element,
    get() {
      const entries = [...rows.children].flatMap((each): [string, string][] => {
        const [name, value] = each.querySelectorAll('input')
        const label = name!.value.trim()
        return label === '' ? [] : [[label, value!.value.trim()]]
      })
      return entries.length > 0 ? Object.fromEntries(entries) : undefined
    },
    set(dwell = {}) {
      rows.replaceChildren(...Object.entries(dwell).map(([label, time]) => row(label, time)))
    },
    labels(labels) {
      offered.replaceChildren(...labels.slice(0, mostOffered).map((label) => el('option', { value: label })))
    },
  }
}
