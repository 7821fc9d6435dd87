/** One zone: what it says, what it sees, its scores, its history and its settings. */
import type { CameraState, LabelChange, ZoneState } from '../../messages.js'
import { getJson } from '../api.js'
import { el, panel, setText } from '../dom.js'
import { createScoreBars } from '../score-bars.js'
import { text } from '../text.js'
import { createThresholdSlider } from '../threshold.js'
import { duration, score as scoreText } from '../time.js'
import { createTimeline } from '../timeline.js'
import { createZoneForm, type SaveZone } from './form.js'
import { saidBy } from './layer.js'
import { createZoneLook } from './look.js'

export interface ZoneActions {
  readonly save: SaveZone
  onThreshold(zone: ZoneState, value: number, isFinal: boolean): void
  onEnabled(zone: ZoneState, isEnabled: boolean): void
  onRemove(zone: ZoneState): void
  onFault(error: unknown): void
}

export interface ZoneCard {
  readonly element: HTMLElement
  /** Apart, so that it has its own place on a wide screen. */
  readonly settings: HTMLElement
  /** Shows a zone; null hides the card. */
  update(camera: CameraState, zone: ZoneState | null): void
}

export function createZoneCard(actions: ZoneActions): ZoneCard {
  let shown: ZoneState | null = null
  const act = (run: (zone: ZoneState) => void) => () => {
    if (shown) run(shown)
  }
  const head = createHead({
    onEnabled: act((zone) => actions.onEnabled(zone, !zone.isEnabled)),
    onRemove: act((zone) => actions.onRemove(zone)),
  })
  const look = createZoneLook((error) => actions.onFault(error))
  const bars = createScoreBars()
  const slider = createThresholdSlider({
    onShown: (value) => bars.threshold(value),
    onMoved: (value, isFinal) => act((zone) => actions.onThreshold(zone, value, isFinal))(),
  })
  const timeline = createTimeline()
  const form = createZoneForm((zone, change) => actions.save(zone, change))
  const counts = el('p', { class: 'note' })
  const sees = panel(text.zones.sees, '', look.element)
  const scores = panel(text.verdict.best, '', bars.element, slider.element)
  const settings = panel(text.zones.settings, '', form.element, counts)
  const element = el(
    'section',
    { class: 'zone-card', 'aria-label': text.zones.card, hidden: true },
    head.element,
    sees,
    scores,
    timeline.element,
  )
  settings.classList.add('zone-settings')
  settings.hidden = true

  return {
    element,
    settings,
    update(camera, zone) {
      const isOther = zone?.key !== shown?.key
      shown = zone
      for (const part of [element, settings]) part.toggleAttribute('hidden', zone === null)
      if (!zone) return
      if (isOther) {
        timeline.set([])
        void getJson<LabelChange[]>(`/api/cameras/${camera.id}/zones/${zone.id}/history`).then(
          (changes) => timeline.set(changes),
          (error: unknown) => actions.onFault(error),
        )
      }
      head.update(zone)
      look.update(camera, zone)
      bars.update(zone.top, zone.reason === null ? zone.label : null)
      slider.set(zone.threshold)
      timeline.now(zone.label, zone.score, zone.reason)
      form.update(camera.id, zone)
      setText(counts, text.zones.counts(Object.entries(zone.looks), zone.skipped))
    },
  }
}

interface Head {
  readonly element: HTMLElement
  update(zone: ZoneState): void
}

function createHead({ onEnabled, onRemove }: { onEnabled: () => void; onRemove: () => void }): Head {
  const name = el('h2')
  const label = el('p', { class: 'label' })
  const score = el('span', { class: 'score' })
  const detail = el('p', { class: 'detail' })
  const pause = el('button', { type: 'button' }, text.zones.pause)
  const remove = el('button', { type: 'button', class: 'quiet danger' }, text.zones.remove)
  pause.addEventListener('click', onEnabled)
  remove.addEventListener('click', onRemove)
  const element = el(
    'div',
    { class: 'panel verdict' },
    el('div', { class: 'panel-head' }, name),
    el('div', { class: 'headline' }, label, score),
    detail,
    el('div', { class: 'row' }, remove, pause),
  )
  return {
    element,
    update(zone) {
      const isUnknown = zone.reason !== null
      setText(name, zone.name)
      setText(label, saidBy(zone))
      setText(score, isUnknown ? '' : scoreText(zone.score))
      setText(detail, isUnknown ? whyOf(zone) : text.verdict.since(duration(Date.now() - zone.sinceMs)))
      element.classList.toggle('is-unknown', isUnknown)
      setText(pause, zone.isEnabled ? text.zones.pause : text.zones.resume)
    },
  }
}

/** Why a zone has no label. */
export function whyOf({ reason, detail }: Pick<ZoneState, 'reason' | 'detail'>): string {
  const why = reason === null ? '' : (text.verdict.reasons[reason] ?? reason)
  return detail === null ? why : `${why}: ${detail}`
}
