/** The label in large letters, the best scores as bars, and the threshold on the same scale. */
import type { CameraState } from '../messages.js'
import { el, freshId, panel, say } from './dom.js'
import { text } from './text.js'
import { duration, score as scoreText } from './time.js'

export interface Verdict {
  /** The label, large. */
  readonly headline: HTMLElement
  /** The best scores and the threshold. */
  readonly scores: HTMLElement
  update(camera: CameraState): void
}

type Row = {
  readonly item: HTMLElement
  readonly name: HTMLElement
  readonly value: HTMLElement
  readonly bar: HTMLElement
}

/** `onThreshold` is called while the slider moves and when it is let go. */
export function createVerdict(onThreshold: (value: number, isFinal: boolean) => void): Verdict {
  const [headingId, helpId] = [freshId(), freshId()]
  const label = el('p', { class: 'label', id: headingId })
  const score = el('span', { class: 'score' })
  const detail = el('p', { class: 'detail' })
  // Labels of ImageNet are lists of synonyms: the first one large, so that it can be read from the foot of the ladder.
  const synonyms = el('p', { class: 'synonyms' })
  // Read out when the label changes, not with every frame: the score is outside.
  const settled = el('p', { class: 'visually-hidden', 'aria-live': 'polite', 'data-test': 'settled' })
  const bars = el('ol', { class: 'bars', 'aria-label': text.verdict.best })
  const slider = el('input', { type: 'range', min: 0, max: 1, step: 0.01, id: freshId(), 'aria-describedby': helpId })
  const output = el('output', { for: slider.id })
  const threshold = el(
    'div',
    { class: 'threshold' },
    el('label', { for: slider.id }, text.verdict.threshold),
    slider,
    output,
    el('p', { class: 'note', id: helpId }, text.verdict.thresholdHelp),
  )
  const headline = el(
    'section',
    { class: 'panel verdict', 'aria-labelledby': headingId },
    el('div', { class: 'headline' }, label, score),
    synonyms,
    detail,
    settled,
  )
  const scores = panel(text.verdict.best, '', bars, threshold)
  scores.classList.add('scores')
  const rows: Row[] = []
  let heldUntilMs = 0

  function place(value: number): void {
    bars.style.setProperty('--threshold', `${value * 100}%`)
    say(output, value.toFixed(2))
  }
  slider.addEventListener('input', () => {
    heldUntilMs = performance.now() + 1500
    place(slider.valueAsNumber)
    onThreshold(slider.valueAsNumber, false)
  })
  slider.addEventListener('change', () => onThreshold(slider.valueAsNumber, true))

  function rowOf(i: number): Row {
    const made = rows[i]
    if (made) return made
    const [name, value, bar] = [
      el('span', { class: 'name' }),
      el('span', { class: 'value' }),
      el('span', { class: 'bar', 'aria-hidden': 'true' }),
    ]
    const item = el(
      'li',
      {},
      el('span', { class: 'words' }, name, value),
      el('span', { class: 'track', 'aria-hidden': 'true' }, bar),
    )
    bars.append(item)
    return (rows[i] = { item, name, value, bar })
  }

  return {
    headline,
    scores,
    update({ label: name, score: value, reason, sinceMs, top, threshold: level }) {
      const isUnknown = reason !== null
      const [first = name, ...others] = isUnknown ? [text.verdict.unknown] : name.split(', ')
      say(label, first)
      say(synonyms, others.join(', '))
      synonyms.toggleAttribute('hidden', others.length === 0)
      headline.classList.toggle('is-unknown', isUnknown)
      say(settled, isUnknown ? `${text.verdict.unknown}: ${text.verdict.reasons[reason] ?? reason}` : name)
      say(score, isUnknown ? '' : scoreText(value))
      say(
        detail,
        isUnknown ? (text.verdict.reasons[reason] ?? reason) : text.verdict.since(duration(Date.now() - sinceMs)),
      )
      for (const [i, entry] of top.entries()) {
        const row = rowOf(i)
        say(row.name, entry.label)
        say(row.value, scoreText(entry.score))
        row.bar.style.width = `${Math.max(entry.score * 100, 0.3)}%`
        row.item.classList.toggle('is-label', !isUnknown && entry.label === name)
      }
      for (const [i, row] of rows.entries()) row.item.toggleAttribute('hidden', i >= top.length)
      // Another editor's value is taken over, except under the finger that moves this one.
      if (performance.now() > heldUntilMs && Math.abs(slider.valueAsNumber - level) > 1e-6) slider.value = String(level)
      if (performance.now() > heldUntilMs) place(level)
    },
  }
}
