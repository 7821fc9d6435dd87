/** The tabs of the page. The chosen one is in the address, so that it survives a reload and can be linked to. */
import { el } from './dom.js'
import { text } from './text.js'

export type TabName = keyof typeof text.tabs.names

export interface Tabs {
  readonly element: HTMLElement
  choose(name: TabName): void
}

/** The parts of each tab; a part may belong to several. `onShown` hears of the tab that is shown. */
export function createTabs(
  parts: Readonly<Record<TabName, readonly HTMLElement[]>>,
  onShown: (name: TabName) => void,
): Tabs {
  const names = Object.keys(text.tabs.names) as TabName[]
  const all = new Set(Object.values(parts).flat())
  const buttons = names.map((name) => {
    const button = el('a', { class: 'tab', href: `#${name}` }, text.tabs.names[name])
    return [name, button] as const
  })
  const element = el('nav', { class: 'tabs', 'aria-label': text.tabs.label }, ...buttons.map(([, button]) => button))

  function show(): void {
    const chosen = names.find((name) => location.hash === `#${name}`) ?? names[0]!
    for (const part of all) part.toggleAttribute('data-away', !parts[chosen].includes(part))
    for (const [name, button] of buttons) button.toggleAttribute('aria-current', name === chosen)
    for (const [name, button] of buttons) if (name === chosen) button.setAttribute('aria-current', 'page')
    onShown(chosen)
  }
  addEventListener('hashchange', show)
  show()

  return {
    element,
    choose(name) {
      if (location.hash !== `#${name}`) location.hash = name
    },
  }
}
