/** What asks for an answer: the token, and a note on a picture that is judged wrongly. And what is said in passing. */
import { el, freshId, say } from './dom.js'
import { text } from './text.js'

/** Resolves with the note, or null when it was cancelled. */
export function askNote(): Promise<string | null> {
  const { title, hint, note, keep, cancel } = text.wrong
  return ask({ title, hint, field: note, yes: keep, no: cancel, type: 'text' })
}

export function askToken(isSecond: boolean): Promise<string | null> {
  const { title, hint, wrong, field, open } = text.token
  return ask({ title, hint: isSecond ? wrong : hint, field, yes: open, no: null, type: 'password' })
}

function ask({
  title,
  hint,
  field,
  yes,
  no,
  type,
}: {
  title: string
  hint: string
  field: string
  yes: string
  no: string | null
  type: string
}): Promise<string | null> {
  const [titleId, hintId, inputId] = [freshId(), freshId(), freshId()]
  const input = el('input', { type, id: inputId, maxlength: 500, autocomplete: 'off', autofocus: true })
  const form = el(
    'form',
    { method: 'dialog' },
    el('h2', { id: titleId }, title),
    el('p', { class: 'note', id: hintId }, hint),
    el('label', { for: inputId }, field),
    input,
    el(
      'div',
      { class: 'row' },
      ...(no === null ? [] : [el('button', { type: 'submit', value: 'no', class: 'quiet', formnovalidate: true }, no)]),
      el('button', { type: 'submit', value: 'yes', class: 'primary' }, yes),
    ),
  )
  const dialog = el('dialog', { 'aria-labelledby': titleId, 'aria-describedby': hintId }, form)
  document.body.append(dialog)
  // Enter in the field means yes, although the first button says no.
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return
    event.preventDefault()
    dialog.close('yes')
  })
  dialog.showModal()
  return new Promise((resolve) =>
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(dialog.returnValue === 'yes' ? input.value : null)
    }),
  )
}

export interface Toasts {
  readonly element: HTMLElement
  tell(message: string, isFault?: boolean): void
}

export function createToasts(): Toasts {
  const element = el('div', { class: 'toast', role: 'status', 'aria-live': 'polite' })
  let timer = 0
  return {
    element,
    tell(message, isFault = false) {
      clearTimeout(timer)
      say(element, message)
      element.dataset['level'] = isFault ? 'bad' : 'ok'
      element.classList.add('is-shown')
      timer = window.setTimeout(
        () => {
          element.classList.remove('is-shown')
          say(element, '')
        },
        isFault ? 8000 : 4000,
      )
    },
  }
}
