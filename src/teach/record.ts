/**
 * What is known of a taught head, as plain data: its states and pictures as they are now, the lesson that serves, and the one
 * before it. All functions are pure. The pictures themselves are files that `store.ts` keeps.
 */
import { z } from 'zod'
import { stateFault } from './names.js'

const state = z.string().refine((text) => stateFault(text) === null, 'is no state')
const id = z.string().regex(/^[0-9a-f]{24}$/)
const digest = z.string().regex(/^[0-9a-f]{64}$/)

const picture = z.strictObject({
  /** The start of the digest of its bytes, and the name of its file, which holds a picture or the frames of a clip. */
  id,
  /** Null: it shows none of the states. */
  state: state.nullable(),
  /** When it was taken; null where that is unknown. Milliseconds since 1970. */
  atMs: z.number().nullable(),
})
/** A picture that is kept. */
export type KeptPicture = z.output<typeof picture>

const answer = z.strictObject({ label: z.string(), score: z.number(), leftOut: z.string().nullable() })

const counts = z.record(z.string(), z.number())
const report = z.strictObject({
  pictures: counts,
  accuracy: z.number().nullable(),
  interval: z.tuple([z.number(), z.number()]).nullable(),
  groups: z.number(),
  confusion: z.record(z.string(), counts),
  weakest: z.string().nullable(),
  doubts: z.array(z.strictObject({ id, taught: z.string(), called: z.string(), score: z.number() })),
  enough: z.boolean(),
  advice: z.string(),
})
/** The report on a lesson that serves, with pictures by their ids. */
export type KeptReport = z.output<typeof report>

const lesson = z.strictObject({
  states: z.array(state),
  pictures: z.array(picture),
  /** Digest of the head, and the name of its file. */
  head: digest,
  /** The network that the head belongs to. */
  model: z.strictObject({
    name: z.string(),
    sha256: digest,
    width: z.int(),
    height: z.int(),
    /** Of a network over clips: how they are made of frames, and where its file lies. */
    clip: z.strictObject({ frames: z.int().min(2), everyMs: z.number() }).optional(),
    path: z.string().optional(),
  }),
  fittedMs: z.number(),
  answers: z.record(id, answer),
  report,
  /** Means of the novelty and of brightness, contrast and sharpness of the taught pictures. */
  usual: z.strictObject({ distance: z.number(), score: z.number(), sight: z.array(z.number()).length(3) }),
})
/** What a head was fitted to, with the head. */
export type KeptLesson = z.output<typeof lesson>

/** Checks a record. */
export const recordSchema = z.strictObject({
  version: z.literal(1),
  /** Rises with each change. */
  revision: z.int().min(0),
  states: z.array(state),
  pictures: z.array(picture),
  served: lesson.nullable(),
  before: lesson.nullable(),
})
/** All that is known of a taught head. */
export type HeadRecord = z.output<typeof recordSchema>

/** The record of a head that nothing was taught. */
export const emptyRecord: HeadRecord = {
  version: 1,
  revision: 0,
  states: [],
  pictures: [],
  served: null,
  before: null,
}

/** Pictures of one state that are kept; when another comes, the oldest goes. */
export const mostPictures = 100
/** States of one head. */
export const mostStates = 50
/** Pictures of one head: the time of a fit rises with the third power of their number. */
export const mostInAll = 1500

/** Pictures of a state that a head of so many states is fitted to. */
export const mostOfState = (states: number): number => Math.min(mostPictures, Math.floor(mostInAll / states))

/** At most so many of the files, evenly spread. */
export function thinned(files: readonly string[], most: number): readonly string[] {
  if (files.length <= most) return files
  return Array.from({ length: most }, (_, i) => files[Math.floor((i * files.length) / most)]!)
}

/**
 * The record with a picture more. The same picture again only moves to the state. The oldest one of a full state goes, and that of
 * the state with the most pictures where the head is full.
 */
export function withPicture(record: HeadRecord, added: KeptPicture): HeadRecord {
  const others = record.pictures.filter((each) => each.id !== added.id)
  const ofState = (state: string | null): readonly KeptPicture[] => others.filter((each) => each.state === state)
  const most = [...new Set(others.map(({ state }) => state))].map(ofState).sort((a, b) => b.length - a.length)[0]
  const full = others.length < mostInAll ? ofState(added.state) : most!
  const dropped = full.length < mostPictures && others.length < mostInAll ? null : full[0]!
  return withStates({ ...record, pictures: [...others.filter((each) => each !== dropped), added] })
}

/** The record without a picture; a state without pictures is none. */
export function withoutPicture(record: HeadRecord, removed: string): HeadRecord {
  return withStates({ ...record, pictures: record.pictures.filter((each) => each.id !== removed) })
}

/** The record with a picture under another state. */
export function withMoved(record: HeadRecord, moved: string, to: string | null): HeadRecord {
  return withStates({
    ...record,
    pictures: record.pictures.map((each) => (each.id === moved ? { ...each, state: to } : each)),
  })
}

/** The record with another name for a state. Where that is a state too both are one, which keeps its newest pictures. */
export function withRenamed(record: HeadRecord, from: string, to: string): HeadRecord {
  const pictures = record.pictures.map((each) => (each.state === from ? { ...each, state: to } : each))
  const own = pictures.filter((each) => each.state === to)
  const dropped = new Set(own.slice(0, Math.max(0, own.length - mostPictures)))
  return withStates({
    ...record,
    states: record.states.map((each) => (each === from ? to : each)),
    pictures: pictures.filter((each) => !dropped.has(each)),
  })
}

/** The record without a state and its pictures. */
export function withoutState(record: HeadRecord, removed: string): HeadRecord {
  return withStates({ ...record, pictures: record.pictures.filter((each) => each.state !== removed) })
}

/** The record whose new lesson serves; the one before stays for `undone`. */
export function withServed(record: HeadRecord, served: KeptLesson): HeadRecord {
  const isSame = record.served?.head === served.head
  return { ...record, served, before: isSame ? record.before : (record.served ?? record.before) }
}

/** Whether pictures or their states have changed since the head was fitted. */
export function isChanged({ pictures, served }: HeadRecord): boolean {
  return served !== null && textOf(pictures) !== textOf(served.pictures)
}

const textOf = (pictures: readonly KeptPicture[]): string =>
  JSON.stringify(pictures.map(({ id: name, state: label }) => [name, label]).sort())

/**
 * The record after undoing: pictures that were not fitted go, else the lesson before serves again, and undoing once more takes
 * that back. Null where there is nothing to undo.
 */
export function undone(record: HeadRecord): HeadRecord | null {
  const { served, before } = record
  if (served && isChanged(record)) return { ...record, states: served.states, pictures: served.pictures }
  if (!before) return null
  return { ...record, states: before.states, pictures: before.pictures, served: before, before: served }
}

/** States in the order in which they came. */
function withStates(record: HeadRecord): HeadRecord {
  const present = new Set(record.pictures.flatMap((each) => (each.state === null ? [] : [each.state])))
  return { ...record, states: [...new Set([...record.states, ...present])].filter((each) => present.has(each)) }
}

/** Ids of all pictures that the record needs. */
export function picturesOf({ pictures, served, before }: HeadRecord): ReadonlySet<string> {
  const all = [...pictures, ...(served?.pictures ?? []), ...(before?.pictures ?? [])]
  return new Set(all.map((each) => each.id))
}
