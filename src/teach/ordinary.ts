/**
 * A model that was not taught here learns what its pictures usually look like: the file gets the distance to the nearest of them, and
 * a picture that is far from all is `unknown`. Its scores stay as they are.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { EngineOptions } from '../engine/engine.js'
import { GapcamError, isOfOnePicture } from '../errors.js'
import { openClassifier } from '../classifier.js'
import type { NoveltyLimits } from '../decision/novelty.js'
import { loadModel } from '../model/load.js'
import { findManifest } from '../model/metadata/manifest.js'
import { manifestFiles, manifestMetadata } from '../model/metadata/schema.js'
import { serializeModel } from '../model/onnx/serialize.js'
import { decodeFile } from '../pixels/decode.js'
import type { ResizeMode } from '../pixels/spec.js'
import { findBackbone } from './backbone.js'
import { partsOf } from './features.js'
import { valueNames, withNovelty } from './graph.js'
import { fitMemory, fitNovelty } from './head.js'
import { openLooker, type Looker, type Seen } from './looks.js'
import { thinned } from './record.js'
import { ordinaryLooks } from './ordinary-looks.js'

/** More pictures are thinned out evenly: each one costs a frame a product and the file 8 KB. */
export const mostOrdinary = 1000

/** Fewer pictures do not tell how far apart usual ones are. */
const leastOrdinary = 10

/** What `withOrdinary` needs. */
export interface OrdinaryOptions {
  readonly model: string
  /** Files of pictures as the camera usually sees them. */
  readonly pictures: readonly string[]
  readonly engine: EngineOptions
  /** How pictures become the size of the input; default as the model's manifest says. */
  readonly resize?: ResizeMode | undefined
  /** Called after each picture. */
  readonly onPicture?: (done: number, all: number) => void
  /** Gets a picture that cannot be read; it is left out. */
  readonly onBroken: (error: GapcamError) => void
}

/** A model with limits. */
export interface WithOrdinary {
  /** An ONNX file. */
  readonly bytes: Uint8Array
  readonly limits: NoveltyLimits
  /** Pictures that were looked at. */
  readonly pictures: number
}

/**
 * Adds the limits. Rejects with MODEL_UNSUPPORTED for a network without a mean over a feature map and for a model that has limits
 * already, and with USAGE for too few pictures.
 */
export async function withOrdinary(options: OrdinaryOptions): Promise<WithOrdinary> {
  const { model: path, engine, resize } = options
  const file = await loadModel(path)
  const { manifest } = await findManifest(file)
  if (manifest.novelty)
    throw new GapcamError('MODEL_UNSUPPORTED', `model ${path} knows already what is none of its pictures`)
  const classifier = await openClassifier({ ...engine, model: path, engine: 'auto', resize })
  const pixels = classifier.preprocessing()
  const labels = [...classifier.labels]
  await classifier.close()
  const backbone = findBackbone(file, { height: pixels.height, width: pixels.width })
  const parts = partsOf(backbone.head, backbone.middle).filter(({ cells }) => cells === 1)
  const looker = await openLooker(file, { backbone, parts, pixels, resize: pixels.resize }, engine)
  try {
    const ordinary = await ordinaryLooks(looker)
    const seen = await glances(looker, options)
    const { taught, limits } = await fitNovelty(parts, seen, fitMemory(ordinary, parts))
    const graph = withNovelty(backbone, parts, pixels, taught)
    const { sha256: _, ...kept } = manifest
    const whole = {
      ...kept,
      labels,
      resize: pixels.resize,
      output: manifest.output ?? file.graph.outputs[0]!.name,
      novelty: {
        output: valueNames.novelty,
        distance: limits.distance,
        sight: limits.sight.map(([low, high]): [number, number] => [low, high]),
      },
    }
    return { bytes: serializeModel(graph, manifestMetadata(whole)), limits, pictures: seen.length }
  } finally {
    await looker.close()
  }
}

/** The digest of a model with its manifest: what `withOrdinary` makes of the same pictures depends on it. */
export async function modelDigest(model: string): Promise<string> {
  const hash = createHash('sha256')
  for (const file of [model, ...manifestFiles(model)]) hash.update(await readFile(file).catch(() => file))
  return hash.digest('hex')
}

async function glances(looker: Looker, { pictures, onPicture, onBroken }: OrdinaryOptions): Promise<readonly Seen[]> {
  const files = thinned(pictures, mostOrdinary)
  const seen: Seen[] = []
  for (const [i, file] of files.entries()) {
    try {
      seen.push(await looker.glanceAt(await decodeFile(file)))
    } catch (error) {
      if (!isOfOnePicture(error)) throw error
      onBroken(error)
    }
    onPicture?.(i + 1, files.length)
  }
  if (seen.length < leastOrdinary)
    throw new GapcamError(
      'USAGE',
      `${seen.length} ${seen.length === 1 ? 'picture does' : 'pictures do'} not tell what is usual`,
      {
        hint: `Give ${leastOrdinary} or more, at different times of the day.`,
      },
    )
  return seen
}
