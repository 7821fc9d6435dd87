/**
 * Reads FlatBuffers with every offset checked. A table is a position in the bytes; its fields are found through its
 * vtable. A damaged buffer is a MODEL_INVALID with one sentence; no read leaves the bytes. Format:
 * https://flatbuffers.dev/internals/
 */
import { GapcamError } from '../../errors.js'

const decoder = new TextDecoder()

function damaged(): GapcamError {
  return new GapcamError('MODEL_INVALID', 'not a TFLite model: the file is cut off or damaged')
}

/** The bytes of one FlatBuffer, little-endian. */
class Buffer {
  readonly bytes: Uint8Array
  readonly view: DataView

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Throws unless `length` bytes from `at` on lie inside. */
  check(at: number, length: number): void {
    if (!(at >= 0 && length >= 0 && at + length <= this.bytes.length)) throw damaged()
  }

  u16(at: number): number {
    this.check(at, 2)
    return this.view.getUint16(at, true)
  }

  i32(at: number): number {
    this.check(at, 4)
    return this.view.getInt32(at, true)
  }

  u32(at: number): number {
    this.check(at, 4)
    return this.view.getUint32(at, true)
  }

  /** The position that an unsigned offset at `at` points to. */
  target(at: number): number {
    const to = at + this.u32(at)
    this.check(to, 4)
    return to
  }
}

/** One vector of a table: its first element and its length, in elements of `size` bytes that all lie inside. */
interface Vector {
  readonly at: number
  readonly length: number
}

/** A table of a FlatBuffer. Fields are named by their index in the schema; an absent field has the schema's default. */
export class Table {
  readonly #buffer: Buffer
  readonly #at: number
  readonly #vtable: number
  readonly #vtableBytes: number

  private constructor(buffer: Buffer, at: number) {
    this.#buffer = buffer
    this.#at = at
    this.#vtable = at - buffer.i32(at)
    this.#vtableBytes = buffer.u16(this.#vtable)
    buffer.check(this.#vtable, this.#vtableBytes)
  }

  /** The root table of a buffer. Throws MODEL_INVALID for a buffer without one. */
  static root(bytes: Uint8Array): Table {
    const buffer = new Buffer(bytes)
    return new Table(buffer, buffer.target(0))
  }

  /** Where a field's value lies; 0 where the field is absent. */
  #field(index: number): number {
    const slot = 4 + 2 * index
    if (slot + 2 > this.#vtableBytes) return 0
    const offset = this.#buffer.u16(this.#vtable + slot)
    return offset === 0 ? 0 : this.#at + offset
  }

  /** A signed byte, also for enumerations of one byte. */
  byte(index: number, fallback = 0): number {
    const at = this.#field(index)
    if (at === 0) return fallback
    this.#buffer.check(at, 1)
    return this.#buffer.view.getInt8(at)
  }

  bool(index: number): boolean {
    return this.byte(index) !== 0
  }

  int(index: number, fallback = 0): number {
    const at = this.#field(index)
    return at === 0 ? fallback : this.#buffer.i32(at)
  }

  float(index: number, fallback = 0): number {
    const at = this.#field(index)
    if (at === 0) return fallback
    this.#buffer.check(at, 4)
    return this.#buffer.view.getFloat32(at, true)
  }

  /** A ulong; beyond 2^53 it is the nearest number. */
  long(index: number): number {
    const at = this.#field(index)
    if (at === 0) return 0
    this.#buffer.check(at, 8)
    return Number(this.#buffer.view.getBigUint64(at, true))
  }

  table(index: number): Table | null {
    const at = this.#field(index)
    return at === 0 ? null : new Table(this.#buffer, this.#buffer.target(at))
  }

  string(index: number): string {
    return decoder.decode(this.bytes(index))
  }

  /** A vector of bytes as a view of the file; empty where it is absent. */
  bytes(index: number): Uint8Array {
    const { at, length } = this.#vector(index, 1)
    return this.#buffer.bytes.subarray(at, at + length)
  }

  ints(index: number): number[] {
    return this.#elements(index, 4, (at) => this.#buffer.view.getInt32(at, true))
  }

  /** Unsigned numbers of 16 bits. */
  shorts(index: number): number[] {
    return this.#elements(index, 2, (at) => this.#buffer.view.getUint16(at, true))
  }

  floats(index: number): number[] {
    return this.#elements(index, 4, (at) => this.#buffer.view.getFloat32(at, true))
  }

  longs(index: number): number[] {
    return this.#elements(index, 8, (at) => Number(this.#buffer.view.getBigInt64(at, true)))
  }

  tables(index: number): Table[] {
    return this.#elements(index, 4, (at) => new Table(this.#buffer, this.#buffer.target(at)))
  }

  #elements<T>(index: number, size: number, read: (at: number) => T): T[] {
    const { at, length } = this.#vector(index, size)
    return Array.from({ length }, (_, i) => read(at + i * size))
  }

  #vector(index: number, size: number): Vector {
    const field = this.#field(index)
    if (field === 0) return { at: 0, length: 0 }
    const start = this.#buffer.target(field)
    const length = this.#buffer.u32(start)
    this.#buffer.check(start + 4, length * size)
    return { at: start + 4, length }
  }
}
