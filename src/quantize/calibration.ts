/**
 * What the float model computes on the pictures: for each tensor its least and greatest value, a histogram between them, and
 * the mean of each channel. Two passes over the pictures, since the histogram needs the range first.
 */
import type { Engine, EngineTensor } from '../engine/engine.js'

const bins = 2048

export interface TensorStatistics {
  readonly min: number
  readonly max: number
  /** Counts in equal bins from `min` to `max`. */
  readonly histogram: Float64Array
  /** The mean of each channel over pictures and places. */
  readonly channelMeans: Float64Array
}

interface Collected {
  min: number
  max: number
  histogram: Float64Array
  sums: Float64Array
  count: number
}

/** A picture as the network's input, in the order of the model file (channels first). */
export type Input = Float32Array

/** Runs every input through the engine; `onRun` reads the outputs after each. */
export async function runAll(engine: Engine, inputs: readonly Input[], onRun: (index: number) => void): Promise<void> {
  for (const [index, input] of inputs.entries()) {
    feed(engine, input)
    await engine.run()
    onRun(index)
  }
}

/** Writes a picture in file order into the engine's input, which may be channels last. */
function feed(engine: Engine, values: Input): void {
  const [input] = engine.inputs
  const data = input!.data as Float32Array
  if (input!.inFileOrder) return data.set(values)
  const [, height = 0, width = 0, channels = 0] = input!.shape
  const places = height * width
  for (let c = 0; c < channels; c++) for (let p = 0; p < places; p++) data[p * channels + c] = values[c * places + p]!
}

/** A tensor as an engine has it: [1, channels, …] in file order, [1, …, channels] otherwise. */
export type Seen = Pick<EngineTensor, 'data' | 'inFileOrder'>

/**
 * Statistics of every output of an engine whose outputs are the tensors to quantize, by name. `onPicture` may read the outputs of
 * the second pass, each picture once.
 */
export async function collectStatistics(
  engine: Engine,
  inputs: readonly Input[],
  onPicture: (outputs: ReadonlyMap<string, Seen>, index: number) => void,
): Promise<ReadonlyMap<string, TensorStatistics>> {
  const collected = new Map<string, Collected>()
  for (const { name, shape, inFileOrder } of engine.outputs)
    collected.set(name, {
      min: Infinity,
      max: -Infinity,
      histogram: new Float64Array(bins),
      sums: new Float64Array((inFileOrder ? shape[1] : shape.at(-1)) ?? 1),
      count: 0,
    })
  await runAll(engine, inputs, () => {
    for (const { name, data, shape, inFileOrder } of engine.outputs)
      addRange(collected.get(name)!, data as Float32Array, shape, inFileOrder)
  })
  const outputs = new Map(engine.outputs.map((output) => [output.name, output]))
  await runAll(engine, inputs, (index) => {
    for (const { name, data } of engine.outputs) addHistogram(collected.get(name)!, data as Float32Array)
    onPicture(outputs, index)
  })
  return new Map(
    [...collected].map(([name, { min, max, histogram, sums, count }]) => [
      name,
      { min, max, histogram, channelMeans: sums.map((sum) => sum / count) },
    ]),
  )
}

/** Range and sums of one tensor. */
function addRange(to: Collected, data: Float32Array, shape: readonly number[], inFileOrder: boolean): void {
  const { sums } = to
  const places = data.length / sums.length
  let { min, max } = to
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!
    if (value < min) min = value
    if (value > max) max = value
  }
  to.min = min
  to.max = max
  to.count += places
  addSums(sums, data, inFileOrder || shape.length < 3)
}

/** Adds up each channel; `isByChannel`: the numbers of a channel lie together. */
function addSums(sums: Float64Array, data: Float32Array, isByChannel: boolean): void {
  const [channels, places] = [sums.length, data.length / sums.length]
  if (isByChannel)
    for (let c = 0; c < channels; c++) {
      let sum = 0
      for (let p = 0; p < places; p++) sum += data[c * places + p]!
      sums[c]! += sum
    }
  else for (let p = 0; p < data.length; p += channels) for (let c = 0; c < channels; c++) sums[c]! += data[p + c]!
}

function addHistogram({ min, max, histogram }: Collected, data: Float32Array): void {
  const scale = bins / Math.max(max - min, Number.MIN_VALUE)
  for (let i = 0; i < data.length; i++) histogram[Math.min(bins - 1, ((data[i]! - min) * scale) | 0)]! += 1
}
