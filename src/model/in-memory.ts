/** A graph that a program made, as a model that engines open. */
import type { Graph } from './graph.js'
import { parseModel, type LoadedModel } from './onnx/onnx.js'
import { serializeModel } from './onnx/serialize.js'

/** What the made model takes over from the file that it was made from. */
export interface ModelOrigin {
  /** For messages, and to find files beside it. */
  readonly path: string
  /** Default ''. */
  readonly sha256?: string
  readonly metadata?: ReadonlyMap<string, string>
}

/** Throws TypeError for a graph with nodes that no file can hold, such as those that passes make. */
export function asModel(graph: Graph, { path, sha256 = '', metadata = new Map() }: ModelOrigin): LoadedModel {
  const bytes = serializeModel(graph, metadata)
  return { path, bytes, isConverted: true, sha256, externalFiles: [], ...parseModel(bytes) }
}
