/** The settings of a zone as a form. What others change meanwhile is taken over or told beside the field. */
import type { ZoneState } from '../../messages.js'
import { getJson, RequestError } from '../api.js'
import { el, freshId, setText } from '../dom.js'
import { createField, type Field } from '../field.js'
import { text } from '../text.js'
import { createDwellField, createTransitionsField, type LabelField } from './label-rows.js'
import { edited, fieldOfFault, isEqual, patchOf, rebased, startEdits, type Edits, type FieldName } from './edits.js'
import { createTriggerField, type ValueField } from './trigger-field.js'

export interface ZoneForm {
  readonly element: HTMLElement
  /** Shows a zone. What the user has changed of it and not saved stays. */
  update(camera: string, zone: ZoneState): void
}

/** Changes a zone; rejects with RequestError. Resolves with the id that it has then. */
export type SaveZone = (
  zone: ZoneState,
  change: { readonly values: Readonly<Record<string, unknown>>; readonly rename?: string },
) => Promise<void>

interface Part {
  readonly field: Field
  readonly value: ValueField<unknown>
}

export function createZoneForm(save: SaveZone): ZoneForm {
  return new Form(save)
}

class Form implements ZoneForm {
  readonly element: HTMLFormElement
  readonly #save: SaveZone
  readonly #models = el('datalist', { id: freshId() })
  readonly #dwell = createDwellField(() => this.#read('dwell'))
  readonly #transitions = createTransitionsField(() => this.#read('transitions'))
  readonly #parts: ReadonlyMap<FieldName, Part>
  readonly #told = el('p', { class: 'told', role: 'status', hidden: true })
  readonly #fault = el('p', { class: 'fault', role: 'alert', hidden: true })
  readonly #keep = el('button', { type: 'submit', class: 'primary' }, text.zones.save)
  readonly #discard = el('button', { type: 'button', class: 'quiet' }, text.zones.discard)
  #edits: Edits | null = null
  #zone: ZoneState | null = null
  #loaded = ''

  constructor(save: SaveZone) {
    this.#save = save
    this.#parts = createParts({
      dwell: this.#dwell,
      transitions: this.#transitions,
      models: this.#models,
      onChange: (name) => this.#read(name),
    })
    this.element = el(
      'form',
      { class: 'zone-form', 'aria-label': text.zones.settings },
      ...[...this.#parts.values()].map(({ field }) => field.element),
      this.#models,
      this.#told,
      this.#fault,
      el('div', { class: 'row' }, this.#discard, this.#keep),
    )
    this.element.addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#submit()
    })
    this.#discard.addEventListener('click', () => {
      this.#showFault('')
      if (this.#zone) this.#show(startEdits(this.#zone), true)
    })
  }

  update(camera: string, zone: ZoneState): void {
    const isOther = this.#zone?.key !== zone.key
    this.#zone = zone
    const wanted = `${zone.key} ${String(zone.values['model'])}`
    if (wanted !== this.#loaded) void this.#load(camera, zone.id)
    this.#loaded = wanted
    if (isOther || !this.#edits) {
      this.#showFault('')
      this.#show(startEdits(zone), true)
    } else if (zone.revision !== this.#edits.revision) this.#show(rebased(this.#edits, zone))
  }

  /** Takes what the user has entered in a field. */
  #read(name: FieldName): void {
    if (!this.#edits) return
    const value = this.#parts.get(name)!.value.get()
    const next = edited(this.#edits, name, value as never)
    // A time zone without a cron line would be refused.
    this.#show(name === 'trigger' && !isCron(value) ? edited(next, 'timezone', undefined) : next)
  }

  /** Shows what differs. A field that the user has changed keeps what the user typed. */
  #show(next: Edits, isFresh = false): void {
    const before = this.#edits
    this.#edits = next
    for (const [name, { field, value }] of this.#parts) {
      const [isMine, isElsewhere] = [name in next.changed, next.elsewhere.includes(name)]
      const isStale = isFresh || !isEqual(before?.now[name], next.now[name])
      if (!isMine && isStale) value.set(next.now[name])
      field.note(isElsewhere ? text.zones.elsewhere(written(next.now[name])) : (text.zones.notes[name] ?? ''))
      field.element.classList.toggle('is-changed', isMine)
      field.element.classList.toggle('is-elsewhere', isElsewhere)
    }
    const { trigger } = { ...next.now, ...next.changed }
    this.#partShown('timezone', isCron(trigger))
    this.#partShown('mask', Array.isArray(this.#zone?.region))
    for (const name of ['anchor', 'evidence'] as const) this.#partShown(name, this.#zone?.region !== undefined)
    const [isOpen, isShared] = [Object.keys(next.changed).length > 0, next.elsewhere.length > 0]
    for (const button of [this.#keep, this.#discard]) button.disabled = !isOpen
    setText(this.#keep, isShared ? text.zones.saveMine : text.zones.save)
    say(this.#told, isShared ? text.zones.toldSame : '')
  }

  #partShown(name: FieldName, isShown: boolean): void {
    this.#parts.get(name)!.field.element.toggleAttribute('hidden', !isShown)
  }

  async #submit(): Promise<void> {
    const [edits, zone] = [this.#edits, this.#zone]
    if (!edits || !zone) return
    this.#showFault('')
    try {
      await this.#save({ ...zone, revision: edits.revision }, patchOf(edits, zone.values))
    } catch (error) {
      // The next state brings what was changed, and the form tells it.
      if (error instanceof RequestError && error.status === 409) say(this.#told, text.zones.toldMeanwhile)
      else this.#showFault(error instanceof Error ? error.message : String(error))
    }
  }

  /** Shows a sentence of the API beside the field that it is about, or below all of them. */
  #showFault(sentence: string): void {
    const named = fieldOfFault(sentence)
    const part = named === null ? undefined : this.#parts.get(named)
    const isSeen = part !== undefined && !part.field.element.hidden
    for (const { field } of this.#parts.values()) field.fault('')
    if (isSeen) part.field.fault(sentence)
    say(this.#fault, isSeen ? '' : sentence)
  }

  async #load(camera: string, zone: string): Promise<void> {
    const [labels, names] = await Promise.all([
      getJson<string[]>(`/api/cameras/${camera}/zones/${zone}/labels`).catch(() => []),
      getJson<string[]>('/api/models').catch(() => []),
    ])
    for (const field of [this.#dwell, this.#transitions]) field.labels(labels)
    this.#models.replaceChildren(...names.map((value) => el('option', { value })))
  }
}

/** Sets a sentence; an empty one is hidden. */
function say(element: HTMLElement, sentence: string): void {
  setText(element, sentence)
  element.toggleAttribute('hidden', sentence === '')
}

const isCron = (trigger: unknown): boolean => typeof trigger === 'object' && trigger !== null && 'cron' in trigger

/** A value as the note beside its field tells it. */
function written(value: unknown): string {
  if (value === undefined) return text.zones.byDefault
  return typeof value === 'string' || typeof value === 'number' ? String(value) : JSON.stringify(value)
}

function createParts({
  dwell,
  transitions,
  models,
  onChange,
}: {
  readonly dwell: LabelField<unknown>
  readonly transitions: LabelField<unknown>
  readonly models: HTMLDataListElement
  readonly onChange: (name: FieldName) => void
}): ReadonlyMap<FieldName, Part> {
  const { fields, notes, masks, anchors } = text.zones
  const typed = (name: FieldName, attributes: Readonly<Record<string, string | number>>): ValueField<unknown> => {
    const input = el('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', ...attributes })
    input.addEventListener('input', () => onChange(name))
    return {
      element: input,
      get: () =>
        input.value.trim() === '' ? undefined : input.type === 'number' ? input.valueAsNumber : input.value.trim(),
      set(value: unknown) {
        input.value = value === undefined ? '' : String(value)
      },
    }
  }
  const values: readonly (readonly [FieldName, ValueField<unknown>])[] = [
    ['name', typed('name', { maxlength: 64 })],
    ['id', typed('id', { maxlength: 64, pattern: '[a-z0-9\\-]+' })],
    ['model', typed('model', { maxlength: 1000, list: models.id, placeholder: text.zones.modelOfNode })],
    ['trigger', createTriggerField(() => onChange('trigger'))],
    ['timezone', typed('timezone', { maxlength: 64, placeholder: text.zones.timezoneOfNode })],
    [
      'consecutive',
      typed('consecutive', { type: 'number', min: 1, inputmode: 'numeric', placeholder: text.zones.byDefault }),
    ],
    ['dwell', dwell],
    ['transitions', transitions],
    ['mask', chosen(masks, () => onChange('mask'))],
    ['anchor', truth(chosen(anchors, () => onChange('anchor')))],
    [
      'evidence',
      typed('evidence', { type: 'number', min: 0, max: 1, step: 0.05, placeholder: text.zones.evidenceOfNone }),
    ],
  ]
  return new Map(
    values.map(([name, value]) => [name, { value, field: createField(fields[name], value.element, notes[name]) }]),
  )
}

/** A choice whose values are true and false. */
function truth(choice: ValueField<unknown>): ValueField<unknown> {
  return { ...choice, get: () => (choice.get() === undefined ? undefined : choice.get() === 'true') }
}

/** One of a few values; the first is the default. */
function chosen(options: Readonly<Record<string, string>>, onChange: () => void): ValueField<unknown> {
  const select = el('select', {}, ...Object.entries(options).map(([value, words]) => el('option', { value }, words)))
  const [first = ''] = Object.keys(options)
  select.addEventListener('change', onChange)
  return {
    element: select,
    get: () => (select.value === first ? undefined : select.value),
    set(value: unknown) {
      select.value = value === undefined ? first : String(value)
    },
  }
}
