/**
 * One node as shape rules, folding and lowering see it: inputs with types, shapes and constant values, attributes with
 * ONNX's defaults. Where the standard allows something that gapcam does not cover, a getter throws `Unsupported`.
 */
import type { TensorType } from '../tensor.js'
import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  numbersOf,
  stringAttribute,
  Unsupported,
  type Constant,
  type Graph,
  type Node,
} from './graph.js'

/** One input of a node. */
export interface Operand {
  readonly name: string
  readonly type: TensorType
  readonly shape: readonly number[]
  readonly constant: Constant | null
}

/** The input that a name stands for, or undefined where its type or shape is not known. */
export function operandOf(
  name: string,
  { constants, values }: Pick<Graph, 'constants' | 'values'>,
): Operand | undefined {
  const constant = constants.get(name)
  if (constant) return { name, type: constant.type, shape: constant.shape, constant }
  const value = values.get(name)
  if (!value?.type || !value.shape) return undefined
  return { name, type: value.type, shape: value.shape as readonly number[], constant: null }
}

/** A node with its attributes and resolved inputs. */

/** A node with its operands, for one opset. It reads and never changes the graph. */
export class NodeView {
  readonly node: Node
  readonly opset: number
  readonly #operands: readonly (Operand | null)[]

  /** `operands` are the node's inputs in order; null where an optional input is absent. */
  constructor(node: Node, opset: number, operands: readonly (Operand | null)[]) {
    this.node = node
    this.opset = opset
    this.#operands = operands
  }

  /** Number of inputs, absent ones included. */
  get inputCount(): number {
    return this.#operands.length
  }

  /** Input `i`, or null where it is absent. */
  optional(i: number): Operand | null {
    return this.#operands[i] ?? null
  }

  /** Input `i`. Throws `Unsupported` where it is absent. */
  input(i: number): Operand {
    const operand = this.#operands[i]
    if (!operand) throw new Unsupported(`its input ${i} is missing`)
    return operand
  }

  /** All inputs that are present. */
  get inputs(): readonly Operand[] {
    return this.#operands.filter((operand): operand is Operand => operand !== null)
  }

  shape(i: number): readonly number[] {
    return this.input(i).shape
  }

  /** The numbers of input `i`, which must be constant: axes, pads, a target shape. `what` names it in the error. */
  numbers(i: number, what: string): number[] {
    const { constant } = this.input(i)
    if (!constant) throw new Unsupported(`its ${what} are computed at run time`)
    return numbersOf(constant)
  }

  int(name: string, fallback: number): number {
    return intAttribute(this.node, name, fallback)
  }

  float(name: string, fallback: number): number {
    return floatAttribute(this.node, name, fallback)
  }

  text(name: string, fallback: string): string {
    return stringAttribute(this.node, name, fallback)
  }

  ints(name: string): readonly number[] | undefined {
    return intsAttribute(this.node, name)
  }

  /** A list that is an attribute in older opsets and input `i` in newer ones; undefined where it is absent. */
  intsOrInput(name: string, i: number): readonly number[] | undefined {
    return this.optional(i) ? this.numbers(i, name) : this.ints(name)
  }
}

/** An axis as a place from 0; negative axes count from the end. Throws `Unsupported` outside the rank. */
export function normalAxis(axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis
  if (!Number.isInteger(normal) || normal < 0 || normal >= Math.max(rank, 1))
    throw new Unsupported(`its axis ${axis} is outside rank ${rank}`)
  return normal
}

/** The shape to which ONNX broadcasts these shapes (as numpy does). Throws `Unsupported` where they do not fit. */
export function broadcastShapes(shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length))
  return Array.from({ length: rank }, (_, i) => {
    let size = 1
    for (const shape of shapes) {
      const own = shape[shape.length - rank + i] ?? 1
      if (own !== 1 && size !== 1 && own !== size)
        throw new Unsupported(`its inputs do not broadcast: ${shapes.map((s) => `[${s.join(', ')}]`).join(' and ')}`)
      if (own !== 1) size = own
    }
    return size
  })
}

/** Strides of a row-major tensor, in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length)
  let stride = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride
    stride *= shape[i]!
  }
  return strides
}
