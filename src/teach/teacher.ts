/**
 * A network that is open for teaching and for serving: it looks at pictures, fits heads to what it saw, and serves any number of
 * heads, which share its memory. One run at a time, so all that share it take turns.
 */
import { basename, resolve } from 'node:path'
import { openClassifier, type Classifier } from '../classifier.js'
import type { ClipOptions } from '../decision/task.js'
import type { EngineOptions } from '../engine/engine.js'
import { GapcamError } from '../errors.js'
import { loadModel } from '../model/load.js'
import { findManifest } from '../model/metadata/manifest.js'
import { manifestMetadata, modelStem } from '../model/metadata/schema.js'
import { serializeModel } from '../model/onnx/serialize.js'
import type { PreprocessSpec } from '../pixels/spec.js'
import { findBackbone, findClipBackbone } from './backbone.js'
import { clipParts, partsOf, type Part } from './features.js'
import { withHead } from './graph.js'
import { headBytes, manifestOf } from './head-file.js'
import { fitHead, fitMemory, type Fit, type FitMemory, type Head, type TaughtLook } from './head.js'
import { openLooker, type ClipLayout, type Looker, type Seen, type Turn } from './looks.js'
import { ordinaryVectors, type OrdinaryVectors } from './ordinary-looks.js'
import { serveHead } from './serving.js'
import { networkOf } from './store.js'

/** What a teacher is opened with. */
export interface TeacherOptions {
  /** The network whose features are used: a classifier that averages a feature map, or one over clips. */
  readonly model: string
  readonly engine: EngineOptions
  /** Every run of the network happens within it; default: at once. */
  readonly turn?: Turn | undefined
  /** Keeps the vectors of ordinary pictures, which take a second to compute; default: they are computed. */
  readonly ordinary?: OrdinaryVectors | undefined
}

/** A network that is open for teaching; the caller closes it, after the classifiers that it serves. */
export interface Teacher extends Looker {
  /** The parts of its vectors. */
  readonly parts: readonly Part[]
  /** The network and the size of its input; of a network over clips also the frames of a clip and where the file lies. */
  readonly model: TaughtNetwork
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

/** The network of a head. */
export interface TaughtNetwork {
  readonly name: string
  readonly sha256: string
  readonly width: number
  readonly height: number
  readonly clip?: { readonly frames: number; readonly everyMs: number } | undefined
  readonly path?: string | undefined
}

/** Opens a network for teaching. Rejects with MODEL_UNSUPPORTED for a network without the needed structure. */
export async function openTeacher(options: TeacherOptions): Promise<Teacher> {
  const { model: path, engine } = options
  const file = await loadModel(path)
  const { pixels, clip } = await inputOf(path, engine)
  const backbone = clip
    ? findClipBackbone(file, (await findManifest(file)).manifest)
    : findBackbone(file, { height: pixels.height, width: pixels.width })
  const parts = clip ? clipParts(backbone.head) : partsOf(backbone.head, backbone.middle)
  const looker = await openLooker(file, { backbone, parts, pixels, clip }, engine, options.turn)
  const input = { ...pixels, clip, axes: clip?.axes }
  const model = {
    name: basename(modelStem(path)),
    sha256: file.sha256,
    width: pixels.width,
    height: pixels.height,
    ...(clip ? { clip: { frames: clip.frames, everyMs: clip.everyMs }, path: resolve(path) } : {}),
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
      return serializeModel(withHead(backbone, parts, input, head), manifestMetadata(manifestOf(head, input)))
    },
    headBytes: (head) => headBytes(head, parts, input),
    serve: (headFile, name, over) => serveHead(looker.engine, { file: headFile, name, parts, own: clip, clip: over }),
  }
}

/** How the network takes pictures or clips. */
async function inputOf(
  model: string,
  engine: EngineOptions,
): Promise<{ readonly pixels: PreprocessSpec; readonly clip: ClipLayout | null }> {
  const classifier = await openClassifier({ ...engine, model, engine: 'auto' })
  try {
    const [input] = classifier.engine.inputs
    if (input?.type !== 'float32' || input.shape.length !== 4 || !input.shape.slice(1).includes(3))
      throw new GapcamError(
        'MODEL_UNSUPPORTED',
        `model ${model} cannot be taught: its input is not three channels of float32`,
      )
    const clip = classifier.clip?.form === 'clips' ? classifier.clip : null
    return { pixels: classifier.preprocessing(), clip }
  } finally {
    await classifier.close()
  }
}
