/**
 * A command's payload as plain data: JSON, or plain text where one value says it all. Its fields are checked in
 * run/commands/commands.ts.
 */

export interface ParsedRequest {
  readonly transaction?: string | number | undefined
  readonly fields: Readonly<Record<string, unknown>>
}

const maxTransactionLength = 64
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * How a payload becomes fields. `camera`: plain text is the id of a camera, or nothing; `name`: it is the field `name`, or
 * nothing. `value`: it is the field
 * `value`. `switch`: the same, with ON and OFF. `values`: the keys of an object are the field `values`.
 */
export type BarePayload = 'camera' | 'name' | 'value' | 'switch' | 'values'

/** Parses `ON`, `0.5`, `PRESS`, `cam0` or JSON; for anything else it says what is wrong. */
export function parseRequest(bare: BarePayload, payload: Buffer): ParsedRequest | { readonly error: string } {
  let text: string
  try {
    text = utf8.decode(payload).trim()
  } catch {
    return { error: 'not UTF-8 text' }
  }
  const value = parsedOrText(text)
  if (typeof value !== 'object' || value === null) return { fields: fieldsOfText(bare, value) }
  if (Array.isArray(value)) return { error: 'an object or plain text is needed, not a list' }
  const { transaction, ...fields } = value as Record<string, unknown>
  if (!isTransaction(transaction))
    return { error: `transaction: must be a number or text of at most ${maxTransactionLength} characters` }
  return { transaction, fields: fieldsOfObject(bare, fields) }
}

function isTransaction(value: unknown): value is string | number | undefined {
  return (
    value === undefined ||
    typeof value === 'number' ||
    (typeof value === 'string' && value.length <= maxTransactionLength)
  )
}

/** Text that is not JSON stays text; the check of the fields then refuses an unfinished object. */
function parsedOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function fieldsOfObject(bare: BarePayload, fields: Record<string, unknown>): Readonly<Record<string, unknown>> {
  if (bare === 'values') return { values: fields }
  return bare === 'switch' ? { ...fields, value: switchOf(fields['value']) } : fields
}

function fieldsOfText(bare: BarePayload, value: unknown): Readonly<Record<string, unknown>> {
  if (bare === 'switch') return { value: switchOf(value) }
  if (bare === 'value') return { value: value === '' ? undefined : value }
  if (bare === 'values') return { values: value }
  // These come from a button or an update entity of Home Assistant.
  if (value === '' || value === 'PRESS' || value === 'latest') return {}
  return bare === 'name' ? { name: value } : { camera: value }
}

/** ON and OFF in any case, 1 and 0; any other value stays and is refused later. */
function switchOf(value: unknown): unknown {
  const word = typeof value === 'string' ? value.toUpperCase() : value
  if (word === 'ON' || word === 1) return true
  return word === 'OFF' || word === 0 ? false : value
}
