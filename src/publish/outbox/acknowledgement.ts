/** A consumer's message on `R/ack`: `{"boot": "…", "through": 18231}` says that it has all events up to this number. */

export interface Acknowledgement {
  readonly boot: string
  readonly through: number
}

const maxBytes = 1024

/** Null for any other payload. */
export function acknowledgementOf(payload: Buffer): Acknowledgement | null {
  if (payload.length > maxBytes) return null
  let value: unknown
  try {
    value = JSON.parse(payload.toString())
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { boot, through } = value as Partial<Record<keyof Acknowledgement, unknown>>
  return typeof boot === 'string' && Number.isSafeInteger(through) && (through as number) >= 0
    ? { boot, through: through as number }
    : null
}
