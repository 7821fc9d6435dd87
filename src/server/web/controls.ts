/** The panel of the camera's V4L2 controls, such as exposure, gain and focus, with the pause button. */
import type { Control } from '../messages.js'
import { getJson, send } from './api.js'
import { el, freshId, setText } from './dom.js'
import { text } from './text.js'

export interface ControlsPanel {
  readonly element: HTMLElement
  /** Shows the controls of this camera. */
  load(camera: string): Promise<void>
  /** Whether the camera is running or paused. */
  enabled(isEnabled: boolean): void
}

export function createControls({
  onFault,
  onEnabled,
}: {
  onFault: (error: unknown) => void
  onEnabled: (isEnabled: boolean) => void
}): ControlsPanel {
  const list = el('div', { class: 'controls' })
  let isEnabled = true
  const pause = el('button', { type: 'button' }, text.tools.pause)
  pause.addEventListener('click', () => onEnabled(!isEnabled))
  const empty = el('p', { class: 'note' }, text.controls.none)
  const element = el(
    'details',
    { class: 'panel' },
    el('summary', {}, el('h2', {}, text.controls.title)),
    pause,
    empty,
    list,
  )
  let camera = ''

  async function set(control: Control, value: number): Promise<void> {
    try {
      show(await send<Control[]>('PUT', `/api/cameras/${camera}/controls/${control.id}`, { value }))
    } catch (error) {
      onFault(error)
      await load(camera)
    }
  }

  function show(controls: readonly Control[]): void {
    empty.toggleAttribute('hidden', controls.length > 0)
    const focused = document.activeElement?.id
    list.replaceChildren(...controls.map((control) => row(control, (value) => void set(control, value))))
    // Setting a control may activate others, so all are drawn again. The focused one keeps the focus.
    if (focused) document.getElementById(focused)?.focus()
  }

  async function load(next: string): Promise<void> {
    camera = next
    show(await getJson<Control[]>(`/api/cameras/${camera}/controls`).catch(() => []))
  }
  element.addEventListener('toggle', () => {
    if (element.open && camera) void load(camera)
  })
  return {
    element,
    load,
    enabled(next) {
      isEnabled = next
      setText(pause, next ? text.tools.pause : text.tools.resume)
    },
  }
}

function row(control: Control, onValue: (value: number) => void): HTMLElement {
  const id = `control-${control.id}`
  const input = inputOf(control, id)
  const output = el('output', { for: id }, control.kind === 'integer' ? String(control.value) : '')
  input.addEventListener('input', () => {
    if (control.kind === 'integer') setText(output, input.value)
  })
  input.addEventListener('change', () =>
    onValue(
      input instanceof HTMLInputElement && input.type === 'checkbox' ? Number(input.checked) : Number(input.value),
    ),
  )
  const noteId = freshId()
  if (!control.isActive) input.setAttribute('aria-describedby', noteId)
  return el(
    'div',
    { class: 'control' },
    el('label', { for: id }, control.name),
    input,
    output,
    control.isActive ? null : el('p', { class: 'note', id: noteId }, text.controls.auto),
  )
}

function inputOf(
  { kind, min, max, step, value, menu, isActive }: Control,
  id: string,
): HTMLInputElement | HTMLSelectElement {
  const disabled = !isActive
  if (kind === 'boolean') return el('input', { type: 'checkbox', id, checked: value !== 0, disabled })
  if (kind === 'menu')
    return el(
      'select',
      { id, disabled },
      ...menu.map((entry) => el('option', { value: entry.value, selected: entry.value === value }, entry.name)),
    )
  return el('input', { type: 'range', id, min, max, step: Math.max(step, 1), value, disabled })
}
