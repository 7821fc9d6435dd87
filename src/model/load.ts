/**
 * Loads a model file of any format that gapcam reads, by its content and not by its name: ONNX, TFLite, or a zip archive that
 * holds one of them. Other formats become the graph and the bytes of an ONNX file, so everything behind this file knows ONNX
 * only. A file of another program is refused with the line that exports a fitting one.
 */
import { stat } from 'node:fs/promises'
import { fileFaultOf, GapcamError } from '../errors.js'
import { isZip, modelInside } from './archive.js'
import { refuseForeign, refuseFolder } from './foreign.js'
import type { Graph } from './graph.js'
import { inputRange } from './metadata/input-range.js'
import { parseLabels } from './metadata/labels.js'
import { recipeOf } from './metadata/recipe.js'
import { manifestMetadata, type Manifest } from './metadata/schema.js'
import { readBytes } from './onnx/file.js'
import { digest, loadOnnx, parseModel, type LoadedModel } from './onnx/onnx.js'
import { serializeModel } from './onnx/serialize.js'
import { isWide } from './tflite/builder.js'
import { graphOfTflite } from './tflite/convert.js'
import { metadataOf, type TfliteMetadata } from './tflite/metadata.js'
import { isTflite, readTflite, type TfliteModel } from './tflite/model.js'
import { withoutPostProcessing } from './tflite/post-processing.js'

const mostBytes = 2 ** 31 // the limit of protobuf and of FlatBuffers

/**
 * Loads a model file; `given` are its bytes where they were read already. Rejects with MODEL_NOT_FOUND, MODEL_INVALID or
 * MODEL_UNSUPPORTED; the sentence holds the path.
 *
 *     const { graph, metadata } = await loadModel('model.onnx')
 */
export async function loadModel(path: string, given?: Uint8Array): Promise<LoadedModel> {
  const bytes = await readModelFile(path, given)
  try {
    return modelOf(path, bytes)
  } catch (error) {
    if (!(error instanceof GapcamError)) throw error
    throw new GapcamError(error.code, `model ${path}: ${error.message}`, { cause: error, hint: error.hint })
  }
}

function modelOf(path: string, bytes: Uint8Array): LoadedModel {
  refuseForeign(bytes)
  if (isTflite(bytes)) return loadTflite(path, bytes, null)
  if (!isZip(bytes)) return loadOnnx(path, bytes)
  const { model, labels } = modelInside(bytes)
  return isTflite(model) ? loadTflite(path, model, labels) : loadFromArchive(path, model, labels)
}

/** An ONNX file out of an archive. Its labels become part of a manifest inside it, unless it carries one. */
function loadFromArchive(path: string, bytes: Uint8Array, labels: Uint8Array | null): LoadedModel {
  const model = loadOnnx(path, bytes)
  const manifest = labels ? manifestMetadata({ labels: parseLabels(labels, `in ${path}`) }) : []
  return {
    ...model,
    // A getter does not survive the spread.
    sha256: model.sha256,
    metadata: new Map([...manifest, ...model.metadata]),
    isConverted: true,
  }
}

async function readModelFile(path: string, given: Uint8Array | undefined): Promise<Uint8Array> {
  try {
    const found = await stat(path)
    if (found.isDirectory()) await refuseFolder(path)
    if (found.size > mostBytes)
      throw new GapcamError('MODEL_INVALID', `model ${path}: ${found.size} bytes are more than a model file can have`)
    return given ?? (await readBytes(path))
  } catch (error) {
    if (error instanceof GapcamError) throw error
    throw new GapcamError('MODEL_NOT_FOUND', `model ${path}: ${fileFaultOf(error)}`)
  }
}

function loadTflite(path: string, file: Uint8Array, beside: Uint8Array | null): LoadedModel {
  const { model, detect } = withoutPostProcessing(readTflite(file))
  const { labels = beside, ...pixels } = metadataOf(model, file)
  const graph = graphOfTflite(model)
  const { manifest: scaling, assumed } = scalingOf(model, pixels, graph)
  const manifest = {
    ...scaling,
    ...(labels && { labels: parseLabels(labels, `in ${path}`) }),
    ...(detect && { detect }),
  }
  const bytes = serializeModel(graph, manifestMetadata(manifest))
  let sha256: string | undefined
  return {
    path,
    bytes,
    ...parseModel(bytes),
    producer: model.description === '' ? 'TFLite' : model.description,
    externalFiles: [],
    isConverted: true,
    assumed,
    get sha256() {
      return (sha256 ??= digest([file]))
    },
  }
}

/** Tools that write TFLite train on pixels from -1 to 1 more often than on anything else. */
const usualLevels = 127.5

/** Mean and deviation that the file gives; for float pixels without them, what such files usually take. */
function scalingOf(
  model: TfliteModel,
  { mean, std }: Pick<TfliteMetadata, 'mean' | 'std'>,
  graph: Graph,
): { readonly manifest: Manifest; readonly assumed: readonly string[] } {
  const input = model.tensors[model.inputs[0] ?? -1]
  const triple = (values: readonly number[]): [number, number, number] => [
    values[0] ?? 0,
    values[1] ?? values[0] ?? 0,
    values[2] ?? values[0] ?? 0,
  ]
  if (mean?.length && std?.length) return { manifest: { mean: triple(mean), std: triple(std) }, assumed: [] }
  if (!input || (input.type !== 'float32' && !isWide(input))) return { manifest: {}, assumed: [] }
  // The graph itself says it, and it is asked later, as of any ONNX file.
  if (recipeOf(graph, new Map()).mean || inputRange(graph)) return { manifest: {}, assumed: [] }
  return {
    manifest: { mean: triple([usualLevels]), std: triple([usualLevels]) },
    assumed: ['pixels from -1 to 1, as most TFLite models take them (the file has no metadata that says otherwise)'],
  }
}
