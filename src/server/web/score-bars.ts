/** The best scores as bars, with the threshold as a line across them. */
import type { CameraState } from '../messages.js'
import { el, setText } from './dom.js'
import { text } from './text.js'
import { score as scoreText } from './time.js'

export interface ScoreBars {
  readonly element: HTMLElement
  /** `label` is emphasized; null while the label is unknown. */
  update(top: CameraState['top'], label: string | null): void
  /** Moves the line, 0 to 1. */
  threshold(value: number): void
}

interface Row {
  readonly item: HTMLElement
  readonly name: HTMLElement
  readonly value: HTMLElement
  readonly bar: HTMLElement
}

export function createScoreBars(): ScoreBars {
  const list = el('ol', { class: 'bars', 'aria-label': text.verdict.best })
  const rows: Row[] = []

  function rowAt(i: number): Row {
    const known = rows[i]
    if (known) return known
    const row = createRow()
    list.append(row.item)
    rows.push(row)
    return row
  }

  return {
    element: list,
    update(top, label) {
      for (const [i, entry] of top.entries()) {
        const row = rowAt(i)
        setText(row.name, entry.label)
        setText(row.value, scoreText(entry.score))
        row.bar.style.width = `${Math.max(entry.score * 100, 0.3)}%`
        row.item.classList.toggle('is-label', entry.label === label)
      }
      for (const [i, row] of rows.entries()) row.item.toggleAttribute('hidden', i >= top.length)
    },
    threshold: (value) => list.style.setProperty('--threshold', `${value * 100}%`),
  }
}

function createRow(): Row {
  const name = el('span', { class: 'name' })
  const value = el('span', { class: 'value' })
  const bar = el('span', { class: 'bar', 'aria-hidden': 'true' })
  const words = el('span', { class: 'words' }, name, value)
  const track = el('span', { class: 'track', 'aria-hidden': 'true' }, bar)
  return { item: el('li', {}, words, track), name, value, bar }
}
