/**
 * How the inputs of a layer vary together, measured on some places of each picture: one matrix for each group of its weights. A
 * weight's rounding error can then be made good by the weights that are rounded after it (rounding.ts).
 */
import { intAttribute, intsAttribute, type Graph } from '../model/graph.js'
import type { Layer } from './selection.js'

/** Covariances of one layer's inputs, in blocks of neighbours. */
export interface Covariance {
  /** Groups of output channels, each with its own inputs. */
  readonly groups: number
  /** The blocks of each group: `size` inputs from `start` on. The matrix is [size, size], not divided by the number of samples. */
  readonly blocks: readonly (readonly Block[])[]
  readonly samples: number
}

interface Block {
  readonly start: number
  readonly size: number
  readonly matrix: Float64Array
}

/** Collects one layer's covariances. */
export interface CovarianceCollector {
  /** Adds a picture's input tensor: [1, channels, …] in file order, [1, …, channels] otherwise. */
  add(data: Float32Array, inFileOrder: boolean): void
  finish(): Covariance
}

/** Places that are looked at in each picture. */
const placesOfPicture = 32
/** Inputs that are far apart are taken for independent: whole matrices of 1,000 inputs take minutes and gain 0.1 dB. */
const mostInputs = 256

/** A collector for a layer with weights; null where its windows are not those of a plain convolution or product. */
export function covarianceOf(graph: Graph, layer: Layer): CovarianceCollector | null {
  const window = layer.node.op === 'Conv' ? windowOf(graph, layer) : rowsOf(graph, layer)
  if (!window) return null
  const { groups, size, places } = window
  const blocks = Array.from({ length: groups }, (_, group) => blocksOf(group * size, size))
  const step = Math.max(1, places / placesOfPicture)
  const rows = Array.from({ length: Math.ceil(places / step) + 1 }, () => new Float32Array(groups * size))
  const sums = new Float64Array(groups * size)
  let [samples, turn] = [0, 0]
  return {
    add(data, inFileOrder) {
      let count = 0
      // Places differ from picture to picture, so that all parts of a map are seen.
      for (let at = (turn++ * 0.618) % step; at < places; at += step)
        window.read(data, Math.floor(at), inFileOrder, rows[count++]!)
      for (const block of blocks.flat()) addProducts(block, sums, rows.slice(0, count))
      samples += count
    },
    finish() {
      for (const block of blocks.flat()) takeMeansOff(block, sums, samples)
      const own = blocks.map((all, group) => all.map((block) => ({ ...block, start: block.start - group * size })))
      return { groups, blocks: own, samples }
    },
  }
}

/** Equal blocks of inputs. */
function blocksOf(first: number, size: number): Block[] {
  const count = Math.ceil(size / mostInputs)
  return Array.from({ length: count }, (_, i) => {
    const [from, to] = [Math.floor((i * size) / count), Math.floor(((i + 1) * size) / count)]
    return { start: first + from, size: to - from, matrix: new Float64Array((to - from) ** 2) }
  })
}

/** The upper half of x·xᵀ, summed over rows; a row of the matrix stays in the first cache while all samples are added. */
function addProducts({ start, size, matrix }: Block, sums: Float64Array, rows: readonly Float32Array[]): void {
  const parts = rows.map((row) => row.subarray(start, start + size))
  for (let i = 0; i < size; i++) {
    const target = matrix.subarray(i * size, (i + 1) * size)
    for (const x of parts) {
      const value = x[i]!
      if (value === 0) continue
      sums[start + i]! += value
      for (let j = i; j < size; j++) target[j]! += value * x[j]!
    }
  }
}

/** The means are the bias correction's affair. Fills the lower half as well. */
function takeMeansOff({ start, size, matrix }: Block, sums: Float64Array, samples: number): void {
  for (let i = 0; i < size; i++)
    for (let j = i; j < size; j++) {
      const value = matrix[i * size + j]! - (sums[start + i]! * sums[start + j]!) / Math.max(1, samples)
      matrix[i * size + j] = value
      matrix[j * size + i] = value
    }
}

interface Window {
  readonly groups: number
  readonly size: number
  /** Places of the output. */
  readonly places: number
  /** Copies what the outputs of a place read: all groups one after the other, each in the order of the weights. */
  read(data: Float32Array, place: number, inFileOrder: boolean, into: Float32Array): void
}

/** Rows of a matrix product. */
function rowsOf({ constants, values }: Graph, { node, weights }: Layer): Window | null {
  const [rows = 0, columns = 0] = constants.get(weights!)?.shape ?? []
  const size = node.op === 'Gemm' && intAttribute(node, 'transB', 0) === 1 ? columns : rows
  const shape = values.get(node.inputs[0]!)?.shape ?? []
  const places = shape.slice(0, -1).reduce<number>((product, each) => product * Number(each), 1)
  if (shape.at(-1) !== size || !(places > 0) || intAttribute(node, 'transA', 0) === 1) return null
  return {
    groups: 1,
    size,
    places,
    read: (data, place, _, into) => into.set(data.subarray(place * size, (place + 1) * size)),
  }
}

/** Windows of a convolution over [1, channels, height, width]. */
function windowOf({ constants, values }: Graph, { node, weights }: Layer): Window | null {
  const kernel = constants.get(weights!)?.shape ?? []
  const [batch, channels, height, width] = (values.get(node.inputs[0]!)?.shape ?? []) as readonly number[]
  const [, , outHeight, outWidth] = (values.get(node.outputs[0]!)?.shape ?? []) as readonly number[]
  const autoPad = node.attributes['auto_pad']
  const isAutomatic = autoPad?.kind === 'string' && autoPad.value !== 'NOTSET'
  if (kernel.length !== 4 || batch !== 1 || !channels || !height || !width || !outHeight || !outWidth || isAutomatic)
    return null
  const [, perGroup = 0, kernelHeight = 0, kernelWidth = 0] = kernel
  const [strideY = 1, strideX = 1] = intsAttribute(node, 'strides') ?? []
  const [dilationY = 1, dilationX = 1] = intsAttribute(node, 'dilations') ?? []
  const [top = 0, left = 0] = intsAttribute(node, 'pads') ?? []
  return {
    groups: channels / perGroup,
    size: perGroup * kernelHeight * kernelWidth,
    places: outHeight * outWidth,
    read(data, place, inFileOrder, into) {
      const [y0, x0] = [Math.floor(place / outWidth) * strideY - top, (place % outWidth) * strideX - left]
      const [channelStep, placeStep] = inFileOrder ? [height * width, 1] : [1, channels]
      let at = 0
      for (let c = 0; c < channels; c++)
        for (let ky = 0; ky < kernelHeight; ky++)
          for (let kx = 0; kx < kernelWidth; kx++) {
            const [y, x] = [y0 + ky * dilationY, x0 + kx * dilationX]
            const isInside = y >= 0 && y < height && x >= 0 && x < width
            into[at++] = isInside ? data[c * channelStep + (y * width + x) * placeStep]! : 0
          }
    },
  }
}
