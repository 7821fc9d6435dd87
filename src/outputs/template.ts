/**
 * A mapping template: YAML whose texts hold placeholders such as `{{label}}`. It turns the fields of an event or of a zone
 * into what another system expects. It computes nothing but the four `$` keys, so it always ends. docs/outputs.md has the form.
 */
import { parse } from 'yaml'
import { messageOf } from '../errors.js'

export type Fields = Readonly<Record<string, unknown>>

/** What a template makes. A part whose field is absent is undefined: an object leaves it out. */
export type Made = undefined | null | boolean | number | string | readonly Made[] | { readonly [key: string]: Made }

/** Throws an error with one sentence where these fields have no result. */
export type Template = (fields: Fields) => Made

/** A larger file is no template. */
const mostBytes = 64 * 1024
const mostDepth = 16
const placeholder = /\{\{\s*([\w-]+(?:\.[\w-]+)*)\s*\}\}/g
const onlyPlaceholder = /^\{\{\s*([\w-]+(?:\.[\w-]+)*)\s*\}\}$/
const specialKeys: readonly string[] = ['$value', '$map', '$else', '$times', '$round']

/**
 * Reads a template. `names` are the fields that exist; `check` looks at the document before, and may throw. Throws an error
 * with one sentence for a text that is none.
 *
 *     const toText = parseTemplate('text: "{{place}} is {{label}}"', ['place', 'label'])
 *     toText({ place: 'cam0', label: 'open' }) // { text: 'cam0 is open' }
 */
export function parseTemplate(
  text: string,
  names: readonly string[],
  check: (document: unknown) => void = () => undefined,
): Template {
  if (Buffer.byteLength(text) > mostBytes) throw new Error(`it is larger than ${mostBytes / 1024} KiB`)
  const document: unknown = parse(text, { maxAliasCount: 100 })
  if (document === null || document === undefined) throw new Error('it is empty')
  check(document)
  return compile(document, new Set(names), [])
}

/** Where in the document something is, for messages. */
type Path = readonly (string | number)[]

function compile(part: unknown, names: ReadonlySet<string>, path: Path): Template {
  if (path.length > mostDepth) throw wrong(path, `is more than ${mostDepth} levels deep`)
  if (typeof part === 'string') return compileText(part, names, path)
  if (Array.isArray(part)) {
    const items = part.map((item, i) => compile(item, names, [...path, i]))
    return (fields) => items.map((item) => item(fields))
  }
  if (typeof part === 'object' && part !== null) return compileObject(part as Fields, names, path)
  return () => part as Made
}

function compileObject(part: Fields, names: ReadonlySet<string>, path: Path): Template {
  if (Object.keys(part).some((key) => key.startsWith('$'))) return compileSpecial(part, names, path)
  const entries = Object.entries(part).map(([key, value]) => [key, compile(value, names, [...path, key])] as const)
  return (fields) => {
    const made = entries.map(([key, template]) => [key, template(fields)] as const)
    return Object.fromEntries(made.filter(([, value]) => value !== undefined))
  }
}

/** A text that is one placeholder has the value with its type. In other texts an absent field is empty. */
function compileText(text: string, names: ReadonlySet<string>, path: Path): Template {
  for (const [whole, name = ''] of text.matchAll(placeholder))
    if (!names.has(name.split('.')[0]!))
      throw wrong(path, `has ${whole}, which no field has; the fields are ${[...names].join(', ')}`)
  const rest = text.replaceAll(placeholder, '')
  if (rest.includes('{{') || rest.includes('}}'))
    throw wrong(path, `has a placeholder that is not like {{label}}: ${JSON.stringify(text)}`)
  const [, only] = onlyPlaceholder.exec(text) ?? []
  if (only !== undefined) return (fields) => fieldOf(fields, only) as Made
  return (fields) => text.replaceAll(placeholder, (_, name: string) => shown(fieldOf(fields, name)))
}

/** `{ $value, $map, $else, $times, $round }`: a value, looked up in a table or scaled. */
function compileSpecial(part: Fields, names: ReadonlySet<string>, path: Path): Template {
  const strange = Object.keys(part).find((key) => !specialKeys.includes(key))
  if (strange !== undefined)
    throw wrong(path, `has ${strange} beside a key with $; such a part has only ${specialKeys.join(', ')}`)
  const { $value, $map, $else, $times, $round } = part
  if ($value === undefined) throw wrong(path, 'has no $value')
  if ($map !== undefined && (typeof $map !== 'object' || $map === null || Array.isArray($map)))
    throw wrong([...path, '$map'], 'must be a table of values')
  if ($else !== undefined && $map === undefined) throw wrong(path, 'has $else without $map')
  if ($times !== undefined && !(typeof $times === 'number' && Number.isFinite($times)))
    throw wrong([...path, '$times'], 'must be a number')
  if ($round !== undefined && !(Number.isInteger($round) && Math.abs(($round as number) - 5) <= 5))
    throw wrong([...path, '$round'], 'must be a number of decimal places, 0 to 10')
  const input = compile($value, names, [...path, '$value'])
  const otherwise = $else === undefined ? null : compile($else, names, [...path, '$else'])
  const table = new Map(
    Object.entries(($map as Fields | undefined) ?? {}).map(([key, to]) => [
      key,
      compile(to, names, [...path, '$map', key]),
    ]),
  )
  return (fields) => {
    let value = input(fields)
    if ($map !== undefined) {
      const to = (value === undefined ? undefined : table.get(shown(value))) ?? otherwise
      if (!to) throw wrong(path, `has no case for ${value === undefined ? 'an absent value' : JSON.stringify(value)}`)
      value = to(fields)
    }
    if (($times === undefined && $round === undefined) || value === undefined) return value
    return scaled(value, path, ($times as number | undefined) ?? 1, $round as number | undefined)
  }
}

function scaled(value: Made, path: Path, times: number, places: number | undefined): number {
  if (typeof value !== 'number') throw wrong(path, `needs a number and has ${JSON.stringify(value)}`)
  const product = value * times
  return places === undefined ? product : Math.round(product * 10 ** places) / 10 ** places
}

/** `top.0.label` is the label of the first entry of `top`. Undefined where a level is absent. */
function fieldOf(fields: Fields, name: string): unknown {
  let value: unknown = fields
  for (const key of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Fields)[key]
  }
  return value
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean)
}

function wrong(path: Path, what: string): Error {
  return new Error(`${path.length === 0 ? 'the document' : path.join('.')} ${what}`)
}

/** The first line of an error: a YAML error continues with a drawing. */
export function templateFault(error: unknown): string {
  return messageOf(error).split('\n')[0]!.replace(/:$/, '')
}
