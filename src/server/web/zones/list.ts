/** All zones of the camera as a list that stays short with twenty of them. */
import type { ZoneState } from '../../messages.js'
import { el, panel, setText } from '../dom.js'
import { text } from '../text.js'
import { score as scoreText } from '../time.js'
import { whyOf } from './card.js'
import { saidBy, zoneHue } from './layer.js'

export interface ZoneList {
  readonly element: HTMLElement
  update(zones: readonly ZoneState[], selected: string | null): void
}

interface Row {
  readonly item: HTMLElement
  readonly button: HTMLButtonElement
  readonly dot: HTMLElement
  readonly name: HTMLElement
  readonly label: HTMLElement
  readonly score: HTMLElement
  readonly teaching: HTMLElement
}

export function createZoneList(onChosen: (id: string) => void): ZoneList {
  const list = el('ol', { class: 'zone-list' })
  const empty = el('p', { class: 'note' }, text.zones.empty)
  const element = panel(text.zones.title, '', empty, list)
  element.classList.add('zone-panel')
  const rows = new Map<string, Row>()

  function rowOf(id: string): Row {
    const known = rows.get(id)
    if (known) return known
    const dot = el('span', { 'aria-hidden': 'true' })
    const [name, label, score] = ['name', 'said', 'value'].map((kind) => el('span', { class: kind })) as [
      HTMLElement,
      HTMLElement,
      HTMLElement,
    ]
    const button = el('button', { type: 'button', class: 'zone-row' }, dot, name, label, score)
    button.addEventListener('click', () => onChosen(id))
    const teaching = el('p', { class: 'fault' })
    const row = { item: el('li', {}, button, teaching), button, dot, name, label, score, teaching }
    rows.set(id, row)
    return row
  }

  return {
    element,
    update(zones, selected) {
      for (const id of rows.keys()) if (!zones.some((zone) => zone.id === id)) rows.delete(id)
      empty.toggleAttribute('hidden', zones.length > 0)
      element.classList.toggle('is-empty', zones.length === 0)
      const items = zones.map((zone, i) => {
        const { item, button, dot, name, label, score, teaching } = rowOf(zone.id)
        const isUnknown = zone.reason !== null
        dot.className = `dot ${zoneHue(i)}`
        button.setAttribute('aria-pressed', String(zone.id === selected))
        button.classList.toggle('is-unknown', isUnknown)
        const needs = zone.needsTeaching === null ? '' : text.needsTeaching(zone.needsTeaching)
        button.title = [isUnknown ? whyOf(zone) : '', needs].filter(Boolean).join(' ')
        setText(teaching, needs)
        teaching.toggleAttribute('hidden', needs === '')
        setText(name, zone.name)
        setText(label, zone.isEnabled ? saidBy(zone) : text.zones.paused)
        setText(score, isUnknown ? '' : scoreText(zone.score))
        return item
      })
      if (items.length !== list.children.length || items.some((item, i) => list.children[i] !== item))
        list.replaceChildren(...items)
    },
  }
}
