/** What can be a label in review: it becomes the name of a folder when pictures are exported. */
import { unknownLabel } from '../decision/decision.js'

const mostBytes = 200

/** Why a text cannot be a label; null where it can. */
export function labelFault(text: string): string | null {
  const isControl = [...text].some((character) => character.charCodeAt(0) < 32)
  if (text === '' || text.trim() !== text || isControl)
    return 'it is empty, or has spaces at its ends or control characters'
  if (Buffer.byteLength(text) > mostBytes) return `it takes more than ${mostBytes} bytes`
  if (/[/\\]/.test(text) || text.startsWith('.'))
    return 'it cannot name a folder: it contains / or \\, or starts with a dot'
  return text === unknownLabel ? `${unknownLabel} is what gapcam says without a label` : null
}
