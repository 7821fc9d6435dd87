/** The smallest graphs for a pass: nodes from `input`, an image [1,2,6,6], to `y`. */
import { expect } from 'vitest'
import { floatsOf, type Graph } from '../../../src/model/graph.js'
import { parseModel } from '../../../src/model/onnx/onnx.js'
import { prepareGraph } from '../../../src/model/prepare.js'
import { buildModel, floats, type NodeSpec, type Weight } from '../../onnx-builder.js'

const image = [1, 2, 6, 6]
/** The weights of a 1×1 convolution. */
export const pointwise: Weight = floats([2, 2, 1, 1], [1, 2, 3, 4])

/** The prepared graph of these nodes, all of which must be supported. */
export function graphOf(
  nodes: readonly NodeSpec[],
  weights: Readonly<Record<string, Weight>> = {},
  outputs: readonly string[] = ['y'],
): Graph {
  const spec = {
    nodes,
    weights,
    inputs: { input: image },
    outputs: Object.fromEntries(outputs.map((name) => [name, null])),
  }
  const prepared = prepareGraph(parseModel(buildModel(spec)).graph)
  expect(prepared.unsupported).toEqual([])
  return prepared.graph
}

/** A node. Inputs and outputs are names separated by spaces. */
export const node = (
  op: string,
  inputs: string,
  output: string,
  attributes: NonNullable<NodeSpec['attributes']> = {},
): NodeSpec => ({ op, inputs: inputs.split(' '), outputs: output.split(' '), attributes })

/** The operators of a graph in order. */
export const ops = (graph: Graph): string => graph.nodes.map(({ op }) => op).join(' ')
/** The values of a constant. */
export const constant = (graph: Graph, name: string): number[] => [...floatsOf(graph.constants.get(name)!)]

/** Constants for maps of two channels. */
export const weights: Record<string, Weight> = {
  w: pointwise,
  w3: floats(
    [2, 2, 3, 3],
    Float32Array.from({ length: 36 }, (_, i) => i / 10),
  ),
  deep: floats([2, 1, 1, 1], [10, 20]),
  one: floats([], [1]),
  two: floats([], [2]),
  six: floats([], [6]),
  zero: floats([], [0]),
  minus: floats([2, 1, 1], [1, -1]),
  each: floats([2, 1, 1], [3, 5]),
}
/** Pads that keep the size with a 3×3 kernel. */
export const padded = { pads: [1, 1, 1, 1] }
