/** The labels of the last ten minutes as a band of colours, and the last changes as a list. */
import type { LabelChange } from '../messages.js'
import { el, panel, setText } from './dom.js'
import { text } from './text.js'
import { clockTime, duration, score } from './time.js'

export interface Timeline {
  readonly element: HTMLElement
  /** Replaces the history. */
  set(changes: readonly LabelChange[]): void
  /** The current label. A change is added to the history. */
  now(label: string, score: number, reason: string | null): void
}

const windowMs = 600_000
const listed = 6
const hues = 8

/** The hue of a label: one of a few, always the same for the same label. */
function hueOf(label: string): number {
  let hash = 0
  for (const letter of label) hash = (hash * 31 + letter.codePointAt(0)!) >>> 0
  return hash % hues
}

export function createTimeline(): Timeline {
  const band = el('div', { class: 'band', 'aria-hidden': 'true' })
  const ticks = el(
    'div',
    { class: 'ticks', 'aria-hidden': 'true' },
    el('span', {}, `-10 ${text.units.min}`),
    el('span', {}, `-5 ${text.units.min}`),
    el('span', {}, clockNow()),
  )
  const list = el('ol', { class: 'changes', 'aria-label': text.history.list })
  const empty = el('p', { class: 'note' }, text.history.empty)
  const element = panel(text.history.title, text.history.window, band, ticks, empty, list)
  let changes: LabelChange[] = []
  let drawnMs = 0

  function draw(): void {
    const now = Date.now()
    drawnMs = now
    const segments = changes
      .map((change, i) => ({ ...change, endMs: changes[i + 1]?.atMs ?? now }))
      .filter(({ endMs }) => endMs > now - windowMs)
    band.replaceChildren(
      ...segments.map(({ label, reason, atMs, endMs }) => {
        const start = Math.max(atMs, now - windowMs)
        const segment = el('span', {
          class: reason ? 'none' : `hue${hueOf(label)}`,
          title: `${label}, ${clockTime(atMs)}`,
        })
        segment.style.left = `${((start - now + windowMs) / windowMs) * 100}%`
        segment.style.width = `${Math.max(((endMs - start) / windowMs) * 100, 0.25)}%`
        return segment
      }),
    )
    setText(ticks.lastElementChild!, clockNow())
    empty.toggleAttribute('hidden', changes.length > 0)
    list.replaceChildren(
      ...changes
        .slice(-listed)
        .reverse()
        .map(({ label, reason, score: value, atMs }) =>
          el(
            'li',
            {},
            el('span', { class: `dot ${reason ? 'none' : `hue${hueOf(label)}`}`, 'aria-hidden': 'true' }),
            el('span', { class: 'name' }, label),
            el('span', { class: 'value' }, reason ? (text.verdict.reasons[reason] ?? reason) : score(value)),
            el(
              'time',
              { datetime: new Date(atMs).toISOString(), title: text.history.ago(duration(now - atMs)) },
              clockTime(atMs),
            ),
          ),
        ),
    )
  }

  return {
    element,
    set(next) {
      changes = [...next]
      draw()
    },
    now(label, value, reason) {
      const last = changes.at(-1)
      const isStart = reason === 'starting' || reason === 'settling'
      const isNew = last ? last.label !== label || last.reason !== reason : true
      if (isNew && !isStart) changes = [...changes.slice(-499), { atMs: Date.now(), label, score: value, reason }]
      if ((isNew && !isStart) || Date.now() - drawnMs > 1000) draw()
    },
  }
}

const clockNow = (): string => clockTime(Date.now()).slice(0, 5)
