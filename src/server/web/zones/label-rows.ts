/** Settings by label as rows of two: how long a label must hold before it is told, and which labels may follow it. */
import { el, freshId } from '../dom.js'
import { text } from '../text.js'
import type { ValueField } from './trigger-field.js'

/** A setting by label; undefined for none. */
export interface LabelField<T> extends ValueField<T | undefined> {
  /** Labels of the zone's model, which the field offers. */
  labels(labels: readonly string[]): void
}

/** A label and what is set for it. */
type Row = readonly [label: string, value: string]

interface RowsOptions<T> {
  readonly words: { readonly add: string; readonly label: string; readonly value: string; readonly example: string }
  /** The value is a label too. */
  readonly isOfLabels: boolean
  readonly rowsOf: (setting: T) => readonly Row[]
  /** Of rows with a label, at least one. */
  readonly settingOf: (rows: readonly Row[]) => T
  readonly onChange: () => void
}

/** A browser is slow with a list of all classes of a large model; typing narrows it down. */
const mostOffered = 2000

/** Times by label. */
export function createDwellField(onChange: () => void): LabelField<Readonly<Record<string, string>>> {
  return createLabelRows({
    words: { add: text.zones.dwellAdd, label: text.zones.dwellLabel, value: text.zones.dwellTime, example: '30s' },
    isOfLabels: false,
    rowsOf: (times) => Object.entries(times),
    settingOf: (rows) => Object.fromEntries(rows),
    onChange,
  })
}

/** Labels that may follow a label: a row for each pair. A label alone is followed by no other. */
export function createTransitionsField(onChange: () => void): LabelField<Readonly<Record<string, readonly string[]>>> {
  return createLabelRows({
    words: {
      add: text.zones.transitionsAdd,
      label: text.zones.transitionsFirst,
      value: text.zones.transitionsNext,
      example: text.zones.transitionsNext,
    },
    isOfLabels: true,
    rowsOf: (allowed) =>
      Object.entries(allowed).flatMap(([label, next]): Row[] =>
        next.length === 0 ? [[label, '']] : next.map((each) => [label, each]),
      ),
    settingOf(rows) {
      const allowed = new Map<string, string[]>()
      for (const [label, next] of rows) allowed.set(label, [...(allowed.get(label) ?? []), ...(next ? [next] : [])])
      return Object.fromEntries(allowed)
    },
    onChange,
  })
}

function createLabelRows<T>({ words, isOfLabels, rowsOf, settingOf, onChange }: RowsOptions<T>): LabelField<T> {
  const offered = el('datalist', { id: freshId() })
  const rows = el('div', { class: 'label-rows' })
  const add = el('button', { type: 'button', class: 'quiet' }, words.add)
  const element = el('div', { class: 'by-label' }, rows, add, offered)

  function row([label, given]: Row): HTMLElement {
    const plain = { type: 'text', spellcheck: 'false', autocomplete: 'off' } as const
    const name = el('input', {
      ...plain,
      list: offered.id,
      'aria-label': words.label,
      placeholder: words.label,
      maxlength: 255,
    })
    const value = el('input', {
      ...plain,
      ...(isOfLabels ? { list: offered.id, maxlength: 255 } : { maxlength: 20 }),
      placeholder: words.example,
      'aria-label': words.value,
    })
    const remove = el('button', { type: 'button', class: 'quiet', 'aria-label': text.zones.dwellRemove(label) }, '×')
    ;[name.value, value.value] = [label, given]
    const made = el('div', { class: isOfLabels ? 'label-row is-pair' : 'label-row' }, name, value, remove)
    remove.addEventListener('click', () => {
      made.remove()
      onChange()
    })
    return made
  }
  add.addEventListener('click', () => {
    const made = row(['', ''])
    rows.append(made)
    made.querySelector('input')?.focus()
  })
  element.addEventListener('input', onChange)

  return {
    element,
    get() {
      const entries = [...rows.children].flatMap((each): Row[] => {
        const [name, value] = each.querySelectorAll('input')
        const label = name!.value.trim()
        return label === '' ? [] : [[label, value!.value.trim()]]
      })
      return entries.length > 0 ? settingOf(entries) : undefined
    },
    set(setting) {
      rows.replaceChildren(...(setting === undefined ? [] : rowsOf(setting).map(row)))
    },
    labels(labels) {
      offered.replaceChildren(...labels.slice(0, mostOffered).map((label) => el('option', { value: label })))
    },
  }
}
