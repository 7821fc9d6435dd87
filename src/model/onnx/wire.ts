/**
 * Reads protobuf messages with bounds checks. `pbf` decodes the wire format but trusts its input; here a reader covers
 * exactly the bytes of one message, and a field that exceeds them is an error (MODEL_INVALID).
 */
import { PbfReader } from 'pbf'
import { GapcamError } from '../../errors.js'

export type FieldReader = PbfReader

const wireBytes = 2

/** Calls `onField` for each field of a message; fields that it does not read are skipped. */
export function readMessage(
  bytes: Uint8Array,
  what: string,
  onField: (field: number, reader: FieldReader) => void,
): void {
  const reader = new PbfReader(bytes)
  try {
    for (let field = next(reader, what); field !== 0; field = next(reader, what)) {
      onField(field, reader)
      checkPlace(reader, what)
    }
  } catch (error) {
    if (error instanceof GapcamError) throw error
    throw damaged(what)
  }
}

function next(reader: FieldReader, what: string): number {
  const field = reader.nextField()
  checkPlace(reader, what)
  return field
}

function checkPlace(reader: FieldReader, what: string): void {
  if (!(reader.pos <= reader.length)) throw damaged(what)
}

function damaged(what: string): GapcamError {
  return new GapcamError(
    'MODEL_INVALID',
    what === 'model'
      ? 'it is neither an ONNX nor a TFLite model, or it is cut off or damaged'
      : `not an ONNX model: the ${what} is cut off or damaged`,
  )
}

/** Reads a length-delimited field as a view of the message's bytes. */
export function bytesField(reader: FieldReader, what: string): Uint8Array {
  if (reader.type !== wireBytes) throw damaged(what)
  const length = reader.readVarint()
  const start = reader.pos
  if (!(length <= reader.length - start)) throw damaged(what)
  reader.pos = start + length
  return reader.buf.subarray(start, start + length)
}

const decoder = new TextDecoder()

/** Reads a UTF-8 string field. */
export function stringField(reader: FieldReader, what: string): string {
  return decoder.decode(bytesField(reader, what))
}

/** Reads an int64 or an enumeration; beyond 2^53 the nearest double. */
export function intField(reader: FieldReader, what: string): number {
  if (reader.type !== 0) throw damaged(what)
  return reader.readVarint(true)
}

/** Reads a 32-bit float field. */
export function floatField(reader: FieldReader, what: string): number {
  if (reader.type !== 5) throw damaged(what)
  return reader.readFloat()
}

/** Appends one field of a repeated scalar, packed or not, to `target`. */
export function repeatedField(
  reader: FieldReader,
  what: string,
  kind: 'int' | 'float' | 'double',
  target: number[],
): void {
  if (reader.type !== wireBytes) {
    target.push(scalar(reader, kind))
    return
  }
  const packed = new PbfReader(bytesField(reader, what))
  while (packed.pos < packed.length) {
    target.push(scalar(packed, kind))
    checkPlace(packed, what)
  }
}

function scalar(reader: FieldReader, kind: 'int' | 'float' | 'double'): number {
  if (kind === 'int') return reader.readVarint(true)
  return kind === 'float' ? reader.readFloat() : reader.readDouble()
}
