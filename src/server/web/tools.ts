/** The buttons below the picture. */
import { el } from './dom.js'
import { text } from './text.js'

/** What the buttons do. */
export interface ToolActions {
  onFreeze(isOn: boolean): void
  onRegion(isOn: boolean): void
  onLayers(visible: { readonly heat: boolean; readonly focus: boolean }): void
  onSnapshot(): void
  onWrong(): void
}

export interface Tools {
  readonly element: HTMLElement
  frozen(isOn: boolean): void
  region(isOn: boolean): void
  /** Whether there is a heat map, and with it a focus box. */
  heat(isThere: boolean): void
}

export function createTools(actions: ToolActions): Tools {
  const toggle = (
    words: string,
    isOn: boolean,
    onChange: (isOn: boolean) => void,
  ): { button: HTMLButtonElement; set: (isOn: boolean) => void } => {
    const button = el('button', { type: 'button', 'aria-pressed': String(isOn) }, words)
    const set = (next: boolean): void => {
      button.setAttribute('aria-pressed', String(next))
    }
    button.addEventListener('click', () => {
      const next = button.getAttribute('aria-pressed') !== 'true'
      set(next)
      onChange(next)
    })
    return { button, set }
  }
  const plain = (words: string, onClick: () => void, kind = ''): HTMLButtonElement => {
    const button = el('button', { type: 'button', class: kind }, words)
    button.addEventListener('click', onClick)
    return button
  }
  const visible = { heat: true, focus: true }
  const freeze = toggle(text.tools.freeze, false, actions.onFreeze)
  const region = toggle(text.tools.region, false, actions.onRegion)
  const heat = toggle(text.tools.heat, true, (isOn) => {
    actions.onLayers(Object.assign(visible, { heat: isOn }))
  })
  const focus = toggle(text.tools.focus, true, (isOn) => {
    actions.onLayers(Object.assign(visible, { focus: isOn }))
  })
  const wrong = plain(text.tools.wrong, actions.onWrong, 'primary')
  return {
    element: el(
      'div',
      { class: 'tools', role: 'toolbar', 'aria-label': text.tools.label },
      wrong,
      freeze.button,
      plain(text.tools.snapshot, actions.onSnapshot),
      region.button,
      heat.button,
      focus.button,
    ),
    frozen: freeze.set,
    heat(isThere) {
      for (const { button } of [heat, focus]) button.toggleAttribute('hidden', !isThere)
    },
    region(isOn) {
      region.set(isOn)
      actions.onRegion(isOn)
      if (!isOn) region.button.focus({ preventScroll: true })
    },
  }
}
