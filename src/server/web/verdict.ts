/** The label in large letters, and the panel with the best scores and the threshold. */
import type { CameraState } from '../messages.js'
import { el, freshId, panel, setText } from './dom.js'
import { createScoreBars } from './score-bars.js'
import { text } from './text.js'
import { createThresholdSlider } from './threshold.js'
import { duration, score as scoreText } from './time.js'

export interface Verdict {
  /** The label, large. */
  readonly headline: HTMLElement
  /** The best scores and the threshold. */
  readonly scores: HTMLElement
  update(camera: CameraState): void
}

/** `onThreshold` is called while the user moves the slider (`isFinal` false) and when the slider is released. */
export function createVerdict(onThreshold: (value: number, isFinal: boolean) => void): Verdict {
  const headline = createHeadline()
  const bars = createScoreBars()
  const slider = createThresholdSlider({ onShown: (value) => bars.threshold(value), onMoved: onThreshold })
  const scores = panel(text.verdict.best, '', bars.element, slider.element)
  scores.classList.add('scores')
  return {
    headline: headline.element,
    scores,
    update(camera) {
      headline.update(camera)
      bars.update(camera.top, camera.reason === null ? camera.label : null)
      slider.set(camera.threshold)
    },
  }
}

interface Headline {
  readonly element: HTMLElement
  update(camera: CameraState): void
}

function createHeadline(): Headline {
  const id = freshId()
  const label = el('p', { class: 'label', id })
  const score = el('span', { class: 'score' })
  const detail = el('p', { class: 'detail' })
  // ImageNet labels are lists of synonyms. Only the first one is large, so that it can be read from a distance.
  const synonyms = el('p', { class: 'synonyms' })
  const teaching = el('p', { class: 'fault', role: 'status', hidden: true })
  // A screen reader reads this when the label changes. The score is outside, because it changes with every frame.
  const settled = el('p', { class: 'visually-hidden', 'aria-live': 'polite', 'data-test': 'settled' })
  const firstLine = el('div', { class: 'headline' }, label, score)
  const attributes = { class: 'panel verdict', 'aria-labelledby': id }
  const element = el('section', attributes, firstLine, synonyms, detail, teaching, settled)
  return {
    element,
    update({ label: name, score: value, reason, sinceMs, needsTeaching }) {
      teaching.toggleAttribute('hidden', needsTeaching === null)
      setText(teaching, needsTeaching === null ? '' : text.needsTeaching(needsTeaching))
      const isUnknown = reason !== null
      const why = isUnknown ? (text.verdict.reasons[reason] ?? reason) : ''
      const [first = name, ...others] = isUnknown ? [text.verdict.unknown] : name.split(', ')
      setText(label, first)
      setText(synonyms, others.join(', '))
      synonyms.toggleAttribute('hidden', others.length === 0)
      element.classList.toggle('is-unknown', isUnknown)
      setText(settled, isUnknown ? `${text.verdict.unknown}: ${why}` : name)
      setText(score, isUnknown ? '' : scoreText(value))
      setText(detail, isUnknown ? why : text.verdict.since(duration(Date.now() - sinceMs)))
    },
  }
}
