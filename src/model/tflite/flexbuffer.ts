/**
 * Reads a FlexBuffer whose root is a map of numbers and truths: the options of operators that TFLite does not define
 * itself. Values of other types are left out.
 * https://flatbuffers.dev/internals: FlexBuffers
 */
import { GapcamError } from '../../errors.js'

/** Types of values, in the upper six bits of a packed type; the lower two are the logarithm of the width in bytes. */
const map = 9
const readers: Readonly<Record<number, 'int' | 'uint' | 'float'>> = { 1: 'int', 2: 'uint', 3: 'float', 26: 'uint' }
/** The same numbers behind an offset. */
const indirect: Readonly<Record<number, 'int' | 'uint' | 'float'>> = { 6: 'int', 7: 'uint', 8: 'float' }

const mostFields = 1000

/** The numbers of the root map by name. Throws MODEL_INVALID for bytes that are no such map. */
export function numbersOfFlexbuffer(bytes: Uint8Array): ReadonlyMap<string, number> {
  try {
    return rootNumbers(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  } catch (error) {
    // A DataView throws this for every place outside.
    if (!(error instanceof RangeError)) throw error
    throw new GapcamError('MODEL_INVALID', 'the options of an operator are damaged')
  }
}

function rootNumbers(bytes: Uint8Array, view: DataView): ReadonlyMap<string, number> {
  const width = view.getUint8(bytes.length - 1)
  const packed = view.getUint8(bytes.length - 2)
  const root = bytes.length - 2 - width
  if (packed >> 2 !== map) throw new RangeError('not a map')
  const unit = 1 << (packed & 3)
  const values = root - number(view, root, 'uint', width)
  const count = number(view, values - unit, 'uint', unit)
  if (count > mostFields) throw new RangeError('too many fields')
  const keyUnit = number(view, values - 2 * unit, 'uint', unit)
  const keys = values - 3 * unit - number(view, values - 3 * unit, 'uint', unit)
  const result = new Map<string, number>()
  for (let i = 0; i < count; i++) {
    const key = keys + i * keyUnit
    const name = textAt(bytes, key - number(view, key, 'uint', keyUnit))
    const type = view.getUint8(values + count * unit + i)
    const at = values + i * unit
    const [direct, far] = [readers[type >> 2], indirect[type >> 2]]
    if (direct) result.set(name, number(view, at, direct, unit))
    else if (far) result.set(name, number(view, at - number(view, at, 'uint', unit), far, 1 << (type & 3)))
  }
  return result
}

function textAt(bytes: Uint8Array, at: number): string {
  const end = bytes.indexOf(0, at)
  if (at < 0 || end < 0) throw new RangeError('a name without an end')
  return Buffer.from(bytes.subarray(at, end)).toString()
}

function number(view: DataView, at: number, kind: 'int' | 'uint' | 'float', width: number): number {
  if (kind === 'float' && width === 8) return view.getFloat64(at, true)
  if (kind === 'float' && width === 4) return view.getFloat32(at, true)
  if (kind === 'float' || ![1, 2, 4, 8].includes(width)) throw new RangeError(`a number of ${width} bytes`)
  if (width === 8) return Number(kind === 'int' ? view.getBigInt64(at, true) : view.getBigUint64(at, true))
  if (width === 4) return kind === 'int' ? view.getInt32(at, true) : view.getUint32(at, true)
  if (width === 2) return kind === 'int' ? view.getInt16(at, true) : view.getUint16(at, true)
  return kind === 'int' ? view.getInt8(at) : view.getUint8(at)
}
