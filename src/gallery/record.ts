/** What is known of a gallery, as plain data. All functions are pure. */
import { z } from 'zod'
import { unknownLabel } from '../decision/decision.js'
import { nameFault } from '../teach/names.js'

const mostLetters = 64

/** Words of `gapcam gallery`. */
const words = ['enrol', 'list', 'match', 'merge', 'rename', 'forget', 'calibrate', 'export']

/** Why a text cannot be the name of a gallery; null where it can. */
export function galleryFault(text: string): string | null {
  return nameFault(text) ?? (words.includes(text) ? `reserved are ${words.join(', ')}` : null)
}

/** Why a text cannot be a name in a gallery; null where it can. It is a label, never a part of a path. */
export function personFault(text: string): string | null {
  const isControl = [...text].some((character) => character.charCodeAt(0) < 32)
  if (text !== '' && text.trim() === text && [...text].length <= mostLetters && !isControl && text !== unknownLabel)
    return null
  return `a name has 1 to ${mostLetters} characters, none of them a control character, no space at its ends, and is not ${unknownLabel}`
}

const named = z.strictObject({
  name: z.string().refine((text) => personFault(text) === null, 'is no name'),
  /** The start of the digest of each picture, which names its files. */
  pictures: z.array(z.string().regex(/^[0-9a-f]{24}$/)),
})

const calibration = z.strictObject({
  threshold: z.number(),
  scale: z.number(),
  rate: z.number(),
  impostors: z.number(),
  accepted: z.number(),
  genuine: z.number(),
  rejected: z.number(),
})

/** Checks a record. */
export const recordSchema = z.strictObject({
  version: z.literal(1),
  /** The network; its digest tells when another one lies there. */
  model: z.strictObject({ path: z.string(), sha256: z.string() }),
  names: z.array(named),
  /** Null: nothing is enrolled. */
  calibration: calibration.nullable(),
  /** Share of impostors that may pass. */
  rate: z.number().gt(0).lt(1),
  /** The file of the model that zones use, in the gallery's folder; null: nothing is enrolled. */
  file: z
    .string()
    .regex(/^[0-9a-f]{16}\.onnx$/)
    .nullable(),
  /** What has left the device, by commands of gapcam. */
  left: z.array(z.strictObject({ atMs: z.number(), what: z.string(), names: z.array(z.string()) })),
})
/** All that is known of a gallery. */
export type GalleryRecord = z.output<typeof recordSchema>

/** Pictures of one name that are kept; when another comes, the oldest goes. */
const mostPictures = 50
/** Names of one gallery. */
const mostNames = 500

/** The record with pictures more. A picture that another name has stays there: `fault` says so. */
export function enrolled(
  record: GalleryRecord,
  name: string,
  ids: readonly string[],
): GalleryRecord | { readonly fault: string } {
  const other = record.names.find((each) => each.name !== name && each.pictures.some((id) => ids.includes(id)))
  if (other) return { fault: `the same picture is enrolled as ${other.name}` }
  const before = record.names.find((each) => each.name === name)?.pictures ?? []
  const pictures = [...before.filter((id) => !ids.includes(id)), ...ids].slice(-mostPictures)
  const names = record.names.filter((each) => each.name !== name)
  if (names.length >= mostNames) return { fault: `a gallery has at most ${mostNames} names` }
  return { ...record, names: sorted([...names, { name, pictures }]) }
}

/** The record with all pictures of one name under another, which may be new. */
export function moved(record: GalleryRecord, from: string, into: string): GalleryRecord {
  const ids = picturesOf(record, from)
  const both = [...new Set([...picturesOf(record, into), ...ids])].slice(-mostPictures)
  const names = record.names.filter(({ name }) => name !== from && name !== into)
  return { ...record, names: sorted([...names, { name: into, pictures: both }]) }
}

/** The record without a name. */
export function forgotten(record: GalleryRecord, name: string): GalleryRecord {
  return { ...record, names: record.names.filter((each) => each.name !== name) }
}

/** Pictures of a name. */
function picturesOf({ names }: GalleryRecord, name: string): readonly string[] {
  return names.find((each) => each.name === name)?.pictures ?? []
}

const sorted = <T extends { readonly name: string }>(names: readonly T[]): T[] =>
  names.toSorted((a, b) => (a.name < b.name ? -1 : 1))
