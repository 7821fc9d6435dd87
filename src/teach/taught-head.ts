/**
 * A head that is taught picture by picture: pictures come and go, a new head is fitted, tried on all of them and put in place of
 * the one before. Callers wait for each other; a fit that fails leaves everything as it was.
 */
import { GapcamError, isOfOnePicture } from '../errors.js'
import { decodeShown, isClip } from '../pixels/clip.js'
import { decodePicture } from '../pixels/decode.js'
import { encodeJpeg } from '../pixels/jpeg.js'
import { looksToFit, type TaughtLook } from './head.js'
import { lookCount, packed, unpacked, type Seen } from './looks.js'
import { folderOf, nameFault, stateFault } from './names.js'
import { readHead } from './head-file.js'
import type { ZippedFile } from './zip.js'
import {
  isChanged,
  mostStates,
  undone,
  withMoved,
  withoutPicture,
  withoutState,
  withPicture,
  withRenamed,
  withServed,
  type HeadRecord,
  type KeptLesson,
  type KeptPicture,
  type KeptReport,
} from './record.js'
import { reportOf, type Report } from './report.js'
import { openHeadStore, type HeadStore } from './store.js'
import type { Teacher } from './teacher.js'
import { tryHead } from './trial.js'

/** Called after each picture that a fit has looked at. */
export type FitProgress = (done: number, all: number) => void

/** A head in a state directory, whether it exists already or not. */
export class TaughtHead {
  readonly store: HeadStore
  readonly #seen = new Map<string, readonly Seen[]>()
  #busy: Promise<unknown> = Promise.resolve()

  constructor(store: HeadStore) {
    this.store = store
  }

  get record(): HeadRecord {
    return this.store.record
  }

  /** Whether there are two states to tell apart, and pictures or states that the head that serves does not know. */
  get needsFit(): boolean {
    const { states, served } = this.record
    return states.length > 1 && (served === null || isChanged(this.record))
  }

  /**
   * Keeps a picture or a clip of a state; null: of none of them. Rejects with PICTURE_INVALID, USAGE for a state that cannot be one or for a
   * picture that another state has, and HEAD_NOT_WRITTEN. A correction takes the picture from the other state.
   */
  async add(state: string | null, bytes: Uint8Array, atMs: number | null, isCorrection = false): Promise<KeptPicture> {
    checkState(state)
    const id = await this.store.keepPicture(await smallEnough(bytes))
    const added: KeptPicture = { id, state, atMs }
    await this.store.change((record) => {
      const same = record.pictures.find((each) => each.id === id)
      if (same && same.state !== state && !isCorrection)
        throw new GapcamError('USAGE', `the same picture is taught as ${same.state ?? 'none of the states'} already`, {
          hint: 'Move it to the other state, or remove it first.',
        })
      if (state !== null && !record.states.includes(state) && record.states.length >= mostStates)
        throw new GapcamError('USAGE', `a head has at most ${mostStates} states`)
      return withPicture(record, added)
    })
    return added
  }

  /** Teaches these pictures instead of those that there are, in one change. Rejects as `add`. */
  async replace(pictures: readonly { readonly state: string | null; readonly bytes: Uint8Array }[]): Promise<void> {
    const kept: KeptPicture[] = []
    for (const { state, bytes } of pictures) {
      checkState(state)
      kept.push({ id: await this.store.keepPicture(await smallEnough(bytes)), state, atMs: null })
    }
    await this.store.change((record) => kept.reduce(withPicture, { ...record, states: [], pictures: [] }))
  }

  /** Removes a picture. The lesson before keeps it until it is no longer needed for undoing. */
  async remove(id: string): Promise<void> {
    await this.store.change((record) => withoutPicture(this.#known(record, id), id))
  }

  /** Puts a picture under another state. */
  async move(id: string, state: string | null): Promise<void> {
    checkState(state)
    await this.store.change((record) => withMoved(this.#known(record, id), id, state))
  }

  /** Gives a state another name; that of another state joins both. Rejects with USAGE for a state that is not there, or cannot be. */
  async rename(from: string, to: string): Promise<void> {
    checkState(to)
    await this.store.change((record) => withRenamed(this.#stated(record, from), from, to))
  }

  /** Removes a state with its pictures. The lesson before keeps them until they are no longer needed for undoing. */
  async removeState(state: string): Promise<void> {
    await this.store.change((record) => withoutState(this.#stated(record, state), state))
  }

  /** Takes the last change back. Rejects with USAGE where there is none. */
  async undo(): Promise<void> {
    await this.store.change((record) => {
      const earlier = undone(record)
      if (!earlier) throw new GapcamError('USAGE', `head ${this.store.name} has nothing to undo`)
      return earlier
    })
  }

  #known(record: HeadRecord, id: string): HeadRecord {
    if (record.pictures.some((each) => each.id === id)) return record
    throw new GapcamError('USAGE', `head ${this.store.name} has no picture ${id}`)
  }

  #stated(record: HeadRecord, state: string): HeadRecord {
    if (record.states.includes(state)) return record
    throw new GapcamError('USAGE', `head ${this.store.name} has no state ${state}`)
  }

  /**
   * Fits a head to the pictures, tries it on all of them and lets it serve. Rejects with USAGE for fewer than two states, as the
   * teacher does, and with HEAD_NOT_WRITTEN; the head before then goes on.
   */
  fit(teacher: Teacher, onPicture: FitProgress = () => undefined): Promise<KeptLesson> {
    const fit = this.#busy.catch(() => undefined).then(() => this.#fit(teacher, onPicture))
    this.#busy = fit
    return fit
  }

  /** Network and head as one ONNX model. Rejects with USAGE before the first fit, and with HEAD_INVALID for another network. */
  async exported(teacher: Teacher): Promise<Uint8Array> {
    const { served } = this.record
    if (!served) throw new GapcamError('USAGE', `head ${this.store.name} has not been fitted yet`)
    if (served.model.sha256 !== teacher.model.sha256)
      throw new GapcamError(
        'HEAD_INVALID',
        `head ${this.store.name} was taught on ${served.model.name}, not on ${teacher.model.name}`,
        {
          hint: `Run gapcam teach fit ${this.store.name} with the model that is there now.`,
        },
      )
    const { head } = await readHead(this.store.headFile(served.head), teacher.parts)
    return teacher.write(head)
  }

  /** All pictures as files, in a folder for each state. */
  async files(): Promise<readonly ZippedFile[]> {
    const files: ZippedFile[] = []
    for (const { id, state } of this.record.pictures) {
      const bytes = await this.store.picture(id)
      files.push({ name: `${folderOf(state)}/${id}.${endingOf(bytes)}`, bytes })
    }
    return files
  }

  /** Forgets the vectors in memory; they are read again from the disk. */
  rest(): void {
    this.#seen.clear()
  }

  async #fit(teacher: Teacher, onPicture: FitProgress): Promise<KeptLesson> {
    const { states } = await this.store.refresh()
    if (states.length < 2)
      throw new GapcamError('USAGE', `one state cannot be told from anything: ${states.join()}`, {
        hint: 'Teach at least two states.',
      })
    const { pictures, seen } = await this.#lookAtAll(teacher, onPicture)
    const taught = pictures.filter(({ state }) => state !== null)
    const looks = looksToFit(
      taught.flatMap(({ id, state }, picture) =>
        seen.get(id)!.map((one): TaughtLook => ({ ...one, state: states.indexOf(state!), picture })),
      ),
    )
    const none = pictures.flatMap(({ id, state }) => (state === null ? [seen.get(id)![0]!] : []))
    const fit = await teacher.fit(states, looks, none)
    const head = await this.store.keepHead(teacher.headBytes(fit.head))
    const firsts = taught.map(({ id }) => seen.get(id)![0]!)
    const answers = await tryHead(this.store.headFile(head), teacher.parts, firsts)
    const report = await reportOf(states, looks, fit, {
      times: taught.map(({ atMs }) => atMs),
      noun: teacher.clip ? 'clips' : 'pictures',
    })
    const leftOut = leftOutLabels(states, looks, fit.ridge.leftOut)
    const lesson: KeptLesson = {
      states: [...states],
      pictures: [...pictures],
      head,
      model: teacher.model,
      fittedMs: Date.now(),
      answers: Object.fromEntries(
        taught.map(({ id }, i) => [id, { ...answers[i]!, leftOut: report.accuracy === null ? null : leftOut[i]! }]),
      ),
      report: keptReport(report, taught),
      usual: usualOf(fit.distances, firsts, answers),
    }
    await this.store.change((record) => withServed(record, lesson))
    return lesson
  }

  /** The looks at all pictures; one whose file is gone or broken is left out of the record. */
  async #lookAtAll(
    teacher: Teacher,
    onPicture: FitProgress,
  ): Promise<{ readonly pictures: readonly KeptPicture[]; readonly seen: ReadonlyMap<string, readonly Seen[]> }> {
    const { pictures } = this.record
    const seen = new Map<string, readonly Seen[]>()
    for (const { id } of pictures) {
      const looks = await this.#looksAt(id, teacher).catch((error: unknown) => {
        if (!isOfOnePicture(error)) throw error
        return null
      })
      if (looks) seen.set(id, looks)
      onPicture(seen.size, pictures.length)
    }
    const gone = pictures.filter(({ id }) => !seen.has(id))
    if (gone.length > 0)
      throw new GapcamError(
        'PICTURE_INVALID',
        `${gone.length} pictures of head ${this.store.name} cannot be read, such as ${gone[0]!.id}`,
        {
          hint: 'Remove these pictures, then teach again.',
        },
      )
    return { pictures, seen }
  }

  async #looksAt(id: string, teacher: Teacher): Promise<readonly Seen[]> {
    const key = `${id}.${teacher.network}`
    const known = this.#seen.get(key)
    if (known) return known
    const { rawLength } = teacher
    const kept = await this.store.vectors(id, teacher.network, lookCount * (rawLength + 3))
    const values = kept ?? packed(await teacher.lookAt(await decodeShown(await this.store.picture(id), id)))
    // The vectors can be computed again: a full disk only makes the next fit slower.
    if (!kept) await this.store.keepVectors(id, teacher.network, values).catch(() => undefined)
    const seen = unpacked(values, rawLength)
    this.#seen.set(key, seen)
    return seen
  }
}

/** Opens a head by its name. Rejects with USAGE for a name that cannot be one, and with HEAD_INVALID. */
export async function openTaughtHead(stateFolder: string, name: string): Promise<TaughtHead> {
  const fault = nameFault(name)
  if (fault !== null)
    throw new GapcamError('USAGE', `${name} cannot be the name of a taught head`, { hint: `${fault}.` })
  return new TaughtHead(await openHeadStore(stateFolder, name))
}

function endingOf(bytes: Uint8Array): string {
  if (isClip(bytes)) return 'mjpeg'
  if (bytes[0] === 0xff) return 'jpg'
  if (bytes[0] === 0x89) return 'png'
  return bytes[0] === 0x52 ? 'webp' : bytes[0] === 0x42 ? 'bmp' : 'tiff'
}

function checkState(state: string | null): void {
  const fault = state === null ? null : stateFault(state)
  if (fault !== null) throw new GapcamError('USAGE', `${JSON.stringify(state)} cannot be a state: ${fault}`)
}

/** Files up to this size are kept as they are. */
const mostBytes = 256 << 10
/** Longer sides of larger pictures are scaled to this: networks see less. */
const mostSide = 640

/** The bytes to keep of a picture: a large one is scaled down. A clip is small as it was made. Rejects with PICTURE_INVALID. */
async function smallEnough(bytes: Uint8Array): Promise<Uint8Array> {
  if (isClip(bytes)) {
    await decodeShown(bytes, 'that was given')
    return bytes
  }
  const { data, width, height } = await decodePicture(bytes, 'that was given')
  if (bytes.length <= mostBytes) return bytes
  const scale = Math.min(1, mostSide / Math.max(width, height))
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) }
  const small = scale === 1 ? data : (await decodePicture(bytes, 'that was given', size)).data
  return encodeJpeg({ rgb: small, ...size }, 95)
}

/** Labels of all pictures by heads that did not see them. */
function leftOutLabels(
  states: readonly string[],
  looks: readonly TaughtLook[],
  leftOut: Float64Array,
): readonly string[] {
  return looks.flatMap(({ picture }, i) => {
    if (i > 0 && looks[i - 1]!.picture === picture) return []
    const row = leftOut.subarray(i * states.length, (i + 1) * states.length)
    return [states[row.indexOf(Math.max(...row))]!]
  })
}

function keptReport({ doubts, interval, ...report }: Report, taught: readonly KeptPicture[]): KeptReport {
  return {
    ...report,
    interval: interval && [...interval],
    confusion: Object.fromEntries(Object.entries(report.confusion).map(([state, counts]) => [state, { ...counts }])),
    doubts: doubts.map(({ picture, ...doubt }) => ({ id: taught[picture]!.id, ...doubt })),
  }
}

/** What is usual for taught pictures: their distance from each other, their scores, and their light. */
function usualOf(
  distances: readonly number[],
  firsts: readonly Seen[],
  answers: readonly { readonly score: number }[],
): KeptLesson['usual'] {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  return {
    distance: Math.min(2, mean(distances)),
    score: mean(answers.map(({ score }) => score)),
    sight: [0, 1, 2].map((k) => mean(firsts.map(({ sight }) => sight[k]!))),
  }
}
