/**
 * Post-training quantization: calibrate on some pictures, write 8-bit layers, compare with the float model on the other
 * pictures, and put the layers that cost most back to float until the model is near enough or too much of it is float.
 */
import { openEngine } from '../engine/select.js'
import type { EngineOptions } from '../engine/engine.js'
import { GapcamError } from '../errors.js'
import { floatsOf, type Graph } from '../model/graph.js'
import { GraphIndex } from '../model/graph-index.js'
import { collectStatistics, type Input, type Seen, type TensorStatistics } from './calibration.js'
import { covarianceOf, type Covariance } from './covariance.js'
import { correctedBias } from './correction.js'
import { asModel } from '../model/in-memory.js'
import { compareOutputs, outputsOf, type Quality } from './quality.js'
import { affineOf, rangeOf, type Affine } from './ranges.js'
import { layersOf, sourceOf, type Layer } from './selection.js'
import { quantizeWeights } from './weights.js'
import { writeQuantized, type QuantizedLayer } from './write.js'

export interface QuantizeOptions {
  /** The folded float graph: `graphToQuantize`. */
  readonly graph: Graph
  /** For messages, and to name the model to engines. */
  readonly path: string
  /** Pictures as network inputs in file order, from which ranges and biases follow. At least one. */
  readonly calibrating: readonly Input[]
  /** Other pictures, on which the 8-bit model is compared with the float model. At least one. */
  readonly judging: readonly Input[]
  readonly engine: EngineOptions
  /** The largest share of the layers that may go back to float; default a third. */
  readonly mostReverted?: number
  /** Told of each step: what is done, and how far, from 0 to 1. */
  readonly onProgress?: (what: string, share: number) => void
}

export interface Quantized {
  readonly graph: Graph
  readonly quality: Quality
  /** Names of the layers that stayed float because 8 bits cost too much there. */
  readonly reverted: readonly string[]
  readonly layers: number
}

/** What a quantized model must reach on the pictures that did not calibrate. */
export const leastQuality: Quality = { agreement: 0.95, sqnrDb: 20 }
/** Pictures on which the layers are tried one by one. */
const trialPictures = 8

/** Quantizes a model. Rejects with MODEL_UNSUPPORTED where nothing can be quantized, with QUANTIZE_FAILED where the result is not near enough. */
export async function quantizeModel(options: QuantizeOptions): Promise<Quantized> {
  const { graph, calibrating, judging, mostReverted = 1 / 3 } = options
  const layers = layersOf(graph)
  if (layers.every(({ weights }) => weights === null))
    throw new GapcamError('MODEL_UNSUPPORTED', `model ${options.path} has no layers that could be quantized`)
  options.onProgress?.('calibrating', 0)
  const { statistics, covariances } = await statisticsOf(options, layers, calibrating)
  const affines = affinesOf(graph, layers, statistics)
  const quantized = layers.map((layer) => quantizeLayer(graph, layer, statistics, covariances.get(layer)))
  const expected = await floatOutputs(options, judging)
  const judge = async (chosen: readonly QuantizedLayer[], few = false): Promise<Quality> => {
    const pictures = few ? judging.slice(0, trialPictures) : judging
    return compareOutputs(expected, await run(writeQuantized(graph, chosen, affines), options, pictures))
  }
  let chosen: readonly QuantizedLayer[] = quantized
  let quality = await judge(chosen)
  const reverted: string[] = []
  if (!isGood(quality) && mostReverted > 0) {
    const worst = await worstFirst(quantized, judge, options)
    for (const layer of worst.slice(0, Math.floor(layers.length * mostReverted))) {
      chosen = chosen.filter((other) => other !== layer)
      reverted.push(layer.layer.node.name)
      quality = await judge(chosen)
      if (isGood(quality)) break
    }
  }
  return { graph: writeQuantized(graph, chosen, affines), quality, reverted, layers: layers.length }
}

/** Whether a quantized model is near enough to the float model: `leastQuality`. */
export function isGood({ agreement, sqnrDb }: Quality): boolean {
  return agreement >= leastQuality.agreement && sqnrDb >= leastQuality.sqnrDb
}

async function statisticsOf(
  { graph, path, engine, onProgress }: QuantizeOptions,
  layers: readonly Layer[],
  inputs: readonly Input[],
): Promise<{
  readonly statistics: ReadonlyMap<string, TensorStatistics>
  readonly covariances: ReadonlyMap<Layer, Covariance>
}> {
  const inputNames = new Set(graph.inputs.map(({ name }) => name))
  const names = [...new Set(layers.flatMap((layer) => [...layer.inputs, layer.output]))].filter(
    (name) => !inputNames.has(name),
  )
  const own = graph.outputs.map(({ name }) => name)
  const model = asModel(graph, { path })
  const opened = await openEngine(model, 'auto', {
    ...engine,
    extraOutputs: names.filter((name) => !own.includes(name)),
  })
  const collectors = new Map(
    layers.flatMap((layer) => {
      const collector = layer.weights === null ? null : covarianceOf(graph, layer)
      return collector ? [[layer, collector] as const] : []
    }),
  )
  const onPicture = (outputs: ReadonlyMap<string, Seen>, index: number): void => {
    for (const [
      {
        inputs: [name],
      },
      collector,
    ] of collectors) {
      const seen = outputs.get(name!)
      collector.add((seen?.data ?? inputs[index]!) as Float32Array, seen?.inFileOrder ?? true)
    }
    onProgress?.('calibrating', (index + 1) / inputs.length)
  }
  try {
    const statistics = new Map(await collectStatistics(opened, inputs, onPicture))
    for (const name of inputNames) statistics.set(name, inputStatistics(graph, name, inputs))
    return { statistics, covariances: new Map([...collectors].map(([layer, each]) => [layer, each.finish()])) }
  } finally {
    await opened.close()
  }
}

/** The same of the pictures themselves. */
function inputStatistics(graph: Graph, name: string, inputs: readonly Input[]): TensorStatistics {
  const [, channels = 1] = (graph.values.get(name)?.shape ?? []) as readonly number[]
  let [min, max] = [Infinity, -Infinity]
  const sums = new Float64Array(channels)
  for (const input of inputs)
    input.forEach((value, i) => {
      min = Math.min(min, value)
      max = Math.max(max, value)
      sums[Math.floor((i * channels) / input.length)]! += value
    })
  const places = (inputs.length * (inputs[0]?.length ?? 0)) / channels
  return { min, max, histogram: Float64Array.of(1), channelMeans: sums.map((sum) => sum / places) }
}

/** Scale and zero point of every tensor; all inputs and the output of a concatenation share one. */
function affinesOf(
  graph: Graph,
  layers: readonly Layer[],
  statistics: ReadonlyMap<string, TensorStatistics>,
): ReadonlyMap<string, Affine> {
  const index = GraphIndex.of(graph)
  // Pictures end where their pixels do. Of the scores, the largest ones decide.
  const whole = new Set(graph.inputs.map(({ name }) => name))
  for (const { name } of graph.outputs) whole.add(name).add(sourceOf(index, name))
  const bounds = new Map(layers.map(({ output, bounds }) => [output, bounds]))
  const ranges = new Map(
    [...statistics].map(([name, found]) => {
      const source = sourceOf(index, name)
      const known = whole.has(name)
        ? { low: found.min, high: found.max }
        : (bounds.get(source) ?? bounds.get(name) ?? null)
      return [name, rangeOf(found, known)] as const
    }),
  )
  for (const { node, inputs, output } of layers) {
    if (node.op !== 'Concat' && node.op !== 'MaxPool') continue
    const all = [...inputs, output].map((name) => ranges.get(name)!)
    const joint = { low: Math.min(...all.map(({ low }) => low)), high: Math.max(...all.map(({ high }) => high)) }
    for (const name of [...inputs, output]) ranges.set(name, joint)
  }
  return new Map([...ranges].map(([name, range]) => [name, affineOf(range)]))
}

function quantizeLayer(
  graph: Graph,
  layer: Layer,
  statistics: ReadonlyMap<string, TensorStatistics>,
  covariance: Covariance | undefined,
): QuantizedLayer {
  if (layer.weights === null) return { layer, weights: null, bias: null }
  const weights = quantizeWeights(graph, layer, covariance)
  const bias = layer.bias === null ? null : floatsOf(graph.constants.get(layer.bias)!)
  const means = statistics.get(layer.inputs[0]!)!.channelMeans
  return { layer, weights, bias: correctedBias(layer.node, bias, weights, means) }
}

function floatOutputs(options: QuantizeOptions, inputs: readonly Input[]): Promise<readonly Float32Array[]> {
  return run(options.graph, options, inputs)
}

async function run(
  graph: Graph,
  { path, engine }: QuantizeOptions,
  inputs: readonly Input[],
): Promise<readonly Float32Array[]> {
  const opened = await openEngine(asModel(graph, { path }), 'auto', engine)
  try {
    return await outputsOf(opened, inputs)
  } finally {
    await opened.close()
  }
}

/** Layers with weights, the one that costs most first: each is quantized alone and judged by its noise. */
async function worstFirst(
  layers: readonly QuantizedLayer[],
  judge: (chosen: readonly QuantizedLayer[], few: boolean) => Promise<Quality>,
  { onProgress }: QuantizeOptions,
): Promise<readonly QuantizedLayer[]> {
  const judged: { readonly layer: QuantizedLayer; readonly sqnrDb: number }[] = []
  const candidates = layers.filter(({ weights }) => weights !== null)
  for (const [i, layer] of candidates.entries()) {
    onProgress?.('trying each layer alone', i / candidates.length)
    judged.push({ layer, sqnrDb: (await judge([layer], true)).sqnrDb })
  }
  return judged.sort((a, b) => a.sqnrDb - b.sqnrDb).map(({ layer }) => layer)
}
