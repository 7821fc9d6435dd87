/**
 * One file of the plan cache: a compiled model, what its classifier knows of it, and fingerprints of everything it was made
 * from. It is read as hostile: its own fingerprints come first, then every number is checked here and the plan by the native
 * reader.
 *
 *     "GPLC" · version u32 · header length u32 · 0 u32 · fingerprint of the header (32 characters) · header (JSON)
 *     sections, each at the next multiple of 64: the outline of the plan, constants that the compiler computed, the file of
 *     the second part of a model in two parts, a table
 *
 * Constants that the model's file holds are not stored again: the entry has their places there.
 */
import type { Addon } from '../addon.js'
import { align64 } from '../model/plan.js'
import type { CompiledModel } from './native.js'
import { isWrittenSplit, readSplit, writtenSplit, type WrittenSplit } from './split-entry.js'

const magic = 0x434c5047 // "GPLC"
const formatVersion = 2
const prefixBytes = 48
/** Labels take most of a header; no model has so many. */
const mostHeaderBytes = 16 * 2 ** 20

/** A file and the fingerprint of its content; '' where there is none. */
export type FilePrint = readonly [path: string, fingerprint: string]

/** What is kept of an opened model. */
export interface Kept {
  readonly compiled: CompiledModel
  /** Plain data of the caller, which checks it when it is read. */
  readonly facts: unknown
  /** A table of the caller that is too large for JSON. */
  readonly table: Uint8Array | null
}

/** An entry as it was read; the files are not compared yet. */
export interface Entry extends Kept {
  /** Files that the entry holds for only as long as they stay the same. */
  readonly beside: readonly FilePrint[]
}

/** A file whose bytes the constants may be views of. */
export interface SourceFile {
  readonly path: string
  readonly bytes: Uint8Array
}

/** A constant: a section of the entry, or a place in a file. */
type Place =
  | readonly [offset: number, section: number]
  | readonly [offset: number, file: number, at: number, length: number]

interface Header {
  readonly key: string
  readonly sections: readonly (readonly [length: number, fingerprint: string])[]
  /** Files besides the model's that hold constants. */
  readonly files: readonly string[]
  readonly constants: readonly Place[]
  readonly tuned: CompiledModel['tuned']
  readonly split: WrittenSplit | null
  readonly beside: readonly FilePrint[]
  readonly hasTable: boolean
  readonly facts: unknown
}

/** The parts of an entry in the order in which they are written. The first of `sources` is the model's own file. */
export function partsOfEntry(
  { fingerprint }: Pick<Addon, 'fingerprint'>,
  key: string,
  { compiled, facts, table }: Kept,
  sources: readonly SourceFile[],
  beside: readonly FilePrint[],
): readonly Uint8Array[] {
  const sections: Uint8Array[] = [compiled.outline]
  const constants = compiled.constants.map(({ offset, bytes }): Place => {
    const file = sources.findIndex((source) => holds(source.bytes, bytes))
    if (file >= 0) return [offset, file, bytes.byteOffset - sources[file]!.bytes.byteOffset, bytes.length]
    sections.push(bytes)
    return [offset, sections.length - 1]
  })
  const split = compiled.split ? writtenSplit(compiled.split, sections.length) : null
  if (compiled.split?.partition.tail) sections.push(compiled.split.partition.tail.bytes)
  if (table) sections.push(table)
  const header: Header = {
    key,
    sections: sections.map((bytes) => [bytes.length, fingerprint(bytes)]),
    files: sources.slice(1).map(({ path }) => path),
    constants,
    tuned: compiled.tuned,
    split,
    beside,
    hasTable: table !== null,
    facts,
  }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const prefix = Buffer.alloc(prefixBytes)
  ;[magic, formatVersion, text.length, 0].forEach((word, i) => prefix.writeUInt32LE(word, i * 4))
  prefix.write(fingerprint(text), 16, 'latin1')
  return [
    prefix,
    text,
    padding(prefixBytes + text.length),
    ...sections.flatMap((bytes) => [bytes, padding(bytes.length)]),
  ]
}

const padding = (length: number): Uint8Array => new Uint8Array(align64(length) - length)

const holds = (file: Uint8Array, bytes: Uint8Array): boolean =>
  bytes.buffer === file.buffer &&
  bytes.byteOffset >= file.byteOffset &&
  bytes.byteOffset + bytes.length <= file.byteOffset + file.length

/**
 * Reads an entry. `model` is the model's file as it is now, and `open` gives the bytes of another one. Throws an Error that
 * says what is wrong.
 */
export function readEntry(
  { fingerprint }: Pick<Addon, 'fingerprint'>,
  key: string,
  bytes: Uint8Array,
  model: Uint8Array,
  open: (path: string) => Uint8Array,
): Entry {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (bytes.length < prefixBytes || view.getUint32(0, true) !== magic) throw new Error('it is no entry')
  if (view.getUint32(4, true) !== formatVersion || view.getUint32(12, true) !== 0)
    throw new Error('its version is unknown')
  const headerBytes = view.getUint32(8, true)
  if (headerBytes > mostHeaderBytes || prefixBytes + headerBytes > bytes.length) throw new Error('it is cut off')
  const text = bytes.subarray(prefixBytes, prefixBytes + headerBytes)
  const print = Buffer.from(bytes.buffer, bytes.byteOffset + 16, 32).toString('latin1')
  if (fingerprint(text) !== print) throw new Error('its header is damaged')
  const header = checkedHeader(JSON.parse(Buffer.from(text).toString('utf8')))
  if (header.key !== key) throw new Error('it belongs to another model')
  const sections = sectionsOf(bytes, prefixBytes + headerBytes, header)
  header.sections.forEach(([, expected], i) => {
    if (fingerprint(sections[i]!) !== expected) throw new Error(`its section ${i} is damaged`)
  })
  const files = [model, ...header.files.map(open)]
  return {
    compiled: {
      outline: sections[0]!,
      constants: header.constants.map((place) => constantAt(place, sections, files)),
      tuned: header.tuned,
      ...(header.split ? { split: readSplit(header.split, sections) } : {}),
    },
    facts: header.facts,
    table: header.hasTable ? sections.at(-1)! : null,
    beside: header.beside,
  }
}

function sectionsOf(bytes: Uint8Array, after: number, { sections }: Header): readonly Uint8Array[] {
  let at = align64(after)
  const found = sections.map(([length]) => {
    const section = bytes.subarray(at, at + length)
    if (section.length !== length) throw new Error('it is cut off')
    at = align64(at + length)
    return section
  })
  if (at !== bytes.length) throw new Error('it has a wrong length')
  return found
}

function constantAt(
  [offset, index, at, length]: readonly number[],
  sections: readonly Uint8Array[],
  files: readonly Uint8Array[],
): { readonly offset: number; readonly bytes: Uint8Array } {
  if (at === undefined || length === undefined) {
    const section = sections[index!]
    if (!section) throw new Error('it names a section that it does not have')
    return { offset: offset!, bytes: section }
  }
  const file = files[index!]
  if (!file || at + length > file.length) throw new Error('it names a place that the model does not have')
  return { offset: offset!, bytes: file.subarray(at, at + length) }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isText = (value: unknown): value is string => typeof value === 'string'
const isList = (value: unknown, isItem: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(isItem)
const isPair = (isFirst: (value: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.length === 2 && isFirst(value[0]) && isText(value[1])

// Checked by hand: opening a model must not load a schema library.
const checks: Readonly<Record<Exclude<keyof Header, 'facts'>, (value: unknown) => boolean>> = {
  key: isText,
  sections: (value) => isList(value, isPair(isCount)) && (value as unknown[]).length > 0,
  files: (value) => isList(value, isText),
  constants: (value) =>
    isList(value, (item) => isList(item, isCount) && [2, 4].includes((item as readonly unknown[]).length)),
  tuned: (value) => {
    const { threads, sentence } = (value ?? {}) as Record<string, unknown>
    return isText(sentence) && (threads === null || (isCount(threads) && threads >= 1 && threads <= 64))
  },
  split: isWrittenSplit,
  beside: (value) => isList(value, isPair(isText)),
  hasTable: (value) => typeof value === 'boolean',
}

function checkedHeader(value: unknown): Header {
  const header = (value ?? {}) as Record<string, unknown>
  const wrong = Object.entries(checks).find(([name, check]) => !check(header[name]))
  if (wrong) throw new Error(`its ${wrong[0]} is not as it should be`)
  return value as Header
}
