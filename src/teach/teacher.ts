/**
 * A network that is open for teaching and for serving: it looks at pictures, fits heads to what it saw, and serves any number of
 * heads, which share its memory. One run at a time, so all that share it take turns.
 */
import { readdir } from 'node:fs/promises'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openClassifier, type Classifier } from '../classifier.js'
import type { ClipOptions } from '../decision/task.js'
import type { EngineOptions } from '../engine/engine.js'
import { GapcamError } from '../errors.js'
import { loadModel } from '../model/load.js'
import { manifestMetadata, modelStem } from '../model/metadata/schema.js'
import { serializeModel } from '../model/onnx/serialize.js'
import { decodeFile } from '../pixels/decode.js'
import type { RgbImage } from '../pixels/image.js'
import type { PreprocessSpec } from '../pixels/spec.js'
import { findBackbone } from './backbone.js'
import { partsOf, type Part, type RawVector } from './features.js'
import { withHead } from './graph.js'
import { headBytes, manifestOf } from './head-file.js'
import { fitHead, fitMemory, type Fit, type FitMemory, type Head, type TaughtLook } from './head.js'
import { openLooker, type Looker, type Seen, type Turn } from './looks.js'
import { serveHead } from './serving.js'
import { networkOf } from './store.js'

/** What a teacher is opened with. */
export interface TeacherOptions {
  /** The network whose features are used: a classifier that averages a feature map. */
  readonly model: string
  readonly engine: EngineOptions
  /** Every run of the network happens within it; default: at once. */
  readonly turn?: Turn | undefined
  /** Keeps the vectors of ordinary pictures, which take a second to compute; default: they are computed. */
  readonly ordinary?: OrdinaryVectors | undefined
}

/** Where vectors of ordinary pictures are kept, by network. */
export interface OrdinaryVectors {
  read(network: string, count: number): Promise<Float32Array | null>
  keep(network: string, values: Float32Array): Promise<void>
}

/** A network that is open for teaching; the caller closes it, after the classifiers that it serves. */
export interface Teacher extends Looker {
  /** The parts of its vectors. */
  readonly parts: readonly Part[]
  /** The network and the size of its input. */
  readonly model: { readonly name: string; readonly sha256: string; readonly width: number; readonly height: number }
  /** Names its vectors. */
  readonly network: string
  /** Fits a head to looks; `none` are looks at pictures that are none of the states. Every state needs a picture. */
  fit(states: readonly string[], looks: readonly TaughtLook[], none: readonly Seen[]): Promise<Fit>
  /** The bytes of an ONNX model that ends in this head. */
  write(head: Head): Uint8Array
  /** The bytes of the head alone. */
  headBytes(head: Head): Uint8Array
  /** Serves the head in a file; with `clip`, over clips. Closing it leaves this open. Rejects with HEAD_INVALID. */
  serve(file: string, name: string, clip?: ClipOptions): Promise<Classifier>
}

/** Parts of each ordinary photograph that are looked at. */
const ordinaryRegions = [
  undefined,
  ...[0, 0.4].flatMap((x) => [0, 0.4].map((y) => ({ x, y, width: 0.6, height: 0.6 }))),
  ...[0.1, 0.6].flatMap((x) => [0.1, 0.6].map((y) => ({ x, y, width: 0.3, height: 0.3 }))),
]

/** The photographs that come with gapcam. */
export const photographs = fileURLToPath(new URL('../../models/photos/', import.meta.url))

/** Opens a network for teaching. Rejects with MODEL_UNSUPPORTED for a network without the needed structure. */
export async function openTeacher(options: TeacherOptions): Promise<Teacher> {
  const { model: path, engine } = options
  const file = await loadModel(path)
  const pixels = await specOf(path, engine)
  const backbone = findBackbone(file, { height: pixels.height, width: pixels.width })
  const parts = partsOf(backbone.head, backbone.middle)
  const looker = await openLooker(file, { backbone, parts, pixels }, engine, options.turn)
  const model = {
    name: basename(modelStem(path)),
    sha256: file.sha256,
    width: pixels.width,
    height: pixels.height,
  }
  const network = networkOf(model)
  let memory: Promise<FitMemory> | null = null
  return {
    ...looker,
    parts,
    model,
    network,
    async fit(states, looks, none) {
      memory ??= ordinaryVectors(looker, network, options.ordinary).then((vectors) => fitMemory(vectors, parts))
      return fitHead({ states, parts, looks, none: none.map(({ raw }) => raw) }, await memory)
    },
    write(head) {
      return serializeModel(withHead(backbone, parts, pixels, head), manifestMetadata(manifestOf(head, pixels)))
    },
    headBytes: (head) => headBytes(head, parts, pixels),
    serve: (headFile, name, clip) => serveHead(looker.engine, { file: headFile, name, parts, clip }),
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

async function ordinaryVectors(
  looker: Looker,
  network: string,
  kept: OrdinaryVectors | undefined,
): Promise<readonly RawVector[]> {
  const names = await photographNames()
  const count = names.length * ordinaryRegions.length
  const all = await kept?.read(network, count * looker.rawLength)
  if (all)
    return Array.from({ length: count }, (_, i) => all.subarray(i * looker.rawLength, (i + 1) * looker.rawLength))
  const seen = await ordinaryLooks(looker)
  const values = new Float32Array(count * looker.rawLength)
  seen.forEach((raw, i) => values.set(raw, i * looker.rawLength))
  // Without it they are computed again.
  await kept?.keep(network, values).catch(() => undefined)
  return seen
}

const photographNames = async (): Promise<string[]> =>
  (await readdir(photographs)).filter((name) => name.endsWith('.jpg')).sort()

/** Raw vectors of parts of the photographs that come with gapcam. */
export async function ordinaryLooks(looker: Looker): Promise<readonly RawVector[]> {
  const pictures: RgbImage[] = []
  for (const name of await photographNames()) pictures.push(await decodeFile(`${photographs}${name}`))
  const seen: RawVector[] = []
  for (const picture of pictures)
    for (const region of ordinaryRegions) seen.push((await looker.glanceAt(picture, region)).raw)
  return seen
}
