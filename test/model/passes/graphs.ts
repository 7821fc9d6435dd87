/** The smallest graphs for a pass: a chain or net of nodes from `input`, a picture [1,2,6,6], to `y`. */
import { expect } from 'vitest'
import { floatsOf, type Graph } from '../../../src/model/graph.js'
import { parseModel } from '../../../src/model/onnx/onnx.js'
import { prepareGraph } from '../../../src/model/prepare.js'
import { buildModel, floats, type NodeSpec, type Weight } from '../../onnx-builder.js'

export const image = [1, 2, 6, 6]
export const pointwise: Weight = floats([2, 2, 1, 1], [1, 2, 3, 4])

/** The prepared graph of some nodes. */
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

/** Inputs and outputs are names with spaces between. */
export const node = (
  op: string,
  inputs: string,
  output: string,
  attributes: NonNullable<NodeSpec['attributes']> = {},
): NodeSpec => ({ op, inputs: inputs.split(' '), outputs: output.split(' '), attributes })

export const ops = (graph: Graph): string => graph.nodes.map(({ op }) => op).join(' ')
export const constant = (graph: Graph, name: string): number[] => [...floatsOf(graph.constants.get(name)!)]
