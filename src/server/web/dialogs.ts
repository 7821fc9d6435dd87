/** Dialogs for the token and for the note of a report, and the short messages at the bottom of the page. */
import { el, freshId, setText } from './dom.js'
import { text } from './text.js'

/** What a person says of a picture that is wrong. */
export interface Note {
  readonly note: string
  /** The picture is to be taught at once. */
  readonly isTaught: boolean
}

/**
 * Asks for the note of a report on what was `said`; `states` are offered, and teaching too where there are any. Null when it was
 * cancelled.
 */
export async function askNote(was: string, states: readonly string[]): Promise<Note | null> {
  const { title, note, keep, cancel, teach } = text.wrong
  const hint = text.wrong.hint(was)
  const isTaught = el('input', { type: 'checkbox', checked: true })
  const offer = states.length === 0 ? null : el('label', { class: 'check' }, isTaught, teach)
  const said = await ask({ title, hint, field: note, yes: keep, no: cancel, type: 'text', offered: states, offer })
  return said === null ? null : { note: said, isTaught: offer !== null && isTaught.checked }
}

/** Asks for the token. `isSecond`: the last one was wrong. Resolves with null when it was cancelled. */
export function askToken(isSecond: boolean): Promise<string | null> {
  const { title, hint, wrong, field, open } = text.token
  return ask({ title, hint: isSecond ? wrong : hint, field, yes: open, no: null, type: 'password' })
}

/** Asks before a change; `isLoss`: something is deleted. Resolves with whether the answer is yes. */
export async function askSure(question: Pick<Question, 'title' | 'hint' | 'yes' | 'no' | 'isLoss'>): Promise<boolean> {
  return (await ask({ ...question, field: null, type: 'text' })) !== null
}

/** A question with one field, or with none. */
export interface Question {
  readonly title: string
  readonly hint: string
  /** Label of the field; null: no field. */
  readonly field: string | null
  /** What the field holds at first. */
  readonly value?: string
  readonly yes: string
  /** Null: it cannot be cancelled by a button. */
  readonly no: string | null
  readonly type: 'text' | 'password'
  /** Texts that the field may hold. */
  readonly offered?: readonly string[]
  /** Below the field. */
  readonly offer?: HTMLElement | null
  /** Yes deletes something. */
  readonly isLoss?: boolean
}

/** Asks. Resolves with the text of the field, and with null when it was cancelled. */
export function ask(question: Question): Promise<string | null> {
  const { title, hint, field, value = '', yes, no, type, offered = [], offer = null, isLoss = false } = question
  const [titleId, hintId, inputId, listId] = [freshId(), freshId(), freshId(), freshId()]
  const list = offered.length === 0 ? undefined : listId
  const input = el('input', { type, id: inputId, maxlength: 500, autocomplete: 'off', autofocus: true, value, list })
  const form = el(
    'form',
    { method: 'dialog' },
    el('h2', { id: titleId }, title),
    el('p', { class: 'note', id: hintId }, hint),
    ...(field === null ? [] : [el('label', { for: inputId }, field), input]),
    list ? el('datalist', { id: listId }, ...offered.map((each) => el('option', { value: each }))) : null,
    offer,
    el(
      'div',
      { class: 'row' },
      no === null ? null : el('button', { type: 'submit', value: 'no', class: 'quiet', formnovalidate: true }, no),
      el('button', { type: 'submit', value: 'yes', class: isLoss ? 'danger' : 'primary' }, yes),
    ),
  )
  const dialog = el('dialog', { 'aria-labelledby': titleId, 'aria-describedby': hintId }, form)
  document.body.append(dialog)
  // Enter in the field would press the first button, which cancels.
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return
    event.preventDefault()
    dialog.close('yes')
  })
  dialog.showModal()
  input.select()
  return new Promise((resolve) =>
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(dialog.returnValue === 'yes' ? input.value : null)
    }),
  )
}

export interface Toasts {
  readonly element: HTMLElement
  /** Shows a message for 4 seconds, a fault for 8. */
  tell(message: string, isFault?: boolean): void
}

export function createToasts(): Toasts {
  const element = el('div', { class: 'toast', role: 'status', 'aria-live': 'polite' })
  let timer = 0
  return {
    element,
    tell(message, isFault = false) {
      clearTimeout(timer)
      setText(element, message)
      element.dataset['level'] = isFault ? 'bad' : 'ok'
      element.classList.add('is-shown')
      timer = window.setTimeout(
        () => {
          element.classList.remove('is-shown')
          setText(element, '')
        },
        isFault ? 8000 : 4000,
      )
    },
  }
}
