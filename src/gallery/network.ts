/** A network that is open for a gallery: it gives the vectors of pictures, and writes the model that knows the names. */
import { readdir } from 'node:fs/promises'
import { basename } from 'node:path'
import { openClassifier } from '../classifier.js'
import type { EngineOptions } from '../engine/engine.js'
import { GapcamError } from '../errors.js'
import { frameOf } from '../frame.js'
import { shapeIn } from '../model/head.js'
import { asModel } from '../model/in-memory.js'
import { loadModel } from '../model/load.js'
import { findManifest } from '../model/metadata/manifest.js'
import { manifestMetadata, modelStem, type Manifest } from '../model/metadata/schema.js'
import { takesClips } from '../model/metadata/video.js'
import { serializeModel } from '../model/onnx/serialize.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import { prepareGraph } from '../model/prepare.js'
import type { Graph } from '../model/graph.js'
import { decodeFile } from '../pixels/decode.js'
import type { RgbImage } from '../pixels/image.js'
import type { PreprocessSpec, Region } from '../pixels/spec.js'
import { findBackbone } from '../teach/backbone.js'
import { photographs } from '../teach/ordinary-looks.js'
import { galleryValues, partLengths, withGallery, withRaw, type GalleryHead, type VectorSource } from './graph.js'

/** An open network. Close it. */
export interface GalleryNetwork {
  readonly name: string
  readonly sha256: string
  /** Numbers of a vector. */
  readonly length: number
  /** The cosine that its makers take for the same; null where they name none. */
  readonly usual: number | null
  /** The raw vector of a picture, or of a part of it. Rejects with PICTURE_INVALID. */
  look(picture: RgbImage, region?: Region): Promise<Float32Array>
  /** Raw vectors of ordinary pictures; none for a network that looks at one kind of thing, such as faces. */
  ordinary(): Promise<readonly Float32Array[]>
  /** A raw vector centred on a mean, each part brought to one length, all of length 1. */
  unit(raw: Float32Array, mean: Float32Array): Float32Array
  /** The bytes of an ONNX model that answers with these names. */
  write(names: readonly string[], head: GalleryHead): Uint8Array
  close(): Promise<void>
}

/** Parts of each ordinary photograph that are looked at. */
const parts: readonly (Region | undefined)[] = [
  undefined,
  ...[0, 0.4].flatMap((x) => [0, 0.4].map((y) => ({ x, y, width: 0.6, height: 0.6 }))),
]

/** Opens a network. Rejects with MODEL_* for one that has neither an `embedding` in its manifest nor a mean over a feature map. */
export async function openGalleryNetwork(path: string, engine: EngineOptions): Promise<GalleryNetwork> {
  const model = await loadModel(path)
  if (takesClips(model.graph))
    throw new GapcamError(
      'MODEL_UNSUPPORTED',
      `model ${path} looks at clips, and a gallery knows its names by single pictures`,
      { hint: 'Name a network over pictures. gapcam teach teaches states on a network over clips.' },
    )
  const { manifest } = await findManifest(model)
  const pixels = await specOf(path, engine)
  const { graph, source } = sourceIn(model, manifest, pixels)
  const classifier = await openClassifier({
    ...engine,
    model: path,
    loaded: asModel(withRaw(graph, source), model),
    engine: 'auto',
    extraOutputs: [galleryValues.raw],
  })
  const raw = classifier.engine.outputs.find(({ name }) => name === galleryValues.raw)!.data as Float32Array
  const views = new Map<string, ReturnType<typeof classifier.view>>()
  const lengths = partLengths(source)
  const lookNow: GalleryNetwork['look'] = async (picture, region) => {
    const key = JSON.stringify(region ?? null)
    const view = views.get(key) ?? classifier.view({ roi: region, resize: pixels.resize }, 1)
    views.set(key, view)
    const outcome = await view.classify(frameOf(picture))
    if (!outcome.ok) throw outcome.reason === 'frame_invalid' ? outcome.error : notFinite(path)
    return raw.slice()
  }
  // All looks share the engine's memory: one at a time.
  let looking: Promise<unknown> = Promise.resolve()
  const look: GalleryNetwork['look'] = (picture, region) => {
    const looked = looking.then(() => lookNow(picture, region))
    looking = looked.catch(() => undefined)
    return looked
  }
  const { embedding } = manifest
  return {
    name: basename(modelStem(path)),
    sha256: model.sha256,
    length: raw.length,
    usual: embedding ? 1 - embedding.distance : null,
    look,
    ordinary: () => (embedding ? Promise.resolve([]) : ordinaryVectors(look)),
    unit: (vector, mean) => unitOf(vector, mean, lengths),
    write: (names, head) =>
      serializeModel(withGallery(graph, source, head), manifestMetadata(manifestOf(names, head, pixels))),
    async close() {
      await looking
      for (const view of views.values()) view.close()
      await classifier.close()
    },
  }
}

const notFinite = (path: string): GapcamError =>
  new GapcamError('ENGINE_FAILED', `model ${path}: its outputs are not finite`)

/** Pictures are stretched, so that a narrow region is seen as a whole, unless the manifest says otherwise. */
async function specOf(model: string, engine: EngineOptions): Promise<PreprocessSpec> {
  const classifier = await openClassifier({ ...engine, model, engine: 'auto', resize: 'stretch' })
  try {
    return classifier.preprocessing()
  } finally {
    await classifier.close()
  }
}

/** The graph with its sizes known, and what of it is the vector. */
function sourceIn(
  model: LoadedModel,
  { embedding }: Manifest,
  { height, width }: PreprocessSpec,
): { readonly graph: Graph; readonly source: VectorSource } {
  const inputSize = { height, width }
  if (!embedding) {
    const { graph, head, middle } = findBackbone(model, inputSize)
    return { graph, source: { maps: middle ? [head, middle] : [head] } }
  }
  const { graph } = prepareGraph(model.graph, { inputSize })
  const shape = shapeIn(graph, embedding.output)
  const length = shape?.reduce((product, size) => product * size, 1)
  if (!length)
    throw new GapcamError(
      'MANIFEST_INVALID',
      `model ${model.path}: embedding names ${embedding.output}, which is no value of a known shape`,
    )
  return { graph, source: { value: embedding.output, length } }
}

async function ordinaryVectors(look: GalleryNetwork['look']): Promise<readonly Float32Array[]> {
  const vectors: Float32Array[] = []
  for (const name of (await readdir(photographs)).filter((file) => file.endsWith('.jpg')).sort()) {
    const picture = await decodeFile(`${photographs}${name}`)
    for (const region of parts) vectors.push(await look(picture, region))
  }
  return vectors
}

function unitOf(vector: Float32Array, mean: Float32Array, lengths: readonly number[]): Float32Array {
  const result = vector.map((value, i) => value - mean[i]!)
  let start = 0
  for (const length of lengths) {
    const part = result.subarray(start, start + length)
    const norm = Math.sqrt(part.reduce((sum, value) => sum + value * value, 0) * lengths.length)
    if (norm > 0) for (let i = 0; i < length; i++) part[i]! /= norm
    start += length
  }
  return result
}

/** What the written file says of itself. */
function manifestOf(
  names: readonly string[],
  { threshold }: GalleryHead,
  { mean, std, order, resize }: PreprocessSpec,
): Manifest {
  const any: [number, number] = [-1, 1]
  return {
    labels: [...names],
    mean: [...mean],
    std: [...std],
    colorOrder: order,
    resize,
    scores: 'sigmoid',
    output: galleryValues.logits,
    novelty: { output: galleryValues.novelty, distance: 1 - threshold, sight: [any, any, any] },
  }
}
