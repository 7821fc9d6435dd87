/** Elements in one expression. Strings become text nodes: nothing here parses HTML. */
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>
/** Null is left out. */
type Child = Node | string | null

/**
 * An HTML element. An attribute that is undefined or false is left out.
 *
 *     el('p', { class: 'note' }, 'text')
 */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  fill(element, attributes, children)
  return element
}

const svgSpace = 'http://www.w3.org/2000/svg'

/** An SVG element; see `el`. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(svgSpace, tag)
  fill(element, attributes, children)
  return element
}

function fill(element: Element, attributes: Attributes, children: readonly Child[]): void {
  element.append(...children.filter((child) => child !== null))
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    element.setAttribute(name, value === true ? '' : String(value))
  }
}

/** Sets the text if it differs. A screen reader would read the same text again. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

let ids = 0
/** An id that no other element has. */
export const freshId = (): string => `id${++ids}`

/** A part of the page with a title and a note beside it; an empty note is left out. */
export function panel(title: string, note: string, ...children: readonly Child[]): HTMLElement {
  const id = freshId()
  const heading = el('h2', { id }, title)
  return el(
    'section',
    { class: 'panel', 'aria-labelledby': id },
    el('div', { class: 'panel-head' }, heading, note ? el('span', { class: 'note' }, note) : null),
    ...children,
  )
}
