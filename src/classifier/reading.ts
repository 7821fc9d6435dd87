/** How an opened model's outputs become scores: what manifest, graph and a few test pictures say, in this order. */
import type { Quantization, ScoreActivation } from '../decision/prediction.js'
import type { Engine, EngineTensor } from '../engine/engine.js'
import type { Graph } from '../model/graph.js'
import { FactFinder } from '../model/metadata/fact-finder.js'
import type { FoundManifest } from '../model/metadata/manifest.js'
import { isCodeType } from '../model/quantized/code.js'
import type { ScoresValue } from '../model/metadata/outputs.js'
import { probedReading, readingOf, type Reading } from '../model/metadata/reading.js'
import type { Preprocessor, PreprocessSpec } from '../pixels/spec.js'
import type { TensorType } from '../tensor.js'
import type { PictureInput } from './input.js'
import { probeOutputs } from './probe.js'
import type { RowReader } from './scores.js'

interface ReadingParts {
  /** Prepared, with the scores as its only output. */
  readonly graph: Graph
  readonly scores: ScoresValue
  readonly output: EngineTensor
  readonly found: Pick<FoundManifest, 'manifest' | 'isMultiLabel'>
  /** Numbers in one row. */
  readonly count: number
  readonly engine: Engine
  readonly picture: PictureInput
  readonly read: RowReader
  readonly preprocessor: (spec: PreprocessSpec) => Preprocessor
}

/** Decides it; runs the model only if neither manifest nor graph tells. Rejects with the engine's error. */
export async function readingFor(parts: ReadingParts): Promise<Reading> {
  const { graph, scores, output, found, count } = parts
  const facts = new FactFinder(graph).of(scores.name)
  // An engine in float32 gives the real numbers that the file's integers stand for.
  const isReal = output.type === 'float32' && isCodeType(graph.values.get(scores.name)?.type)
  const byGraph = withCode(readingOf(isReal ? { ...facts, quantization: null } : facts), output)
  const asked = found.manifest.scores
  const reading = asked
    ? { ...byGraph, activation: asked, sentence: `${asked} by the manifest`, isCertain: true }
    : byGraph.isCertain
      ? byGraph
      : probedReading(byGraph, await probed(parts, byGraph))
  const activation = independent(reading.activation, count, asked === undefined && found.isMultiLabel)
  const where = scores.before === null ? '' : `, read in front of ${scores.before}`
  const why =
    activation === reading.activation
      ? ''
      : count === 1
        ? ', one output: sigmoid'
        : ', multi-label by config.json: sigmoid'
  return { ...reading, activation, sentence: `${reading.sentence}${why}${where}` }
}

/** One output, and the logits of a model with several labels at once, become scores by a sigmoid. */
function independent(activation: ScoreActivation, count: number, isMultiLabel: boolean): ScoreActivation {
  return activation === 'softmax' && (count === 1 || isMultiLabel) ? 'sigmoid' : activation
}

/** The code that makes shares of the whole range of an integer type. */
const wholeRange: Readonly<Partial<Record<TensorType, Quantization>>> = {
  uint8: { scale: 1 / 255, zeroPoint: 0 },
  int8: { scale: 1 / 255, zeroPoint: -128 },
  uint16: { scale: 1 / 65535, zeroPoint: 0 },
  int16: { scale: 1 / 65535, zeroPoint: -32768 },
}

/** Integers with an unknown scale are taken for shares of their whole range. */
function withCode(reading: Reading, { type }: EngineTensor): Reading {
  const quantization = wholeRange[type]
  if (reading.quantization || !quantization) return reading
  return { ...reading, quantization, sentence: `${reading.sentence}; ${type} without a scale`, isCertain: false }
}

async function probed(
  { engine, picture, read, preprocessor }: ReadingParts,
  { quantization }: Reading,
): Promise<readonly Float32Array[]> {
  const pass = preprocessor(picture.spec)
  try {
    return await probeOutputs({ run: () => engine.run(), input: picture, preprocessor: pass, read, quantization })
  } finally {
    pass.close()
  }
}
