/**
 * The nodes that a taught model adds to a network: pooled parts of its feature maps, statistics of the picture, the
 * regression, and the distance to the nearest taught picture. They are plain operators of ONNX, so every engine runs them.
 */
import { gridNames } from '../heat/grid.js'
import { withoutDeadNodes, type Graph, type Value } from '../model/graph.js'
import { clipAxes } from '../model/metadata/video.js'
import type { Triple } from '../pixels/spec.js'
import type { Backbone } from './backbone.js'
import { cellShares, partLength, type Part } from './features.js'
import { GraphBuilder } from './graph-builder.js'
import type { Head } from './head.js'

/** Names of the values that the added nodes make. */
export const valueNames = {
  raw: 'gapcam.raw',
  sight: 'gapcam.sight',
  logits: 'gapcam.logits',
  novelty: 'gapcam.novelty',
} as const

/** How levels become the network's input; the statistics of the picture undo it. */
export interface Pixels {
  readonly mean: Triple
  readonly std: Triple
  readonly order: 'rgb' | 'bgr'
  /** Order of the axes of a clip; absent for a network over pictures. */
  readonly axes?: keyof typeof clipAxes | undefined
}

/** ITU-R BT.601 luma from red, green and blue. */
const luma: Triple = [0.299, 0.587, 0.114]

/** The network with two further values: the raw vector [1, n] and the picture's statistics [1, 3]. */
export function withVectors(backbone: Backbone, parts: readonly Part[], pixels: Pixels): Graph {
  const builder = new Builder(backbone.graph)
  builder.add(
    'Concat',
    parts.map((part, i) => builder.part(part, i)),
    valueNames.raw,
    { axis: 1 },
  )
  builder.sight(pixels)
  const length = parts.reduce((sum, part) => sum + partLength(part), 0)
  const outputs: readonly Value[] = [
    { name: valueNames.raw, type: 'float32', shape: [1, length] },
    { name: valueNames.sight, type: 'float32', shape: [1, 3] },
  ]
  return { ...builder.graph(), outputs: [...backbone.graph.outputs, ...outputs] }
}

/** The network that ends in the head: logits [1, states] and [1, 4] of distance, brightness, contrast and sharpness. */
export function withHead(backbone: Backbone, parts: readonly Part[], pixels: Pixels, head: Head): Graph {
  const builder = new Builder(backbone.graph)
  builder.head(
    parts.map((part, i) => builder.part(part, i)),
    parts,
    head,
  )
  builder.add('Concat', [distanceName, builder.sight(pixels)], valueNames.novelty, { axis: 1 })
  return withoutDeadNodes({ ...builder.graph(), outputs: headOutputs(head) })
}

/** The network with its own outputs and [1, 4] of distance, brightness, contrast and sharpness. All parts tell what is novel. */
export function withNovelty(backbone: Backbone, parts: readonly Part[], pixels: Pixels, taught: TaughtUnits): Graph {
  const builder = new Builder(backbone.graph)
  const units = builder.units(
    parts.map((part, i) => builder.part(part, i)),
    parts.map(partLength),
    taught.mean,
  )
  builder.novelty(units.length === 1 ? units[0]! : builder.add('Concat', units, 'gapcam.seen', { axis: 1 }), taught)
  builder.add('Concat', [distanceName, builder.sight(pixels)], valueNames.novelty, { axis: 1 })
  const novelty: Value = { name: valueNames.novelty, type: 'float32', shape: [1, 4] }
  return { ...builder.graph(), outputs: [...backbone.graph.outputs, novelty] }
}

/** The head alone: its inputs are the parts of a raw vector and the statistics of the picture. */
export function headGraph(parts: readonly Part[], head: Head): Graph {
  const inputs: readonly Value[] = [
    ...parts.map((part, i): Value => ({ name: partName(i), type: 'float32', shape: [1, partLength(part)] })),
    { name: valueNames.sight, type: 'float32', shape: [1, 3] },
  ]
  const builder = new Builder({
    opset: 13,
    name: 'head',
    inputs,
    outputs: [],
    nodes: [],
    constants: new Map(),
    values: new Map(inputs.map((value) => [value.name, value])),
  })
  builder.head(
    parts.map((_, i) => partName(i)),
    parts,
    head,
  )
  builder.add('Concat', [distanceName, valueNames.sight], valueNames.novelty, { axis: 1 })
  return { ...builder.graph(), outputs: headOutputs(head) }
}

/** The constants of a head by name, as `head-file.ts` reads them. */
export const constantNames = {
  mean: gridNames.mean,
  weights: gridNames.weights,
  bias: 'gapcam.constant bias',
  taught: 'gapcam.constant taught',
} as const

/** A part of the vector before centring. */
export const partName = gridNames.part

const distanceName = 'gapcam.distance'

function headOutputs({ states }: Head): readonly Value[] {
  return [
    { name: valueNames.logits, type: 'float32', shape: [1, states.length] },
    { name: valueNames.novelty, type: 'float32', shape: [1, 4] },
  ]
}

/** What tells whether a picture is like others: their unit vectors, and the mean that vectors are centred on. */
export type TaughtUnits = Pick<Head, 'mean' | 'taught' | 'taughtCount'>

class Builder extends GraphBuilder {
  /** Logits and distance from the parts before centring. */
  head(raw: readonly string[], parts: readonly Part[], head: Head): void {
    const units = this.units(raw, parts.map(partLength), head.mean)
    const length = head.mean.length
    const states = head.states.length
    const weights = this.floats('weights', [length, states], head.weights)
    const bias = this.floats('bias', [states], head.bias)
    this.add('Gemm', [this.add('Concat', units, 'gapcam.vector', { axis: 1 }), weights, bias], valueNames.logits)
    const novelty = head.noveltyParts.map((i) => units[i]!)
    this.novelty(novelty.length === 1 ? novelty[0]! : this.add('Concat', novelty, 'gapcam.seen', { axis: 1 }), head)
  }

  /**
   * A part before centring, [1, channels · cells²]. The map is multiplied with its channels last, as the native engine has it: only
   * the cells are put in the vector's order.
   */
  part(part: Part, index: number): string {
    const { map, cells } = part
    if (map.height * map.width === 1) return this.shaped(map.name, [1, map.channels], partName(index))
    if (cells === 1) return this.mean(map, index, partName(index))
    const [places, bins] = [map.height * map.width, cells * cells]
    const planes =
      map.layout === 'nhwc'
        ? map.name
        : this.add('Transpose', [map.name], `gapcam.planes ${index}`, { perm: [0, 2, 3, 1] })
    const rows = this.shaped(planes, [places, map.channels], gridNames.rows(index))
    const shares = this.floats(`cells ${index}`, [bins, places], cellShares(map, cells))
    const binned = this.add('MatMul', [shares, rows], gridNames.binned(index))
    const turned = this.add('Transpose', [binned], `gapcam.turned ${index}`, { perm: [1, 0] })
    return this.shaped(turned, [1, partLength(part)], partName(index))
  }

  /**
   * [1, 3]: mean and deviation of the luma, and the root mean square of its Laplacian, in levels, at half the resolution of
   * the network's input. All of it are products with matrices, which cost an engine less than convolutions of one channel.
   */
  sight(pixels: Pixels): string {
    if (pixels.axes) return this.#sightOfClip(pixels, pixels.axes)
    const [luma, height, width] = this.#luma(pixels)
    const half = this.shaped(luma, [1, 1, height, width], 'gapcam.half')
    const brightness = this.add('GlobalAveragePool', [half], 'gapcam.brightness')
    const contrast = this.#rootMeanSquare(this.add('Sub', [half, brightness], 'gapcam.deviation'), 'gapcam.contrast')
    const edges = this.#rootMeanSquare(this.#edges(luma, height, width), 'gapcam.sharpness')
    const all = this.add('Concat', [brightness, contrast, edges], 'gapcam.statistics', { axis: 1 })
    return this.shaped(all, [1, 3], valueNames.sight)
  }

  /** The same of a clip: the means over its frames. A network over clips computes so much that convolutions cost nothing. */
  #sightOfClip({ mean, std, order }: Pixels, axes: keyof typeof clipAxes): string {
    const weights = order === 'rgb' ? luma : luma.toReversed()
    const { name, shape } = this.network.inputs[0]!
    const { frames, channels, height, width } = clipAxes[axes]
    const sizes = [frames, channels, height, width].map((axis) => shape![axis] as number)
    const perm = [0, frames, channels, height, width]
    const planes = this.shaped(this.add('Transpose', [name], 'gapcam.in order', { perm }), sizes, 'gapcam.frames')
    // The luma of a pixel, and the mean of four pixels: one convolution of 2 by 2.
    const scaled = weights.flatMap((weight, c) => new Array<number>(4).fill((weight * std[c]!) / 4))
    const black = weights.reduce((sum, weight, c) => sum + weight * mean[c]!, 0)
    const inputs = [planes, this.floats('luma', [1, 3, 2, 2], scaled), this.floats('black', [1], [black])]
    const half = this.add('Conv', inputs, 'gapcam.half', { strides: [2, 2] })
    const laplacian = this.floats('laplacian', [1, 1, 3, 3], [0, -1, 0, -1, 4, -1, 0, -1, 0])
    const brightness = this.add('GlobalAveragePool', [half], 'gapcam.brightness')
    const contrast = this.#rootMeanSquare(this.add('Sub', [half, brightness], 'gapcam.deviation'), 'gapcam.contrast')
    const edges = this.#rootMeanSquare(this.add('Conv', [half, laplacian], 'gapcam.edges'), 'gapcam.sharpness')
    const all = this.add('Concat', [brightness, contrast, edges], 'gapcam.statistics', { axis: 1 })
    const turned = this.add('Transpose', [all], 'gapcam.statistics in turn', { perm: [2, 1, 0, 3] })
    return this.shaped(this.add('GlobalAveragePool', [turned], 'gapcam.statistics of all'), [1, 3], valueNames.sight)
  }

  /** The luma of the input at half its resolution, [height, width]. */
  #luma({ mean, std, order }: Pixels): readonly [name: string, height: number, width: number] {
    const weights = order === 'rgb' ? luma : luma.toReversed()
    const input = this.network.inputs[0]!
    const shape = input.shape as readonly number[]
    const isNchw = shape[1] === 3
    const [rows = 0, columns = 0] = shape.slice(isNchw ? 2 : 1)
    const [height, width] = [Math.floor(rows / 2), Math.floor(columns / 2)]
    const pixels = isNchw ? this.add('Transpose', [input.name], 'gapcam.pixels', { perm: [0, 2, 3, 1] }) : input.name
    // One product takes a few pixels in a row to the means of pairs; an odd width leaves the last pixel out.
    const pairs = columns % 2 === 0 ? largestDivisor(width, mostPairs) : width
    const taken = columns % 2 === 0 ? 2 * pairs : columns
    const matrix = new Float32Array(taken * 3 * pairs)
    for (let pixel = 0; pixel < 2 * pairs; pixel++)
      for (let c = 0; c < 3; c++) matrix[(pixel * 3 + c) * pairs + Math.floor(pixel / 2)] = (weights[c]! * std[c]!) / 2
    const black = weights.reduce((sum, weight, c) => sum + weight * mean[c]!, 0)
    const across = this.add(
      'Gemm',
      [
        this.shaped(pixels, [(rows * columns) / taken, taken * 3], 'gapcam.pairs'),
        this.floats('luma', [taken * 3, pairs], matrix),
        this.floats('black', [pairs], new Float32Array(pairs).fill(black)),
      ],
      'gapcam.across',
    )
    const means = band(height, rows, (row) => [
      [2 * row, 0.5],
      [2 * row + 1, 0.5],
    ])
    const lines = this.shaped(across, [rows, width], 'gapcam.lines')
    return [this.add('MatMul', [this.floats('row pairs', [height, rows], means), lines], 'gapcam.luma'), height, width]
  }

  /**
   * [1, 1, height, width]: the Laplacian of the places that have four neighbours, 0 at the others; scaled so that its mean square
   * is that of the places that have.
   */
  #edges(luma: string, height: number, width: number): string {
    const scale = Math.sqrt((height * width) / ((height - 2) * (width - 2)))
    const second = (size: number): Float32Array =>
      band(size, size, (i) =>
        i === 0 || i === size - 1
          ? []
          : [
              [i - 1, -scale],
              [i, 2 * scale],
              [i + 1, -scale],
            ],
      )
    const inside = Float32Array.from({ length: height * width }, (_, i) => {
      const [row, column] = [Math.floor(i / width), i % width]
      return row > 0 && row < height - 1 && column > 0 && column < width - 1 ? 1 : 0
    })
    const down = this.add('MatMul', [this.floats('down', [height, height], second(height)), luma], 'gapcam.down')
    const across = this.add(
      'MatMul',
      [luma, this.floats('right', [width, width], transposed(second(width), width))],
      'gapcam.right',
    )
    const both = this.add('Add', [across, down], 'gapcam.laplacian')
    const masked = this.add('Mul', [both, this.floats('inside', [height, width], inside)], 'gapcam.edges')
    return this.shaped(masked, [1, 1, height, width], 'gapcam.edge map')
  }

  #rootMeanSquare(value: string, output: string): string {
    const squares = this.add('Mul', [value, value], `${output} squares`)
    return this.add('Sqrt', [this.add('GlobalAveragePool', [squares], `${output} mean`)], output)
  }

  /** [1, 1]: the cosine distance to the nearest taught vector, the mean over the parts. */
  novelty(unit: string, { taught, taughtCount }: Pick<Head, 'taught' | 'taughtCount'>): void {
    const length = taught.length / taughtCount
    const columns = new Float32Array(taught.length)
    for (let i = 0; i < taughtCount; i++)
      for (let k = 0; k < length; k++) columns[k * taughtCount + i] = taught[i * length + k]!
    const cosines = this.add('MatMul', [unit, this.floats('taught', [length, taughtCount], columns)], 'gapcam.cosines')
    const nearest = this.add('ReduceMax', [cosines], 'gapcam.nearest', { keepdims: 1 })
    this.add('Sub', [this.floats('one', [1], [1]), nearest], distanceName)
  }
}

/** Most means of pairs in one product: more of them multiply more zeros. */
const mostPairs = 8

function largestDivisor(of: number, most: number): number {
  for (let divisor = most; ; divisor--) if (of % divisor === 0) return divisor
}

/** A matrix [rows, columns] with these entries in each row. */
function band(
  rows: number,
  columns: number,
  entries: (row: number) => readonly (readonly [column: number, value: number])[],
): Float32Array {
  const matrix = new Float32Array(rows * columns)
  for (let row = 0; row < rows; row++)
    for (const [column, value] of entries(row)) matrix[row * columns + column] = value
  return matrix
}

/** A square matrix with its rows as columns. */
const transposed = (matrix: Float32Array, size: number): Float32Array =>
  matrix.map((_, i) => matrix[(i % size) * size + Math.floor(i / size)]!)
