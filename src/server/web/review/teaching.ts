/** Teaches a zone what was labelled in review: its own pictures and those that came from folders. */
import type { LiveState } from '../../messages.js'
import { send } from '../api.js'
import { el, freshId, panel, setText } from '../dom.js'
import { Steady } from '../steady.js'
import type { ReviewState } from '../../review-messages.js'
import { reviewText as text } from './text.js'

export interface HandOver {
  readonly element: HTMLElement
  /** The zones that can be taught. */
  live(state: Pick<LiveState, 'cameras'>): void
  /** The pictures that have a label. */
  update(state: ReviewState): void
}

interface HandOverEvents {
  tell(message: string): void
  onFault(error: unknown): void
}

export function createHandOver({ tell, onFault }: HandOverEvents): HandOver {
  const target = el('select', { id: freshId() })
  const counts = el('p', { role: 'status' })
  const teach = el('button', { type: 'button', class: 'primary', disabled: true }, text.teach)
  const row = el('div', { class: 'teach-target' }, el('label', { for: target.id }, text.target), target)
  const element = panel(text.teachTitle, '', row, counts, teach)
  const steady = new Steady<{ readonly key: string; readonly name: string }>()
  let zones: ReviewState['zones'] = {}
  let shown = ''

  function show(): void {
    const labels = new Map<string, number>()
    for (const zone of [target.value, ''])
      for (const [label, pictures] of Object.entries(zones[zone] ?? {}))
        labels.set(label, (labels.get(label) ?? 0) + pictures)
    setText(counts, labels.size === 0 ? text.nothing : text.labels([...labels]))
    teach.disabled = labels.size === 0
  }

  target.addEventListener('change', show)
  teach.addEventListener('click', () => {
    teach.disabled = true
    void send<{ added: number; known: number }>('POST', `/api/teach/${encodeURIComponent(target.value)}/reviewed`, {})
      .then(({ added, known }) => tell(text.taught(added, known)), onFault)
      .finally(show)
  })

  return {
    element,
    live({ cameras }) {
      const now = cameras.flatMap(({ id, hasOwn, zones: own }) => [
        ...(hasOwn ? [{ key: id, name: id }] : []),
        ...own.map(({ key, name }) => ({ key, name: `${id}: ${name}` })),
      ])
      const targets = steady.update(now)
      const wanted = JSON.stringify(targets)
      if (wanted === shown) return
      shown = wanted
      const chosen = target.value
      target.replaceChildren(...targets.map(({ key, name }) => el('option', { value: key }, name)))
      if (targets.some(({ key }) => key === chosen)) target.value = chosen
      show()
    },
    update(state) {
      const isFirst = Object.keys(zones).length === 0
      zones = state.zones
      // The zone with most labels is what people want to teach.
      if (isFirst) {
        const sizes = [...target.options].map(({ value }) => sizeOf(zones[value]))
        const best = sizes.indexOf(Math.max(...sizes))
        if (best >= 0) target.selectedIndex = best
      }
      show()
    },
  }
}

const sizeOf = (labels: Readonly<Record<string, number>> = {}): number =>
  Object.values(labels).reduce((sum, pictures) => sum + pictures, 0)
