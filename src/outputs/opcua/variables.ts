/** The variables of a zone: their names, types and values, with a template or without. */
import type { Fields, Made } from '../template.js'

export interface VariableShape {
  readonly name: string
  readonly type: 'String' | 'Double' | 'UInt32' | 'Boolean'
}

/** What a zone has without a template. */
export const plainShapes: readonly VariableShape[] = [
  { name: 'label', type: 'String' },
  { name: 'label_number', type: 'UInt32' },
  { name: 'score', type: 'Double' },
  { name: 'prev', type: 'String' },
  { name: 'reason', type: 'String' },
  { name: 'problem', type: 'String' },
  { name: 'online', type: 'Boolean' },
  { name: 'enabled', type: 'Boolean' },
  { name: 'changes', type: 'UInt32' },
]

/** Values by name. A variable without one keeps its value. */
export type Values = Readonly<Record<string, string | number | boolean>>

export function plainVariables(fields: Fields): Values {
  return Object.fromEntries(plainShapes.map(({ name }) => [name, fields[name] as string | number | boolean]))
}

const mostVariables = 100

/** The names in a template; throws for another shape than names with values. */
export function templateShapes(document: unknown): readonly VariableShape[] {
  const names =
    typeof document === 'object' && document !== null && !Array.isArray(document) ? Object.keys(document) : []
  if (names.length === 0 || names.length > mostVariables)
    throw new Error(`the document must be 1 to ${mostVariables} names of variables, each with a value`)
  const strange = names.find((name) => !/^[\w-]+$/.test(name))
  if (strange !== undefined)
    throw new Error(`${JSON.stringify(strange)} is no name: it may have letters, digits, _ and -`)
  return names.map((name) => ({ name, type: typeOf((document as Fields)[name]) }))
}

/** The type of what a part of a template makes; that of a table is the type of its first case. */
function typeOf(part: unknown): VariableShape['type'] {
  if (typeof part === 'number') return 'Double'
  if (typeof part === 'boolean') return 'Boolean'
  if (typeof part === 'string') {
    const [, name] = /^\{\{\s*([\w-]+)\s*\}\}$/.exec(part) ?? []
    return name === 'since_s' ? 'Double' : (plainShapes.find((shape) => shape.name === name)?.type ?? 'String')
  }
  const { $value, $map, $times, $round } = (part ?? {}) as Fields
  if ($times !== undefined || $round !== undefined) return 'Double'
  const [first] = Object.values(($map as Fields | undefined) ?? {})
  if (first !== undefined) return typeOf(first)
  return $value === undefined ? 'String' : typeOf($value)
}

/** Throws where a changed template has other names than the first one: clients have found those. */
export function checkSameNames(document: unknown, shapes: readonly VariableShape[]): void {
  const names = templateShapes(document).map(({ name }) => name)
  const other = names.find((name) => !shapes.some((shape) => shape.name === name))
  if (other !== undefined) throw new Error(`${other} is a new variable, which needs a restart`)
}

const jsTypes = { String: 'string', Double: 'number', UInt32: 'number', Boolean: 'boolean' } as const

/** The values that a template made; throws where one has another type than its variable. */
export function acceptVariables(made: Made, shapes: readonly VariableShape[]): Values {
  const found = made as Readonly<Record<string, string | number | boolean | null>>
  const entries = shapes.flatMap(({ name, type }) => {
    const value = found[name]
    if (value === undefined || value === null) return []
    const fits =
      typeof value === jsTypes[type] && (type !== 'UInt32' || (Number.isInteger(value) && (value as number) >= 0))
    if (!fits) throw new Error(`${name} is a ${type} and cannot be ${JSON.stringify(value)}`)
    return [[name, value] as const]
  })
  return Object.fromEntries(entries)
}
