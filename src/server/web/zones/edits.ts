/**
 * What the user has changed in the settings of a zone and not saved yet, beside what others change meanwhile: pure
 * functions. A change elsewhere of another setting is taken over; of the same setting it is told, and the user decides.
 */
import type { ZoneState } from '../../messages.js'

/** The settings that the form shows. Undefined: not set, so the default holds. */
export interface ZoneFields {
  readonly name: string | undefined
  readonly id: string
  readonly model: string | undefined
  readonly trigger: unknown
  readonly timezone: string | undefined
  readonly consecutive: number | undefined
  readonly dwell: Readonly<Record<string, string>> | undefined
  readonly transitions: Readonly<Record<string, readonly string[]>> | undefined
  readonly mask: string | undefined
  readonly anchor: boolean | undefined
  readonly evidence: number | undefined
}

export type FieldName = keyof ZoneFields

export interface Edits {
  /** The zone as it is now. */
  readonly now: ZoneFields
  readonly revision: string
  /** What the user has changed. */
  readonly changed: Partial<ZoneFields>
  /** Settings that were changed elsewhere after the user had changed them. */
  readonly elsewhere: readonly FieldName[]
}

type Zone = Pick<ZoneState, 'id' | 'values' | 'revision'>

/** The settings of a zone as the form shows them. */
export function fieldsOf({ id, values }: Pick<ZoneState, 'id' | 'values'>): ZoneFields {
  const { name, model, trigger, timezone, policy, dwell, transitions, mask, anchor, evidence } =
    values as Partial<ZoneFields> & {
      readonly policy?: { readonly consecutive?: number }
    }
  const plain = { name, id, model, trigger, timezone, dwell, transitions, mask, anchor, evidence }
  return { ...plain, consecutive: policy?.consecutive }
}

/** Nothing is changed yet. */
export function startEdits(zone: Zone): Edits {
  return { now: fieldsOf(zone), revision: zone.revision, changed: {}, elsewhere: [] }
}

/** After the user has changed a setting. Back to what it is now is no change. */
export function edited<Name extends FieldName>(edits: Edits, name: Name, value: ZoneFields[Name]): Edits {
  const { [name]: _, ...others } = edits.changed
  if (!isEqual(value, edits.now[name])) return { ...edits, changed: { ...others, [name]: value } }
  return { ...edits, changed: others, elsewhere: edits.elsewhere.filter((other) => other !== name) }
}

/** After the zone was changed, here or elsewhere. */
export function rebased(edits: Edits, zone: Zone): Edits {
  if (zone.revision === edits.revision) return edits
  const now = fieldsOf(zone)
  const names = Object.keys(edits.changed) as FieldName[]
  const open = names.filter((name) => !isEqual(edits.changed[name], now[name]))
  const moved = open.filter((name) => edits.elsewhere.includes(name) || !isEqual(now[name], edits.now[name]))
  return {
    now,
    revision: zone.revision,
    changed: Object.fromEntries(open.map((name) => [name, edits.changed[name]])),
    elsewhere: moved,
  }
}

/** What `zone_set` gets for the changes: null removes a key. */
export function patchOf(
  { changed }: Edits,
  { policy }: Readonly<Record<string, unknown>>,
): { readonly values: Readonly<Record<string, unknown>>; readonly rename?: string } {
  const { id, consecutive, ...plain } = changed
  const values: Record<string, unknown> = Object.fromEntries(
    Object.entries(plain).map(([key, value]) => [key, value ?? null]),
  )
  if ('consecutive' in changed) {
    const { consecutive: _, ...others } = (policy ?? {}) as Readonly<Record<string, unknown>>
    const next = consecutive === undefined ? others : { ...others, consecutive }
    values['policy'] = Object.keys(next).length > 0 ? next : null
  }
  return { values, ...(id === undefined ? {} : { rename: id }) }
}

/** The setting that a sentence of the API is about; null where it names none. */
export function fieldOfFault(sentence: string): FieldName | null {
  const [, key = ''] = /^([a-z]\w*)[.:\s]/i.exec(sentence) ?? []
  if (/^there is a zone/.test(sentence)) return 'id'
  if (key === 'policy') return 'consecutive'
  const names: readonly string[] = [
    'name',
    'id',
    'model',
    'trigger',
    'timezone',
    'dwell',
    'transitions',
    'mask',
    'anchor',
    'evidence',
  ]
  return names.includes(key) ? (key as FieldName) : null
}

/** By content; the order of keys does not matter. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  const [keysA, keysB] = [Object.keys(a), Object.keys(b)]
  return (
    keysA.length === keysB.length &&
    keysA.every((key) => isEqual((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
  )
}
