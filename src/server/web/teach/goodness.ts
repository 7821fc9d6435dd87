/** How good what was taught is: accuracy with its interval, the confusion, what is needed, pictures with a wrong state. */
import type { TeachStatus } from '../../teach-messages.js'
import { el, panel, setText } from '../dom.js'
import { thumbnail } from '../thumbnail.js'
import { nounOf, teachText } from './text.js'

const text = teachText.good

export interface Goodness {
  readonly element: HTMLElement
  update(status: TeachStatus): void
}

export function createGoodness({
  pathOf,
  onMove,
}: {
  readonly pathOf: (picture: string) => string
  readonly onMove: (picture: string, state: string) => void
}): Goodness {
  const accuracy = el('p', { class: 'label' })
  const interval = el('span', { class: 'score' })
  const how = el('p', { class: 'note' })
  const advice = el('p', { class: 'advice', role: 'status' })
  const table = el('div', { class: 'confusion' })
  const doubts = el('ol', { class: 'doubts', 'aria-label': text.doubts })
  const doubtsTitle = el('h3', {}, text.doubts)
  const element = panel(
    text.title,
    '',
    el('div', { class: 'headline' }, accuracy, interval),
    how,
    advice,
    table,
    doubtsTitle,
    doubts,
  )
  element.classList.add('goodness')
  let shown = ''

  return {
    element,
    update({ report, clip }) {
      const noun = nounOf({ clip })
      const wanted = JSON.stringify([report, noun])
      if (wanted === shown) return
      shown = wanted
      const isKnown = report !== null && report.accuracy !== null
      setText(accuracy, isKnown ? text.accuracy(report.accuracy!) : '')
      setText(interval, isKnown && report.interval ? text.interval(report.interval) : '')
      setText(how, isKnown ? `${text.how(noun)}; ${text.groups(report.groups, noun)}` : text.unknown(noun))
      setText(advice, report === null ? '' : text.advice(report.enough, report.advice))
      advice.dataset['enough'] = String(report?.enough ?? false)
      table.replaceChildren(...(isKnown ? [confusionTable(report.confusion)] : []))
      const all = report?.doubts ?? []
      for (const part of [doubtsTitle, doubts]) part.toggleAttribute('hidden', all.length === 0)
      doubts.replaceChildren(
        ...all.map(({ id, taught, called }) => {
          const move = el('button', { type: 'button' }, text.move(called))
          move.addEventListener('click', () => onMove(id, called))
          const words = el('span', {}, el('strong', {}, taught), ` ${text.doubt(called)}`)
          return el(
            'li',
            { 'data-picture': id },
            thumbnail(pathOf(id), `${taught}: ${text.doubt(called)}`),
            words,
            move,
          )
        }),
      )
    },
  }
}

/** A row for each taught state, a column for each name; where both are the same the count is right. */
function confusionTable(confusion: Readonly<Record<string, Readonly<Record<string, number>>>>): HTMLElement {
  const states = Object.keys(confusion)
  const called = [...new Set([...states, ...states.flatMap((state) => Object.keys(confusion[state]!))])]
  return el(
    'table',
    {},
    el('caption', { class: 'visually-hidden' }, text.table),
    el('tr', {}, el('th', { scope: 'col' }, text.taught), ...called.map((name) => el('th', { scope: 'col' }, name))),
    ...states.map((state) =>
      el(
        'tr',
        {},
        el('th', { scope: 'row' }, state),
        ...called.map((name) => {
          const count = confusion[state]![name] ?? 0
          const kind = count === 0 ? 'zero' : name === state ? 'right' : 'wrong'
          return el('td', { class: kind }, String(count))
        }),
      ),
    ),
  )
}
