/**
 * The whole way from labelled pictures to a model: looks at each picture, fits the head, judges it, and writes network and
 * head as one ONNX model that every engine runs.
 */
import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { openClassifier } from '../classifier.js'
import type { EngineOptions } from '../engine/engine.js'
import { GapcamError, isOfOnePicture } from '../errors.js'
import { loadModel } from '../model/load.js'
import { manifestMetadata, type Manifest } from '../model/metadata/schema.js'
import { serializeModel } from '../model/onnx/serialize.js'
import { decodeFile } from '../pixels/decode.js'
import type { RgbImage } from '../pixels/image.js'
import type { PreprocessSpec } from '../pixels/spec.js'
import { findBackbone } from './backbone.js'
import { partsOf, type Part, type RawVector } from './features.js'
import { valueNames, withHead } from './graph.js'
import { fitHead, type Fit, type Head, type TaughtLook } from './head.js'
import { openLooker, type Looker, type Seen } from './looks.js'
import { reportOf, type Report } from './report.js'

/** What is taught: files of pictures by state. */
export type TaughtStates = ReadonlyMap<string, readonly string[]>

/** Options of `teach`. */
export interface TeachOptions {
  /** The network whose features are used: a classifier that averages a feature map. */
  readonly model: string
  readonly states: TaughtStates
  /** Files of pictures that are none of the states. */
  readonly none?: readonly string[]
  readonly engine: EngineOptions
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
  /** The files in the order of the report's picture numbers. */
  readonly files: readonly string[]
  readonly head: Head
}

/** Parts of each ordinary photograph that are looked at. */
const ordinaryRegions = [
  undefined,
  ...[0, 0.4].flatMap((x) => [0, 0.4].map((y) => ({ x, y, width: 0.6, height: 0.6 }))),
  ...[0.1, 0.6].flatMap((x) => [0.1, 0.6].map((y) => ({ x, y, width: 0.3, height: 0.3 }))),
]

/** The photographs that come with gapcam. */
const photographs = fileURLToPath(new URL('../../models/photos/', import.meta.url))

/** A network that is open for teaching; the caller closes it. */
export interface Teacher extends Looker {
  /** The parts of its vectors. */
  readonly parts: readonly Part[]
  /** Fits a head to looks; `none` are looks at pictures that are none of the states. Every state needs a picture. */
  fit(states: readonly string[], looks: readonly TaughtLook[], none: readonly Seen[]): Promise<Fit>
  /** The bytes of an ONNX model that ends in this head. */
  write(head: Head): Uint8Array
}

/** Opens a network for teaching. Rejects with MODEL_UNSUPPORTED for a network without the needed structure. */
export async function openTeacher({ model: path, engine }: Pick<TeachOptions, 'model' | 'engine'>): Promise<Teacher> {
  const model = await loadModel(path)
  const pixels = await specOf(path, engine)
  const backbone = findBackbone(model, { height: pixels.height, width: pixels.width })
  const parts = partsOf(backbone.head, backbone.middle)
  const looker = await openLooker(model, { backbone, parts, pixels }, engine)
  let ordinary: Promise<readonly Seen[]> | null = null
  return {
    ...looker,
    parts,
    async fit(states, looks, none) {
      const known = await (ordinary ??= lookAtOrdinary(looker))
      return fitHead({ states, parts, looks, ordinary: known.map(rawOf), none: none.map(rawOf) }, engine)
    },
    write(head) {
      return serializeModel(withHead(backbone, parts, pixels, head), manifestMetadata(manifestOf(head, pixels)))
    },
  }
}

/**
 * Teaches. Rejects as `openTeacher` does, and with PICTURE_INVALID for a state without a picture that can be read.
 *
 *     const { bytes, report } = await teach({ model, states: new Map([['open', ['a.jpg']], ['closed', ['b.jpg']]]), engine: {} })
 */
export async function teach(options: TeachOptions): Promise<Taught> {
  const teacher = await openTeacher(options)
  try {
    const { looks, files } = await lookAtAll(teacher, options)
    const none = await glances(teacher, options)
    const names = [...options.states.keys()]
    const fit = await teacher.fit(names, looks, none)
    return { bytes: teacher.write(fit.head), report: reportOf(names, looks, fit), files, head: fit.head }
  } finally {
    await teacher.close()
  }
}

/** How the network takes pictures. */
async function specOf(model: string, engine: EngineOptions): Promise<PreprocessSpec> {
  const classifier = await openClassifier({ ...engine, model, engine: 'auto' })
  try {
    const spec = classifier.preprocessing()
    const [input] = classifier.engine.inputs
    if (input?.type !== 'float32' || input.shape.length !== 4 || !input.shape.slice(1).includes(3))
      throw new GapcamError(
        'MODEL_UNSUPPORTED',
        `model ${model} cannot be taught: its input is not three channels of float32`,
      )
    return spec
  } finally {
    await classifier.close()
  }
}

const rawOf = ({ raw }: Seen): RawVector => raw

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
      const seen = await withPicture(file, options, (picture) => looker.lookAt(picture))
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
    const seen = await withPicture(file, options, (picture) => looker.glanceAt(picture))
    if (seen !== null) all.push(seen)
  }
  return all
}

/** Null for a picture that cannot be read, where the caller takes the error. */
async function withPicture<T>(
  file: string,
  { onBroken }: TeachOptions,
  use: (picture: RgbImage) => Promise<T>,
): Promise<T | null> {
  try {
    return await use(await decodeFile(file))
  } catch (error) {
    if (!onBroken || !isOfOnePicture(error)) throw error
    onBroken(error)
    return null
  }
}

async function lookAtOrdinary(looker: Looker): Promise<readonly Seen[]> {
  const names = (await readdir(photographs)).filter((name) => name.endsWith('.jpg')).sort()
  const pictures: RgbImage[] = []
  for (const name of names) pictures.push(await decodeFile(`${photographs}${name}`))
  const seen: Seen[] = []
  for (const picture of pictures)
    for (const region of ordinaryRegions) seen.push(await looker.glanceAt(picture, region))
  return seen
}

/** What the taught file says of itself. */
function manifestOf({ states, limits }: Head, { mean, std, order }: PreprocessSpec): Manifest {
  return {
    labels: [...states],
    mean: [...mean],
    std: [...std],
    colorOrder: order,
    resize: 'stretch',
    scores: 'softmax',
    output: valueNames.logits,
    ...(limits
      ? {
          novelty: {
            output: valueNames.novelty,
            distance: limits.distance,
            sight: limits.sight.map(([low, high]) => [low, high] as [number, number]),
          },
        }
      : {}),
  }
}
