/** The region as numbers, for keyboards and for exact values. Dragging on the picture does the same. */
import type { Region } from '../messages.js'
import { el, freshId } from './dom.js'
import { tidy } from './geometry.js'
import { text } from './text.js'

export interface RegionForm {
  readonly element: HTMLElement
  /** The configured region; null: the whole frame. */
  set(region: Region | null): void
  show(isShown: boolean): void
}

const names = ['x', 'y', 'width', 'height'] as const
const labels = { x: text.region.left, y: text.region.top, width: text.region.width, height: text.region.height }
const whole: Region = { x: 0, y: 0, width: 1, height: 1 }

export function createRegionForm(onRegion: (region: Region | null) => void, onDone: () => void): RegionForm {
  const inputs = names.map(
    (name) =>
      [
        name,
        el('input', { type: 'number', min: 0, max: 100, step: 0.1, inputmode: 'decimal', id: freshId() }),
      ] as const,
  )
  const clear = el('button', { type: 'button', class: 'quiet' }, text.region.whole)
  const done = el('button', { type: 'button' }, text.region.done)
  const element = el(
    'form',
    { class: 'region-form', hidden: true, 'aria-label': text.region.title },
    el('p', { class: 'note' }, text.region.hint),
    el(
      'div',
      { class: 'fields' },
      ...inputs.map(([name, input]) => el('label', { for: input.id }, labels[name], input)),
    ),
    el('div', { class: 'row' }, clear, done),
  )
  element.addEventListener('submit', (event) => event.preventDefault())
  element.addEventListener('change', () => {
    const values = Object.fromEntries(
      inputs.map(([name, input]) => [name, (input.valueAsNumber || 0) / 100]),
    ) as unknown as Region
    onRegion(tidy(values))
  })
  element.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') onDone()
  })
  clear.addEventListener('click', () => onRegion(null))
  done.addEventListener('click', onDone)
  return {
    element,
    set(region) {
      // Do not change a field while the user types into it.
      if (element.contains(document.activeElement) && document.activeElement instanceof HTMLInputElement) return
      for (const [name, input] of inputs) {
        const value = String(Math.round((region ?? whole)[name] * 1000) / 10)
        if (input.value !== value) input.value = value
      }
    },
    show(isShown) {
      element.toggleAttribute('hidden', !isShown)
      if (isShown) inputs[0]![1].focus({ preventScroll: true })
    },
  }
}
