/** What the expansions of an operator into others share: their signature, and how they add nodes and constants. */
import { floatConstant, madeNode, type Constant, type Node } from './graph.js'

/** Where an expansion adds constants. */
export interface ExpansionContext {
  readonly constants: Map<string, Constant>
  readonly opset: number
}

/** The nodes that replace a node; it adds the constants that they need. Null where the use is not covered. */
export type Expansion = (node: Node, context: ExpansionContext) => readonly Node[] | null

/** A node of the expansion of `of`. The one that makes the result keeps the name of `of`. */
export const made = (
  of: Node,
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: Node['attributes'] = {},
): Node =>
  madeNode(op, { name: output === of.outputs[0] ? of.name : `${of.name} ${output}`, inputs, output, attributes })

/** Adds a constant number and returns its name. */
export function scalar({ constants }: ExpansionContext, name: string, value: number): string {
  constants.set(name, floatConstant([], Float32Array.of(value)))
  return name
}
