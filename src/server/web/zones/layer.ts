/** The zones over the live picture: their outlines, and a tag with name, label and score in each. */
import { boundsOf, type Shape } from '../../../pixels/shape.js'
import type { ZoneState } from '../../messages.js'
import { el, setText, svg } from '../dom.js'
import { text } from '../text.js'
import { score as scoreText } from '../time.js'
import { pointsOf } from './outline.js'

export interface ZoneLayer {
  readonly element: HTMLElement
  /** `shapeOf` gives the region to draw, which is another one while the user changes it. */
  show(zones: readonly ZoneState[], selected: string | null, shapeOf: (zone: ZoneState) => Shape): void
}

interface Drawn {
  readonly outline: SVGPolygonElement
  readonly tag: HTMLButtonElement
  readonly name: HTMLElement
  readonly label: HTMLElement
  readonly score: HTMLElement
}

const hues = 8

/** The hue of a zone by its place in the list. */
export const zoneHue = (index: number): string => `tint${index % hues}`

/** Where the region of a zone lies now; without one it looks at the whole picture. */
export function shapeOfZone({ region, seenRegion }: Pick<ZoneState, 'region' | 'seenRegion'>): Shape {
  return seenRegion ?? region ?? { x: 0, y: 0, width: 1, height: 1 }
}

/** What a zone says, for people: its label, or why it has none. */
export function saidBy({ label, reason }: Pick<ZoneState, 'label' | 'reason'>): string {
  if (reason !== null) return text.verdict.unknown
  return label.split(', ')[0]!
}

/** `onChosen` gets the id of a zone whose tag or outline was pressed. */
export function createZoneLayer(onChosen: (id: string) => void): ZoneLayer {
  const shapes = svg('svg', { class: 'zone-shapes', viewBox: '0 0 1 1', preserveAspectRatio: 'none' })
  shapes.setAttribute('aria-hidden', 'true')
  const element = el('div', { class: 'zone-layer', role: 'group', 'aria-label': text.zones.title }, shapes)
  const drawn = new Map<string, Drawn>()

  function drawnOf(id: string): Drawn {
    const known = drawn.get(id)
    if (known) return known
    const outline = svg('polygon', { 'data-zone': id })
    const [name, label, score] = [el('span', { class: 'name' }), el('strong'), el('span', { class: 'tag-score' })]
    const said = el('span', { class: 'tag-said' }, label, score)
    const tag = el('button', { type: 'button', class: 'zone-tag', 'data-zone': id }, name, said)
    for (const target of [outline, tag]) target.addEventListener('click', () => onChosen(id))
    shapes.append(outline)
    element.append(tag)
    const made = { outline, tag, name, label, score }
    drawn.set(id, made)
    return made
  }

  function forget(zones: readonly ZoneState[]): void {
    for (const [id, { outline, tag }] of drawn) {
      if (zones.some((zone) => zone.id === id)) continue
      outline.remove()
      tag.remove()
      drawn.delete(id)
    }
  }

  return {
    element,
    show(zones, selected, shapeOf) {
      forget(zones)
      for (const [i, zone] of zones.entries())
        drawZone(drawnOf(zone.id), zone, { hue: zoneHue(i), isSelected: zone.id === selected, shape: shapeOf(zone) })
    },
  }
}

function drawZone(
  { outline, tag, name, label, score }: Drawn,
  zone: ZoneState,
  { hue, isSelected, shape }: { readonly hue: string; readonly isSelected: boolean; readonly shape: Shape },
): void {
  const isUnknown = zone.reason !== null
  outline.setAttribute('points', pointsOf(shape))
  outline.setAttribute('class', `${hue}${isUnknown ? ' is-unknown' : ''}${isSelected ? ' is-selected' : ''}`)
  tag.className = `zone-tag ${hue}${isUnknown ? ' is-unknown' : ''}${isSelected ? ' is-selected' : ''}`
  tag.setAttribute('aria-pressed', String(isSelected))
  placeTag(tag, shape)
  setText(name, zone.name)
  setText(label, zone.isEnabled ? saidBy(zone) : text.zones.paused)
  setText(score, isUnknown || !zone.isEnabled ? '' : scoreText(zone.score))
}

/** A tag on a phone is this high, as a share of the picture. */
const roomAbove = 0.16

/** Above the region, or inside where there is no room; at the side that is nearer to the middle of the picture. */
function placeTag({ style, classList }: HTMLElement, shape: Shape): void {
  const { x, y, width } = boundsOf(shape)
  const isRight = x > 0.6
  style.left = isRight ? 'auto' : `${x * 100}%`
  style.right = isRight ? `${(1 - x - width) * 100}%` : 'auto'
  style.top = `${y * 100}%`
  style.maxWidth = `${Math.max(width, 0.4) * 100}%`
  classList.toggle('is-above', y > roomAbove)
}
