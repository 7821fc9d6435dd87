/**
 * One node as shape rules, folding and lowering see it: its inputs with types, shapes and constant values, its
 * attributes with ONNX's defaults. What the standard allows and gapcam does not is an `Unsupported`, with a reason.
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
  type Node,
} from './graph.js'

export { Unsupported }

export interface Operand {
  readonly name: string
  readonly type: TensorType
  readonly shape: readonly number[]
  readonly constant: Constant | null
}

export class NodeView {
  readonly node: Node
  readonly opset: number
  readonly #operands: readonly (Operand | null)[]

  /** An operand is null where the optional input is absent. */
  constructor(node: Node, opset: number, operands: readonly (Operand | null)[]) {
    this.node = node
    this.opset = opset
    this.#operands = operands
  }

  get inputCount(): number {
    return this.#operands.length
  }

  optional(i: number): Operand | null {
    return this.#operands[i] ?? null
  }

  input(i: number): Operand {
    const operand = this.#operands[i]
    if (!operand) throw new Unsupported(`its input ${i} is missing`)
    return operand
  }

  /** All inputs that are there. */
  get inputs(): readonly Operand[] {
    return this.#operands.filter((operand): operand is Operand => operand !== null)
  }

  shape(i: number): readonly number[] {
    return this.input(i).shape
  }

  /** The numbers of an input that must be constant: axes, pads, a target shape. */
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

  /** Ints that were an attribute in older opsets and are input `i` since; undefined where absent in both. */
  intsOrInput(name: string, i: number): readonly number[] | undefined {
    return this.optional(i) ? this.numbers(i, name) : this.ints(name)
  }
}

/** An axis counted from the end if negative; Unsupported if out of range. */
export function normalAxis(axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis
  if (!Number.isInteger(normal) || normal < 0 || normal >= Math.max(rank, 1))
    throw new Unsupported(`its axis ${axis} is outside rank ${rank}`)
  return normal
}

/** numpy's multidirectional broadcasting of shapes. */
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

/** Row-major strides in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length)
  let stride = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride
    stride *= shape[i]!
  }
  return strides
}
