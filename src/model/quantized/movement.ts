/** Operators that only move elements, on bytes. */
import { elementCount, storedOf, type Code } from '../../tensor.js'
import { floatConstant, numbersOf, type Constant, type Node } from '../graph.js'
import type { GraphIndex } from '../graph-index.js'
import { isSameCode, movers } from './code.js'

/** A node that moves bytes. */
interface MovedBytes {
  readonly node: Node
  /** The code of what it moves. */
  readonly code: Code
  readonly constants: ReadonlyMap<string, Constant>
}

/**
 * The node on the bytes that `bytesOf` names, where all that it moves are bytes of one code; else null. `codes` has the
 * values that exist as bytes.
 */
export function movedBytes(
  index: GraphIndex,
  node: Node,
  codes: ReadonlyMap<string, Code>,
  bytesOf: (name: string) => string,
): MovedBytes | null {
  const isMover = (node.domain === '' && movers.has(node.op)) || node.op === 'ChannelShuffle'
  const code = codes.get(node.inputs[0] ?? '')
  const joins = node.op === 'Concat' || node.op === 'ChannelShuffle'
  if (!isMover || !code || (joins && !node.inputs.every((name) => isSameCode(codes.get(name), code)))) return null
  const inputs = node.inputs.map((name, i) => (i === 0 || joins ? bytesOf(name) : name))
  const outputs = node.outputs.map((output) => (output === '' ? '' : bytesOf(output)))
  const moved = { ...node, inputs, outputs }
  return node.op === 'Pad' ? padded(index, node, moved, code) : { node: moved, code, constants: new Map() }
}

/** A Pad with its number as a byte; null where the number is computed. */
function padded(index: GraphIndex, pad: Node, moved: Node, code: Code): MovedBytes | null {
  const view = index.view(pad)
  const given = view.optional(2)
  if (given && (!given.constant || elementCount(given.shape) !== 1)) return null
  const byte = storedOf(code, given?.constant ? numbersOf(given.constant)[0]! : view.float('value', 0))
  const { value: _, ...attributes } = pad.attributes
  const { inputs } = moved
  if (!given && inputs.length < 2) {
    const value = { kind: 'float', value: byte } as const
    return { node: { ...moved, attributes: { ...attributes, value } }, code, constants: new Map() }
  }
  const fill = `${pad.outputs[0]!}.fill`
  const node = { ...moved, attributes, inputs: [inputs[0]!, inputs[1]!, fill, ...inputs.slice(3)] }
  return { node, code, constants: new Map([[fill, floatConstant([], Float32Array.of(byte))]]) }
}
