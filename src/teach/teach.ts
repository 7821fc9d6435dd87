/**
 * The whole way from folders of labelled pictures to a model: looks at each picture, fits the head, judges it, and writes
 * network and head as one ONNX model that every engine runs.
 */
import type { EngineOptions } from '../engine/engine.js'
import { GapcamError, isOfOnePicture } from '../errors.js'
import { decodeFile } from '../pixels/decode.js'
import { looksToFit, type Head, type TaughtLook } from './head.js'
import type { Looker, Seen, Shown } from './looks.js'
import { reportOf, type Report } from './report.js'
import { openTeacher } from './teacher.js'

/** What is taught: files of pictures by state. */
export type TaughtStates = ReadonlyMap<string, readonly string[]>

/** Options of `teach`. */
export interface TeachOptions {
  /** The network whose features are used: a classifier that averages a feature map, or one over clips. */
  readonly model: string
  readonly states: TaughtStates
  /** Files of pictures that are none of the states. */
  readonly none?: readonly string[]
  readonly engine: EngineOptions
  /** Reads what the network takes: a picture, or a clip with its frames; default: files are pictures. */
  readonly read?: (file: string, clip: Looker['clip']) => Promise<Shown>
  /** Called after each taught picture. */
  readonly onPicture?: (done: number, all: number) => void
  /** A picture that cannot be read is left out and told here; without this, teaching rejects. */
  readonly onBroken?: (error: GapcamError) => void
}

/** A taught model. */
export interface Taught {
  /** An ONNX file: network, head, labels and limits. */
  readonly bytes: Uint8Array
  readonly report: Report
  /** What it was taught. */
  readonly noun: 'pictures' | 'clips'
  /** The files in the order of the report's picture numbers. */
  readonly files: readonly string[]
  readonly head: Head
}

/**
 * Teaches. Rejects as `openTeacher` does, and with PICTURE_INVALID for a state without a picture that can be read.
 *
 *     const { bytes, report } = await teach({ model, states: new Map([['open', ['a.jpg']], ['closed', ['b.jpg']]]), engine: {} })
 */
export async function teach(options: TeachOptions): Promise<Taught> {
  const teacher = await openTeacher(options)
  try {
    const { looks: all, files } = await lookAtAll(teacher, options)
    const looks = looksToFit(all)
    const none = await glances(teacher, options)
    const names = [...options.states.keys()]
    const fit = await teacher.fit(names, looks, none)
    const noun = teacher.clip ? 'clips' : 'pictures'
    const report = await reportOf(names, looks, fit, { noun })
    return { bytes: teacher.write(fit.head), report, noun, files, head: fit.head }
  } finally {
    await teacher.close()
  }
}

async function lookAtAll(
  looker: Looker,
  options: TeachOptions,
): Promise<{ readonly looks: readonly TaughtLook[]; readonly files: readonly string[] }> {
  const { states, onPicture } = options
  const all = [...states.values()].reduce((sum, { length }) => sum + length, 0)
  const looks: TaughtLook[] = []
  const files: string[] = []
  for (const [state, [name, ofState]] of [...states].entries()) {
    for (const file of ofState) {
      const seen = await withShown(file, options, looker, (shown) => looker.lookAt(shown))
      if (seen === null) continue
      looks.push(...seen.map((one) => ({ ...one, state, picture: files.length })))
      files.push(file)
      onPicture?.(files.length, all)
    }
    if (!looks.some((look) => look.state === state))
      throw new GapcamError('PICTURE_INVALID', `state ${name}: none of its pictures can be read`)
  }
  return { looks, files }
}

async function glances(looker: Looker, options: TeachOptions): Promise<readonly Seen[]> {
  const all: Seen[] = []
  for (const file of options.none ?? []) {
    const seen = await withShown(file, options, looker, (shown) => looker.glanceAt(shown))
    if (seen !== null) all.push(seen)
  }
  return all
}

/** Null for a picture that cannot be read, where the caller takes the error. */
async function withShown<T>(
  file: string,
  { onBroken, read = (path) => decodeFile(path) }: TeachOptions,
  { clip }: Looker,
  use: (shown: Shown) => Promise<T>,
): Promise<T | null> {
  try {
    return await use(await read(file, clip))
  } catch (error) {
    if (!onBroken || !isOfOnePicture(error)) throw error
    onBroken(error)
    return null
  }
}
