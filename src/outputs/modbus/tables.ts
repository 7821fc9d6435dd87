/**
 * Coils and registers of the zones: 16 of each for the node, then 16 for each zone in the order of the configuration. A
 * template can replace a zone's. docs/outputs.md has the tables.
 */
import { lensProblems } from '../../decision/prediction.js'
import type { Mapping } from '../mapping.js'
import type { Fields, Made } from '../template.js'
import type { ZoneState, ZoneStates } from '../zone-states.js'
import { exceptions, type Tables } from './protocol.js'

/** Numbers of the reasons in register 2 of a zone. They never change. */
export const reasonNumbers: Readonly<Record<ZoneState['reason'], number>> = {
  none: 0,
  starting: 1,
  settling: 2,
  low_confidence: 3,
  novel: 4,
  model_changed: 5,
  camera_lost: 6,
  camera_stale: 7,
  frozen: 8,
  camera_disabled: 9,
  stopped: 10,
  zone_disabled: 11,
  unavailable: 12,
  moved: 13,
  clip_short: 14,
  overloaded: 15,
  removed: 255,
}

/** Of one zone: registers from its first one on, and coils from its second one on; the first coil is its switch. */
export interface ZoneValues {
  readonly registers: readonly number[]
  readonly coils: readonly boolean[]
}

const perZone = 16
const layoutVersion = 1

export interface ZoneTablesOptions {
  readonly zones: ZoneStates
  readonly values: Mapping<ZoneValues>
  /** Seconds since the start: a client sees by it that gapcam lives. */
  readonly uptimeS: () => number
  /** Switches a zone; resolves with false where that failed. Null: coils are read-only. */
  readonly setEnabled: ((place: string, value: boolean) => Promise<boolean>) | null
}

/** The tables over the zones' present states. */
export function createZoneTables({ zones, values, uptimeS, setEnabled }: ZoneTablesOptions): Tables {
  const valuesOf = rememberLast(zones, values)
  return {
    register(address) {
      const { number, offset } = slotOf(address)
      if (number < 0) return [layoutVersion, zones.all.length, uptimeS() & 0xffff][offset] ?? 0
      const state = zones.all[number]
      return state && (valuesOf(state).registers[offset] ?? 0) & 0xffff
    },
    coil(address) {
      const { number, offset } = slotOf(address)
      if (number < 0) return offset === 0
      const state = zones.all[number]
      if (!state || offset === 0) return state?.enabled
      return valuesOf(state).coils[offset - 1] ?? false
    },
    async setCoils(address, wanted) {
      if (!setEnabled) return exceptions.illegalFunction
      const places = wanted.map((_, i) => {
        const { number, offset } = slotOf(address + i)
        return offset === 0 ? zones.all[number]?.place : undefined
      })
      if (places.includes(undefined)) return exceptions.illegalAddress
      for (const [i, place] of places.entries())
        if (!(await setEnabled(place!, wanted[i]!))) return exceptions.deviceFailure
      return null
    },
  }
}

/** The zone with this address, -1 for the node, and the place in its block. */
function slotOf(address: number): { readonly number: number; readonly offset: number } {
  return { number: Math.floor(address / perZone) - 1, offset: address % perZone }
}

/** A read takes up to 16 values of one zone: they are made once, and fit together. */
function rememberLast(zones: ZoneStates, values: Mapping<ZoneValues>): (state: ZoneState) => ZoneValues {
  let last: { readonly state: ZoneState; readonly second: unknown; readonly values: ZoneValues } | null = null
  return (state) => {
    const fields = zones.fields(state)
    const second = fields['since_s']
    if (last?.state !== state || last.second !== second) last = { state, second, values: values(fields) }
    return last.values
  }
}

/** What a zone has without a template. */
export function plainValues(fields: Fields): ZoneValues {
  const { label_number, score, reason, problem, changes, since_s, online } = fields as unknown as ZoneState & {
    readonly since_s: number
  }
  const seconds = Math.min(since_s, 0xffffffff)
  return {
    registers: [
      ...[label_number, Math.round(score * 10_000), reasonNumbers[reason], changes & 0xffff],
      ...[Math.floor(seconds / 0x10000), seconds & 0xffff],
      1 + (lensProblems as readonly string[]).indexOf(problem),
    ],
    coils: [online, reason === 'none', problem !== 'none'],
  }
}

/** Throws for a template of another shape than `registers` and `coils`. */
export function checkValuesTemplate(document: unknown): void {
  const keys = typeof document === 'object' && document !== null ? Object.keys(document) : []
  const strange = keys.find((key) => key !== 'registers' && key !== 'coils')
  if (strange !== undefined || keys.length === 0)
    throw new Error(`the document has ${strange ?? 'nothing'}; a zone has registers and coils, each a list`)
  for (const [key, most] of [
    ['registers', perZone],
    ['coils', perZone - 1],
  ] as const) {
    const list = (document as Fields)[key]
    if (list !== undefined && !(Array.isArray(list) && list.length <= most))
      throw new Error(`${key} must be a list of at most ${most}`)
  }
}

/** The values that a template made; throws where one does not fit. A negative register is its two's complement. */
export function acceptValues(made: Made): ZoneValues {
  const { registers = [], coils = [] } = made as {
    readonly registers?: readonly Made[]
    readonly coils?: readonly Made[]
  }
  for (const [i, value] of registers.entries())
    if (!(Number.isInteger(value) && (value as number) >= -0x8000 && (value as number) <= 0xffff))
      throw new Error(`registers.${i} must be a whole number from -32768 to 65535 and is ${JSON.stringify(value)}`)
  for (const [i, value] of coils.entries())
    if (typeof value !== 'boolean') throw new Error(`coils.${i} must be true or false and is ${JSON.stringify(value)}`)
  return { registers: registers as readonly number[], coils: coils as readonly boolean[] }
}
