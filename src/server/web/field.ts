/** A field of a form with its label, a note and the fault that the API found in it. */
import { el, freshId, setText } from './dom.js'

export interface Field {
  readonly element: HTMLElement
  /** Beside the input; an empty sentence is hidden. */
  fault(sentence: string): void
  note(sentence: string): void
}

/** `input` is one control; several, such as the rows of a table, are a group with the label as its name. */
export function createField(label: string, input: HTMLElement, note = ''): Field {
  const [inputId, noteId, faultId] = [input.id || freshId(), freshId(), freshId()]
  const isControl = ['INPUT', 'SELECT', 'TEXTAREA'].includes(input.tagName)
  input.id = inputId
  input.setAttribute('aria-describedby', `${noteId} ${faultId}`)
  const name = isControl ? el('label', { for: inputId }, label) : el('span', { class: 'field-name' }, label)
  if (!isControl) {
    input.setAttribute('role', 'group')
    input.setAttribute('aria-label', label)
  }
  const noteElement = el('p', { class: 'note', id: noteId, hidden: note === '' }, note)
  const faultElement = el('p', { class: 'fault', id: faultId, role: 'alert', hidden: true })
  return {
    element: el('div', { class: 'field' }, name, input, noteElement, faultElement),
    fault(sentence) {
      setText(faultElement, sentence)
      faultElement.toggleAttribute('hidden', sentence === '')
      input.toggleAttribute('aria-invalid', sentence !== '')
    },
    note(sentence) {
      setText(noteElement, sentence)
      noteElement.toggleAttribute('hidden', sentence === '')
    },
  }
}
