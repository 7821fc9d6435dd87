/**
 * Merges the sum or difference of two convolutions of the same value into one convolution. Networks such as RepVGG,
 * MobileOne and FastViT are trained with parallel branches. The smaller kernel is added into the larger one, a depthwise
 * kernel onto its diagonal.
 */
import { floatConstant, floatsOf, type Constant, type Graph, type Node } from '../graph.js'
import { resolveWindow, type Window } from '../shapes/window.js'
import { foldBatchNorms } from './batch-norm.js'
import { unlessUnsupported } from './attempt.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges, changed, repeated } from './changes.js'
import { isFoldable } from './weighted.js'

/** Repeats, since a merged sum may be part of the next one. A scale behind it goes into its weights first. */
export function mergeParallel(graph: Graph): Graph {
  return repeated(graph, (current) => {
    const merged = mergeOnce(current)
    return merged === current ? current : foldBatchNorms(merged)
  })
}

/** One convolution of a sum. */
interface Branch {
  readonly node: Node
  readonly window: Window
  readonly groups: number
  readonly weights: Constant
}

function mergeOnce(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const constants = new Map<string, Constant>()
  for (const sum of graph.nodes) {
    if ((sum.op !== 'Add' && sum.op !== 'Sub') || sum.domain !== '' || sum.inputs.length !== 2) continue
    const [first, second] = sum.inputs.map((input) => branchOf(index, sum, input))
    if (!first || !second || replaced.has(first.node) || replaced.has(second.node)) continue
    const isFirstOuter = fits(second, first)
    if (!isFirstOuter && !fits(first, second)) continue
    const [outer, inner] = isFirstOuter ? [first, second] : [second, first]
    const sign = (branch: Branch): number => (sum.op === 'Sub' && branch === second ? -1 : 1)
    const [weights, bias] = [`${sum.name}.weights`, `${sum.name}.bias`]
    constants.set(weights, mergedWeights(outer, inner, sign(outer), sign(inner)))
    constants.set(bias, mergedBias(index, outer, inner, sign(outer), sign(inner)))
    for (const { node } of [outer, inner]) replaced.set(node, [])
    replaced.set(sum, [changed(outer.node, { inputs: [outer.node.inputs[0]!, weights, bias], outputs: sum.outputs })])
  }
  return applyChanges(graph, { replaced, constants })
}

function branchOf(index: GraphIndex, sum: Node, value: string): Branch | null {
  const node = index.soleMaker(value, sum)
  if (node?.op !== 'Conv' || !isFoldable(index, node)) return null
  const view = index.view(node)
  const [, , h = 0, w = 0] = view.shape(0)
  const [, , kh = 0, kw = 0] = view.shape(1)
  const window = unlessUnsupported(() => resolveWindow(view, [h, w], [kh, kw]))
  return window && { node, window, groups: view.int('group', 1), weights: view.input(1).constant! }
}

/** Whether the kernel of `inner` lies within that of `outer`, at the same positions, and its groups within the groups. */
function fits(inner: Branch, outer: Branch): boolean {
  const [a, b] = [inner.window, outer.window]
  if (
    inner.node.inputs[0] !== outer.node.inputs[0] ||
    inner.weights.shape[0] !== outer.weights.shape[0] ||
    inner.groups % outer.groups !== 0
  )
    return false
  const isNested = [0, 1].every((axis) => {
    const shift = b.pads[axis]! - a.pads[axis]!
    return (
      a.strides[axis] === b.strides[axis] &&
      a.output[axis] === b.output[axis] &&
      a.dilations[axis] === 1 &&
      b.dilations[axis] === 1 &&
      shift >= 0 &&
      shift + a.kernel[axis]! <= b.kernel[axis]!
    )
  })
  return isNested
}

/** The weights of `outer` with those of `inner` added, each with its sign. */
function mergedWeights(outer: Branch, inner: Branch, outerSign: number, innerSign: number): Constant {
  const [features = 0, perGroup = 0, kh = 0, kw = 0] = outer.weights.shape
  const [, innerPerGroup = 0, ih = 0, iw = 0] = inner.weights.shape
  const result = floatsOf(outer.weights).slice()
  if (outerSign < 0) for (let i = 0; i < result.length; i++) result[i] = -result[i]!
  const values = floatsOf(inner.weights)
  const [top, left] = [outer.window.pads[0] - inner.window.pads[0], outer.window.pads[1] - inner.window.pads[1]]
  const [outerFeatures, innerFeatures] = [features / outer.groups, features / inner.groups]
  for (let o = 0, from = 0; o < features; o++) {
    // The inner group's first channel within the outer group.
    const first = Math.floor(o / innerFeatures) * innerPerGroup - Math.floor(o / outerFeatures) * perGroup
    for (let c = 0; c < innerPerGroup; c++) {
      for (let y = 0; y < ih; y++) {
        const to = ((o * perGroup + first + c) * kh + top + y) * kw + left
        for (let x = 0; x < iw; x++) result[to + x]! += innerSign * values[from++]!
      }
    }
  }
  return floatConstant(outer.weights.shape, result)
}

function mergedBias(index: GraphIndex, outer: Branch, inner: Branch, outerSign: number, innerSign: number): Constant {
  const of = ({ node }: Branch): Float32Array | null =>
    node.inputs[2] ? floatsOf(index.constant(node.inputs[2])!) : null
  const [a, b] = [of(outer), of(inner)]
  return floatConstant(
    [outer.weights.shape[0]!],
    Float32Array.from(
      { length: outer.weights.shape[0]! },
      (_, i) => outerSign * (a?.[i] ?? 0) + innerSign * (b?.[i] ?? 0),
    ),
  )
}
