/**
 * Turns what the schema finds wrong into one sentence: the key, the place its value came from, and what the value must be.
 * The value itself is never repeated, since it may be a secret.
 */
import type { z } from 'zod'
import { nearestOf } from './nearest.js'
import { configKeys } from './keys.js'

/** The sentence for the first issue. `origins` says where the value of a key came from. */
export function sentenceOf(error: z.ZodError, origins: ReadonlyMap<string, string>): string {
  // A misspelled key is also one that is missing.
  const unknown = error.issues.find(({ code }) => code === 'unrecognized_keys')
  const issue = likeliest(unknown ?? error.issues[0]!)
  const key = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') return unknownKeyOf(issue, key)
  const origin = origins.get(key) ?? origins.get(String(issue.path[0]))
  const [first, , field] = issue.path
  // Flags such as --roi make a list of one camera.
  if (first === 'cameras' && origin === 'flag' && field !== undefined)
    return `--${field === 'id' ? 'camera' : String(field)}: ${demandOf(issue)}`
  return `${key}${origin ? ` (from the ${origin})` : ''}: ${demandOf(issue)}`
}

/** The issue itself, or of a union the one of the member that the value resembles most, with the path down to it. */
function likeliest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union' || !isOfZod(issue)) return issue
  // Prefer the member whose keys and whose type the value has.
  const fitting = issue.errors.filter((member) => !member.some(({ code }) => code === 'unrecognized_keys'))
  const all = (fitting.length > 0 ? fitting : issue.errors).flat()
  const best = all.find(({ code }) => code !== 'invalid_type' && code !== 'invalid_value') ?? all.at(-1)
  if (best === undefined) return issue
  const path = [...issue.path, ...best.path]
  if (best.code !== 'invalid_value') return likeliest({ ...best, path })
  return { ...best, path, values: all.flatMap((other) => (other.code === 'invalid_value' ? other.values : [])) }
}

/** A key that a group, a camera or another table does not have. */
function unknownKeyOf(issue: z.core.$ZodIssueUnrecognizedKeys, key: string): string {
  const group = issue.path
    .map((part) => (typeof part === 'number' ? '[]' : `.${String(part)}`))
    .join('')
    .slice(1)
  const known = configKeys()
    .filter((entry) => entry.key.startsWith(group))
    .map((entry) => entry.key.slice(group === '' ? 0 : group.length + 1))
  const nearest = nearestOf(issue.keys[0] ?? '', known)
  return `${[key, issue.keys[0]].filter(Boolean).join('.')} is not a key of the configuration${nearest === null ? '' : `; did you mean ${nearest}?`}`
}

const typeDemands: Readonly<Record<string, string>> = {
  string: 'must be text; put the value in quotes',
  number: 'must be a number',
  int: 'must be a whole number',
  boolean: 'must be true or false',
  object: 'must be a group of keys',
  array: 'must be a list',
  tuple: 'must be a list',
}

/** What the value must be. Messages of our own schema are used as they are; those of Zod are put in plain words. */
function demandOf(issue: z.core.$ZodIssue): string {
  if (!isOfZod(issue)) return issue.message
  switch (issue.code) {
    case 'invalid_type':
      return issue.message.endsWith('received undefined')
        ? 'must be given'
        : (typeDemands[issue.expected] ?? issue.message)
    case 'invalid_value':
      return `must be ${issue.values
        .map(String)
        .join(', ')
        .replace(/, ([^,]*)$/, ' or $1')}`
    case 'too_small':
      return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${lengthOf(issue.origin)}`
    case 'too_big':
      return `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${lengthOf(issue.origin)}`
    default:
      return issue.message
  }
}

/** Whether the message is Zod's, not one of our own schema. */
const isOfZod = ({ message }: z.core.$ZodIssue): boolean => /^(Invalid|Too|Unrecognized)/.test(message)

/** The unit of a bound: texts and lists are measured by their length. */
function lengthOf(origin: string): string {
  if (origin === 'string') return ' characters long'
  return origin === 'array' ? ' entries long' : ''
}
