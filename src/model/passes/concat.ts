/**
 * Moves activations and affine maps from behind a Concat of channels in front of it, where the convolutions there can
 * absorb them, and joins Concats of Concats. Both save a pass over the joined map.
 */
import { floatConstant, madeNode, type Constant, type Graph, type Node, type Value } from '../graph.js'
import { concatenated } from '../shapes/movement.js'
import { fusibleActivation } from './activation.js'
import { affineOf, affineOperand, type Affine } from './affine.js'
import { foldBatchNorms } from './batch-norm.js'
import { mergeClips } from './clip.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges, changed, repeated } from './changes.js'
import { isFoldable } from './weighted.js'

/** Repeats until nothing moves. What has moved is folded at once, since it may open the way for the next. */
export function hoistAboveConcat(graph: Graph): Graph {
  return repeated(flattened(graph), (current) => {
    const hoisted = hoistOnce(current)
    return hoisted === current ? current : mergeClips(foldBatchNorms(hoisted))
  })
}

/** A Concat takes over the inputs of a Concat along the same axis that only it reads. */
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
    const found = hoistable(index, node)
    if (!found || replaced.has(found.concat)) continue
    const { concat, affine } = found
    let first = 0
    const parts = concat.inputs.map((input, i): Part => {
      const from = first
      first += index.shape(input)[1]!
      const part = { input, shape: index.shape(input), i }
      return affine
        ? affinePart(node, part, { factor: affine.factor.slice(from, first), offset: affine.offset.slice(from, first) })
        : activatedPart(node, part)
    })
    for (const part of parts) {
      values.push(...part.values)
      for (const [name, constant] of part.constants) constants.set(name, constant)
    }
    replaced.set(concat, [])
    replaced.set(node, [
      ...parts.flatMap(({ nodes }) => nodes),
      changed(concat, { inputs: parts.map(({ result }) => result), outputs: node.outputs.slice(0, 1) }),
    ])
  }
  return applyChanges(graph, { replaced, constants, values })
}

/** The Concat before a node, and the affine map of the node, or null for an activation. Undefined where neither moves. */
function hoistable(index: GraphIndex, node: Node): { concat: Node; affine: Affine | null } | undefined {
  const value = affineOperand(index, node) ?? node.inputs[0] ?? ''
  const concat = index.soleMaker(value, node)
  if (concat?.op !== 'Concat' || index.shape(value).length !== 4 || axisOf(index, concat) !== 1) return undefined
  const affine = affineOf(index, node, 1)
  if (!affine && !fusibleActivation(index, node, value)) return undefined
  const channels = (inputs: readonly string[]): number => inputs.reduce((sum, input) => sum + index.shape(input)[1]!, 0)
  // Parts that no convolution absorbs become separate steps: at most half of the map.
  const absorbed = concat.inputs.filter((input) => isAbsorbed(index, concat, input, affine !== null))
  return 2 * channels(absorbed) < channels(concat.inputs) ? undefined : { concat, affine }
}

/** Whether the maker of a part absorbs the map: weights an affine one, a convolution an activation. */
function isAbsorbed(index: GraphIndex, concat: Node, input: string, isAffine: boolean): boolean {
  const maker = index.soleMaker(input, concat)
  return maker !== undefined && (isAffine ? isFoldable(index, maker) : maker.op === 'Conv')
}

/** What is done to one input of the Concat, and the value that takes its place. */
interface Part {
  readonly result: string
  readonly nodes: readonly Node[]
  readonly values: readonly Value[]
  readonly constants: readonly (readonly [string, Constant])[]
}

interface PartInput {
  readonly input: string
  readonly shape: readonly number[]
  readonly i: number
}

function activatedPart(node: Node, { input, shape, i }: PartInput): Part {
  const result = `${node.outputs[0]!}.${i}`
  const moved = changed(
    { ...node, name: `${node.name}.${i}` },
    { inputs: [input, ...node.inputs.slice(1)], outputs: [result] },
  )
  return { result, nodes: [moved], values: [{ name: result, type: 'float32', shape }], constants: [] }
}

function affinePart(node: Node, { input, shape, i }: PartInput, { factor, offset }: Affine): Part {
  const result = `${node.outputs[0]!}.${i}`
  const [scaled, factorName, offsetName] = [`${result} scaled`, `${result}.factor`, `${result}.offset`]
  const perChannel = [1, factor.length, 1, 1]
  return {
    result,
    nodes: [
      madeNode('Mul', { name: `${node.name}.${i} scaled`, inputs: [input, factorName], output: scaled }),
      madeNode('Add', { name: `${node.name}.${i}`, inputs: [scaled, offsetName], output: result }),
    ],
    values: [result, scaled].map((name) => ({ name, type: 'float32', shape })),
    constants: [
      [factorName, floatConstant(perChannel, factor)],
      [offsetName, floatConstant(perChannel, offset)],
    ],
  }
}
