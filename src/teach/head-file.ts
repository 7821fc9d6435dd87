/** A head as a file: a small ONNX graph behind the network, with labels and limits in its metadata, and back. */
import { GapcamError } from '../errors.js'
import { loadModel } from '../model/load.js'
import { findManifest } from '../model/metadata/manifest.js'
import { manifestMetadata, type Manifest } from '../model/metadata/schema.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import { serializeModel } from '../model/onnx/serialize.js'
import type { PreprocessSpec } from '../pixels/spec.js'
import { noveltyParts, partLength, type Part } from './features.js'
import { constantNames, headGraph, valueNames } from './graph.js'
import type { Head } from './head.js'
import type { ClipLayout } from './looks.js'

/** How a network takes pictures, or the clips of which they are frames. */
export type NetworkInput = Pick<PreprocessSpec, 'mean' | 'std' | 'order'> & { readonly clip: ClipLayout | null }

/** What a taught model says of itself. */
export function manifestOf(
  { states, limits }: Pick<Head, 'states' | 'limits'>,
  { mean, std, order, clip }: NetworkInput,
): Manifest {
  return {
    ...(clip ? { video: { everyMs: clip.everyMs, axes: clip.axes } } : {}),
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

/** The bytes of a head's file. */
export function headBytes(head: Head, parts: readonly Part[], input: NetworkInput): Uint8Array {
  return serializeModel(headGraph(parts, head), manifestMetadata(manifestOf(head, input)))
}

/** A head that was read from its file. */
export interface HeadFile {
  readonly head: Head
  readonly manifest: Manifest
  readonly model: LoadedModel
}

/** Reads a head of a network with these parts. Rejects with HEAD_INVALID for any other file. */
export async function readHead(file: string, parts: readonly Part[]): Promise<HeadFile> {
  const model = await loadModel(file)
  const { manifest } = await findManifest(model)
  const { constants } = model.graph
  const floats = (name: string, length?: number): Float32Array => {
    const constant = constants.get(name)
    if (constant?.type !== 'float32' || (length !== undefined && constant.bytes.length !== length * 4))
      throw new GapcamError(
        'HEAD_INVALID',
        `${file} is no head of this network: ${name} is missing or has another length`,
      )
    return new Float32Array(constant.bytes.slice().buffer)
  }
  const states = Array.isArray(manifest.labels) ? manifest.labels : []
  const length = parts.reduce((sum, part) => sum + partLength(part), 0)
  const mean = new Float32Array(length)
  let start = 0
  parts.forEach((part, i) => {
    mean.set(floats(constantNames.mean(i), partLength(part)), start)
    start += partLength(part)
  })
  const columns = floats(constantNames.taught)
  const size = constants.get(constantNames.taught)!.shape[0]!
  const novel = noveltyParts(parts, size)
  if (novel.reduce((sum, i) => sum + partLength(parts[i]!), 0) !== size)
    throw new GapcamError('HEAD_INVALID', `${file} is no head of this network: its taught vectors have another length`)
  const taughtCount = columns.length / size
  const taught = new Float32Array(columns.length)
  for (let i = 0; i < taughtCount; i++)
    for (let k = 0; k < size; k++) taught[i * size + k] = columns[k * taughtCount + i]!
  const { novelty } = manifest
  const head: Head = {
    states,
    mean,
    weights: floats(constantNames.weights, length * states.length),
    bias: floats(constantNames.bias, states.length),
    noveltyParts: novel,
    taught,
    taughtCount,
    limits: novelty ? { distance: novelty.distance, sight: novelty.sight } : null,
  }
  return { head, manifest, model }
}
