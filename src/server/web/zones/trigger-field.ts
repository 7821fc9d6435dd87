/** When a zone looks, as a choice with what it needs: an interval, a cron line, a GPIO line. */
import { el } from '../dom.js'
import { text } from '../text.js'

export interface ValueField<T> {
  readonly element: HTMLElement
  get(): T
  /** Undefined: the default. */
  set(value: T): void
}

type Kind = keyof typeof text.zones.triggers

/** What a kind needs beside its name, with an example; the others need nothing. */
const needs: Readonly<Partial<Record<Kind, string>>> = {
  motion: '60s',
  every: '10s',
  cron: '*/15 6-20 * * *',
  gpio: 'gpiochip0/17',
}

/** The value is written as in the configuration: `motion`, `{ every: '10s' }`, … */
export function createTriggerField(onChange: () => void): ValueField<unknown> {
  const kinds = Object.keys(text.zones.triggers) as Kind[]
  const kind = el(
    'select',
    { 'aria-label': text.zones.fields.trigger },
    ...kinds.map((each) => el('option', { value: each }, text.zones.triggers[each])),
  )
  const need = el('input', { type: 'text', spellcheck: 'false', autocomplete: 'off', maxlength: 200 })
  const element = el('div', { class: 'pair' }, kind, need)

  function shape(): void {
    const example = needs[kind.value as Kind]
    need.toggleAttribute('hidden', example === undefined)
    need.placeholder = example ?? ''
    need.setAttribute('aria-label', text.zones.triggerNeeds[kind.value as keyof typeof text.zones.triggerNeeds] ?? '')
  }
  kind.addEventListener('change', () => {
    need.value = needs[kind.value as Kind] ?? ''
    shape()
    onChange()
  })
  need.addEventListener('input', onChange)
  shape()

  return {
    element,
    get() {
      const given = need.value.trim()
      switch (kind.value as Kind) {
        case 'always':
          return undefined
        case 'motion':
          return { motion: { maxIdle: given } }
        case 'command':
          return 'command'
        default:
          return { [kind.value]: given }
      }
    },
    set(value) {
      const [name, given] = read(value)
      kind.value = name
      need.value = given
      shape()
    },
  }
}

function read(value: unknown): [kind: Kind, need: string] {
  if (value === undefined || value === 'always') return ['always', '']
  if (typeof value === 'string') return [value as Kind, needs[value as Kind] ?? '']
  const [[name, given] = ['always', '']] = Object.entries(value as Readonly<Record<string, unknown>>)
  const text = name === 'motion' ? (given as { readonly maxIdle: string }).maxIdle : given
  return [name as Kind, String(text)]
}
