/** Labels as states of Home Assistant, which has rules of its own about length, space and the word `None`. */
import { unknownLabel } from '../../decision/decision.js'

/**
 * As options of an enumeration, labels can be chosen in the automation editor. Beyond these limits the sensor is plain
 * text: Home Assistant writes the whole list into every complaint, the frontend loads it with the page, and brokers
 * limit the size of a message.
 */
const maxOptions = 255
const maxOptionBytes = 8192
/** The longest text state. */
export const maxStateLength = 255
/** What Python's str.strip() removes: Home Assistant strips the result of a template. */
const pythonSpace = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+'
const outerSpace = new RegExp(`^${pythonSpace}|${pythonSpace}$`, 'g')

/** The template that makes a state of a label. */
export const labelTemplate = `{% set label = (value_json.label|trim)[:${maxStateLength}]|trim %}{{ 'none' if label == 'None' else label }}`

/**
 * The state that `labelTemplate` makes of a label. `None` becomes `none`, since Home Assistant reads `None` as unknown.
 */
export function stateOf(label: string): string {
  const strip = (text: string): string => text.replace(outerSpace, '')
  const text = strip([...strip(label)].slice(0, maxStateLength).join(''))
  return text === 'None' ? 'none' : text
}

/** The labels as an enumeration, where they are few and short enough; else nothing. */
export function optionsOf(labels: readonly string[]): Readonly<Record<string, unknown>> {
  const options = [...new Set([...labels.map(stateOf), unknownLabel])].filter((option) => option !== '')
  const fits = options.length <= maxOptions && Buffer.byteLength(JSON.stringify(options)) <= maxOptionBytes
  return fits ? { device_class: 'enum', options } : {}
}
