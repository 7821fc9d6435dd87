/**
 * Fuses a Pad into the window operator behind it: zeros into a convolution, or into an average that counts padding;
 * minus infinity into a maximum, or zeros where the map is never negative.
 */
import type { Graph, Node } from '../graph.js'
import { activationOf } from '../activation.js'
import { resolvePad } from '../shapes/movement.js'
import { resolveWindow } from '../shapes/window.js'
import { affineOf, affineOperand } from './affine.js'
import { unlessUnsupported } from './attempt.js'
import { GraphIndex } from '../graph-index.js'
import { applyChanges, changed } from './changes.js'

/** Fuses every Pad that the node behind it can apply. */
export function fusePads(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  for (const node of graph.nodes) {
    const pad = ['Conv', 'AveragePool', 'MaxPool'].includes(node.op) ? index.maker(node.inputs[0]!) : undefined
    const amounts = pad?.op === 'Pad' ? spatialPads(index, pad, (value) => isNeutral(index, node, pad, value)) : null
    if (!pad || !amounts) continue
    const own = ownPads(index, node)
    const pads = own.map((p, i) => p + amounts[i]!)
    if (node.op === 'MaxPool' && !reachesInput(index, node, pads)) continue
    // An average cannot count the Pad's zeros and leave out its own.
    if (node.op === 'AveragePool' && (own.some((p) => p > 0) || index.view(node).int('ceil_mode', 0) === 1)) continue
    replaced.set(node, [
      changed(node, {
        inputs: [pad.inputs[0]!, ...node.inputs.slice(1)],
        attributes: {
          pads: { kind: 'ints', value: pads },
          auto_pad: { kind: 'string', value: 'NOTSET' },
          ...countPadding(node),
        },
      }),
    ])
  }
  return applyChanges(graph, { replaced })
}

const countPadding = ({ op }: Node): Node['attributes'] =>
  op === 'AveragePool' ? { count_include_pad: { kind: 'int', value: 1 } } : {}

/** Whether padding with this value has the same effect as the node's own padding. */
function isNeutral(index: GraphIndex, node: Node, pad: Node, value: number | undefined): boolean {
  if (node.op !== 'MaxPool') return value === 0
  return value !== undefined && (value <= -3e38 || (value === 0 && isNonNegative(index, pad.inputs[0]!)))
}

/** Whether a value is known to be at least zero. */
function isNonNegative(index: GraphIndex, value: string): boolean {
  const maker = index.maker(value)
  if (maker?.op === 'Relu' || maker?.op === 'Sigmoid' || maker?.op === 'HardSigmoid') return true
  if (maker?.op === 'Clip') return (unlessUnsupported(() => activationOf(index.view(maker)))?.a ?? -1) >= 0
  if (maker?.op === 'MaxPool' || maker?.op === 'Concat')
    return maker.inputs.every((input) => isNonNegative(index, input))
  const affine = maker ? affineOf(index, maker, 1) : null
  return (
    affine !== null &&
    [...affine.factor, ...affine.offset].every((number) => number >= 0) &&
    isNonNegative(index, affineOperand(index, maker!)!)
  )
}

/** Whether every window with these pads covers part of the input. A maximum of padding alone has no value. */
function reachesInput(
  index: GraphIndex,
  node: Node,
  [top = 0, left = 0, bottom = 0, right = 0]: readonly number[],
): boolean {
  const {
    kernel: [kh, kw],
    dilations,
    strides,
  } = resolveWindow(index.view(node), index.shape(node.inputs[0]!).slice(2) as [number, number])
  const isDense = dilations.every((dilation) => dilation === 1)
  const isExact = index.view(node).int('ceil_mode', 0) === 0 || strides.every((stride) => stride === 1)
  return isDense && isExact && top < kh && bottom < kh && left < kw && right < kw
}

/** [top, left, bottom, right] of a Pad of H and W with a neutral value; null for any other Pad. */
function spatialPads(
  index: GraphIndex,
  pad: Node,
  isNeutralValue: (value: number | undefined) => boolean,
): readonly number[] | null {
  const view = index.view(pad)
  if (view.text('mode', 'constant') !== 'constant' || view.shape(0).length !== 4) return null
  const value = view.optional(2) ? index.scalar(pad.inputs[2]) : view.float('value', 0)
  const areConstant = !view.optional(1) || view.input(1).constant !== null
  if (!isNeutralValue(value) || !areConstant || (view.optional(3) && !view.input(3).constant)) return null
  const { before, after } = resolvePad(view)
  const isSpatial =
    [before[0], before[1], after[0], after[1]].every((p) => p === 0) && [...before, ...after].every((p) => p >= 0)
  return isSpatial ? [before[2]!, before[3]!, after[2]!, after[3]!] : null
}

/** The pads of the node itself. */
function ownPads(index: GraphIndex, node: Node): readonly number[] {
  const view = index.view(node)
  const [, , h = 0, w = 0] = view.shape(0)
  const [, , kh = 0, kw = 0] = node.op === 'Conv' ? view.shape(1) : [0, 0, ...(view.ints('kernel_shape') ?? [])]
  return resolveWindow(view, [h, w], [kh, kw]).pads
}
