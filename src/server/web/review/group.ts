/** One group of alike pictures: pictures that can be left out, and labels for the others. */
import { el, freshId } from '../dom.js'
import { called, thumbnail } from '../thumbnail.js'
import type { ReviewGroup, ReviewPicture } from '../../review-messages.js'
import { reviewText as text } from './text.js'

export interface GroupEvents {
  /** Gives the pictures of the group a label, except some. */
  onLabel(group: ReviewGroup, label: string, except: readonly string[]): void
  onDiscard(pictures: readonly string[]): void
}

/** More pictures of a group look like those. */
const shownAtOnce = 24

/** `labels` are those in use: each is one press away. */
export function createGroup(
  group: ReviewGroup,
  { number, labels, onLabel, onDiscard }: GroupEvents & { readonly number: number; readonly labels: readonly string[] },
): HTMLElement {
  const leftOut = new Set<string>()
  const id = freshId()
  const offered = [...new Set([...(group.suggestion === null ? [] : [group.suggestion]), ...labels])]
  const label = (name: string): void => onLabel(group, name, [...leftOut])
  const buttons = offered.slice(0, 12).map((name, i) => {
    const button = el('button', { type: 'button', class: i === 0 ? 'primary' : '' }, text.label(name))
    button.addEventListener('click', () => label(name))
    return button
  })
  const discard = el('button', { type: 'button', class: 'quiet danger' }, text.discard)
  discard.addEventListener('click', () => {
    const names = group.pictures.flat().map(({ name }) => name)
    onDiscard(names.filter((name) => !leftOut.has(name)))
  })
  const facts = [
    text.group(group.size, group.distinct),
    ...(group.suggestion === null ? [] : [text.said(group.suggestion)]),
  ]
  return el(
    'section',
    { class: 'panel review-group', 'aria-labelledby': id },
    el(
      'div',
      { class: 'panel-head' },
      el('h2', { id }, text.groupName(number)),
      el('span', { class: 'note' }, facts.join(', ')),
    ),
    el('ul', { class: 'thumbs' }, ...group.pictures.slice(0, shownAtOnce).map((twins) => item(twins, leftOut))),
    el('div', { class: 'label-buttons' }, ...buttons, otherLabel(label), discard),
  )
}

/** Nearly equal pictures are shown as one, and left out together. */
function item(twins: readonly ReviewPicture[], leftOut: Set<string>): HTMLElement {
  const [first] = twins
  const { name, said, why, score } = first!
  const short = said.split(', ')[0]!
  const words = said === '' ? '' : `${short} ${score.toFixed(2)}`
  const button = el(
    'button',
    {
      type: 'button',
      class: 'thumb',
      'aria-pressed': 'false',
      'aria-label': text.leaveOut(words),
      title: text.why[why] ?? why,
    },
    thumbnail(`/api/review/pictures/${name}`, ''),
    said === '' ? null : called(short, score),
    twins.length > 1 ? el('span', { class: 'twins' }, text.twins(twins.length)) : null,
  )
  button.addEventListener('click', () => {
    const isOut = button.getAttribute('aria-pressed') !== 'true'
    button.setAttribute('aria-pressed', String(isOut))
    for (const twin of twins) {
      if (isOut) leftOut.add(twin.name)
      else leftOut.delete(twin.name)
    }
  })
  return el('li', {}, button)
}

function otherLabel(onLabel: (label: string) => void): HTMLElement {
  const input = el('input', {
    type: 'text',
    maxlength: 200,
    autocomplete: 'off',
    'aria-label': text.other,
    placeholder: text.other,
  })
  const form = el('form', { class: 'other-label' }, input, el('button', { type: 'submit' }, text.give))
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    if (input.value.trim() !== '') onLabel(input.value.trim())
  })
  return form
}
