/** The buttons that teach: one for each state. A press takes the present picture or clip; holding takes one every second. */
import type { TeachStatus } from '../../teach-messages.js'
import { el, freshId, setText } from '../dom.js'
import { nounOf, teachText as text } from './text.js'

export interface CaptureButtons {
  readonly element: HTMLElement
  update(status: TeachStatus): void
  /** States that were named here and have no picture yet. */
  readonly named: ReadonlySet<string>
}

interface CaptureEvents {
  /** Takes the present picture for a state; null: for none of them. */
  capture(state: string | null): Promise<void>
  tell(message: string): void
  /** `named` has changed. */
  onNamed(): void
}

const everyMs = 1000
/** What the node calls a picture of none of the states. */
const unknownLabel = 'unknown'

export function createCapture({ capture, tell, onNamed }: CaptureEvents): CaptureButtons {
  const buttons = el('div', { class: 'capture-buttons' })
  const input = el('input', { type: 'text', id: freshId(), maxlength: 64, autocomplete: 'off', placeholder: 'open' })
  const add = el('button', { type: 'submit' }, text.addState)
  const form = el('form', { class: 'new-state' }, el('label', { for: input.id }, text.newState), input, add)
  const element = el('div', { class: 'capture' }, buttons, form)
  const named = new Set<string>()
  let shown = ''
  let last: TeachStatus | null = null

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const state = input.value.trim()
    if (state === '') return
    if (state === unknownLabel) return tell(text.notAState)
    named.add(state)
    input.value = ''
    if (last) draw(last)
    onNamed()
    buttons.querySelector<HTMLElement>(`[data-state="${CSS.escape(state)}"]`)?.focus()
  })

  function draw(status: TeachStatus): void {
    // A state that is named before the first answer stays.
    if (last && status.zone !== last.zone) named.clear()
    last = status
    const counts = new Map<string | null, number>(status.states.map(({ state, pictures }) => [state, pictures]))
    for (const state of counts.keys()) if (state !== null) named.delete(state)
    for (const state of named) counts.set(state, 0)
    if (counts.size > 0) counts.set(null, status.pictures.filter(({ state }) => state === null).length)
    const wanted = JSON.stringify([...counts.keys()])
    // Buttons that are held must stay while their numbers change.
    if (wanted !== shown) buttons.replaceChildren(...[...counts.keys()].map((state) => stateButton(state, capture)))
    shown = wanted
    for (const [i, [state, count]] of [...counts].entries()) {
      const button = buttons.children[i]!
      setText(button.lastElementChild!, text.count(count, nounOf(status)))
      button.setAttribute('aria-label', text.capture(state ?? text.none, count, nounOf(status)))
    }
  }
  return { element, update: draw, named }
}

function stateButton(state: string | null, capture: CaptureEvents['capture']): HTMLElement {
  const name = el('strong', {}, state ?? text.none)
  const button = el(
    'button',
    { type: 'button', class: `capture-button${state === null ? ' quiet' : ''}`, 'data-state': state ?? undefined },
    name,
    el('span', { class: 'note' }),
  )
  let timer = 0
  let isBusy = false

  async function take(): Promise<void> {
    if (isBusy) return
    isBusy = true
    button.classList.add('is-taking')
    await capture(state).finally(() => {
      isBusy = false
      button.classList.remove('is-taking')
    })
  }
  const stop = (): void => clearInterval(timer)

  button.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return
    button.setPointerCapture(event.pointerId)
    stop()
    void take()
    timer = window.setInterval(() => void take(), everyMs)
  })
  for (const end of ['pointerup', 'pointercancel', 'lostpointercapture', 'blur'] as const)
    button.addEventListener(end, stop)
  button.addEventListener('contextmenu', (event) => event.preventDefault())
  // By keyboard or a screen reader; a press has taken its picture already.
  button.addEventListener('click', (event) => {
    if (event.detail === 0) void take()
  })
  return button
}
