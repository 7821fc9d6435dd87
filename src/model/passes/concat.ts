/**
 * What is done to every element behind a Concat of channels is done before it where convolutions there can take it in;
 * a Concat of Concats is one. Both save a walk over the joined map.
 */
import { floatConstant, type Constant, type Graph, type Node, type Value } from '../graph.js'
import { concatenated } from '../shapes/movement.js'
import { fusibleActivation } from './activation.js'
import { affineOf, affineOperand } from './affine.js'
import { foldBatchNorms, isFoldable } from './batch-norm.js'
import { mergeClips } from './clip.js'
import { applyChanges, changed, GraphIndex, repeated } from './changes.js'

export function hoistAboveConcat(graph: Graph): Graph {
  return repeated(flattened(graph), (current) => {
    const hoisted = hoistOnce(current)
    return hoisted === current ? current : mergeClips(foldBatchNorms(hoisted))
  })
}

/** Inputs that are a Concat along the same axis for this one alone become its own inputs. */
function flattened(graph: Graph): Graph {
  return repeated(graph, (current) => {
    const index = GraphIndex.of(current)
    const replaced = new Map<Node, readonly Node[]>()
    for (const node of current.nodes) {
      if (node.op !== 'Concat') continue
      const parts = node.inputs.map((input) => index.soleMaker(input, node))
      const isJoined = (part: Node | undefined): part is Node =>
        part?.op === 'Concat' && !replaced.has(part) && axisOf(index, part) === axisOf(index, node)
      if (!parts.some(isJoined)) continue
      for (const part of parts) if (isJoined(part)) replaced.set(part, [])
      replaced.set(node, [
        changed(node, {
          inputs: node.inputs.flatMap((input, i) => (parts[i] && replaced.has(parts[i]) ? parts[i].inputs : [input])),
        }),
      ])
    }
    return applyChanges(current, { replaced })
  })
}

const axisOf = (index: GraphIndex, concat: Node): number => concatenated(index.view(concat)).axis

function hoistOnce(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const constants = new Map<string, Constant>()
  const values: Value[] = []
  for (const node of graph.nodes) {
    const value = affineOperand(index, node) ?? node.inputs[0] ?? ''
    const concat = index.soleMaker(value, node)
    if (
      concat?.op !== 'Concat' ||
      replaced.has(concat) ||
      index.shape(value).length !== 4 ||
      axisOf(index, concat) !== 1
    )
      continue
    const affine = affineOf(index, node, 1)
    if (!affine && !fusibleActivation(index, node, value)) continue
    const channels = (inputs: readonly string[]): number =>
      inputs.reduce((sum, input) => sum + index.shape(input)[1]!, 0)
    // Parts that nothing takes in become steps of their own: at most half of the map.
    if (
      2 * channels(concat.inputs.filter((input) => isTaken(index, concat, input, affine !== null))) <
      channels(concat.inputs)
    )
      continue
    let first = 0
    const parts = concat.inputs.map((input, i): { name: string; nodes: Node[] } => {
      const shape = index.shape(input)
      const [from, to] = [first, (first += shape[1]!)]
      const name = (what: string): string => {
        const made = `${node.outputs[0]!}.${i}${what}`
        values.push({ name: made, type: 'float32', shape })
        return made
      }
      const result = name('')
      if (!affine)
        return {
          name: result,
          nodes: [
            changed(
              { ...node, name: `${node.name}.${i}` },
              { inputs: [input, ...node.inputs.slice(1)], outputs: [result] },
            ),
          ],
        }
      const [product, factor, offset] = [name(' scaled'), `${result}.factor`, `${result}.offset`]
      constants.set(factor, floatConstant([1, to - from, 1, 1], affine.factor.slice(from, to)))
      constants.set(offset, floatConstant([1, to - from, 1, 1], affine.offset.slice(from, to)))
      return {
        name: result,
        nodes: [
          binary(`${node.name}.${i} scaled`, 'Mul', [input, factor], product),
          binary(`${node.name}.${i}`, 'Add', [product, offset], result),
        ],
      }
    })
    replaced.set(concat, [])
    replaced.set(node, [
      ...parts.flatMap(({ nodes }) => nodes),
      changed(concat, { inputs: parts.map(({ name }) => name), outputs: node.outputs.slice(0, 1) }),
    ])
  }
  return applyChanges(graph, { replaced, constants, values })
}

const binary = (name: string, op: string, inputs: readonly string[], output: string): Node => ({
  name,
  op,
  domain: '',
  attributes: {},
  inputs,
  outputs: [output],
})

/** Whether the maker of a part can take in what comes: weights a scale, a convolution that has none an activation. */
function isTaken(index: GraphIndex, concat: Node, input: string, isAffine: boolean): boolean {
  const maker = index.soleMaker(input, concat)
  return maker !== undefined && (isAffine ? isFoldable(index, maker) : maker.op === 'Conv')
}
