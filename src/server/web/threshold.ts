/** The slider of the threshold. */
import { el, freshId, setText } from './dom.js'
import { text } from './text.js'

export interface ThresholdSlider {
  readonly element: HTMLElement
  /** The value of the camera. It is ignored while the user moves the slider. */
  set(value: number): void
}

export interface ThresholdEvents {
  /** The value changed, by the user or by the camera's state. */
  onShown(value: number): void
  /** The user moves the slider; `isFinal` when it is released. */
  onMoved(value: number, isFinal: boolean): void
}

/** After the user moved the slider, values of the camera are ignored for this long: they may be older. */
const heldMs = 1500

export function createThresholdSlider({ onShown, onMoved }: ThresholdEvents): ThresholdSlider {
  const [sliderId, helpId] = [freshId(), freshId()]
  const slider = el('input', { type: 'range', min: 0, max: 1, step: 0.01, id: sliderId, 'aria-describedby': helpId })
  const output = el('output', { for: sliderId })
  const element = el(
    'div',
    { class: 'threshold' },
    el('label', { for: sliderId }, text.verdict.threshold),
    slider,
    output,
    el('p', { class: 'note', id: helpId }, text.verdict.thresholdHelp),
  )
  let heldUntilMs = 0

  function show(value: number): void {
    setText(output, value.toFixed(2))
    onShown(value)
  }
  slider.addEventListener('input', () => {
    heldUntilMs = performance.now() + heldMs
    show(slider.valueAsNumber)
    onMoved(slider.valueAsNumber, false)
  })
  slider.addEventListener('change', () => onMoved(slider.valueAsNumber, true))

  return {
    element,
    set(value) {
      if (performance.now() <= heldUntilMs) return
      if (Math.abs(slider.valueAsNumber - value) > 1e-6) slider.value = String(value)
      show(value)
    },
  }
}
