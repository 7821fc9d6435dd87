/** Functions of one element on bytes: tables of 256 entries, computed with the real numbers that the bytes stand for. */
import { activationOf, type Activation } from '../activation.js'
import type { Node } from '../graph.js'
import type { GraphIndex } from '../graph-index.js'
import { unlessUnsupported } from '../passes/attempt.js'
import { realOf } from './code.js'
import { codeRange, storedOf, type Code } from '../../tensor.js'

/** A function of real numbers. */
export type RealFunction = (x: number) => number

/** The function that a node computes of the value `of`, all other operands being constant numbers; null for other nodes. */
export function functionOf(index: GraphIndex, node: Node, of: string): RealFunction | null {
  const activation = unlessUnsupported(() => activationOf(index.view(node)))
  if (activation) return node.inputs[0] === of ? realFunction(activation) : null
  if (node.domain !== '' || node.inputs.length !== 2) return null
  const at = node.inputs.indexOf(of)
  const other = index.scalar(node.inputs[1 - at])
  if (at < 0 || other === undefined || index.shape(of).join() !== index.shape(node.outputs[0]!).join()) return null
  switch (node.op) {
    case 'Add':
      return (x) => x + other
    case 'Mul':
      return (x) => x * other
    case 'Sub':
      return at === 0 ? (x) => x - other : (x) => other - x
    case 'Div':
      return at === 0 ? (x) => x / other : null
    case 'Max':
      return (x) => Math.max(x, other)
    case 'Min':
      return (x) => Math.min(x, other)
    default:
      return null
  }
}

/** Whether a node only limits its first input to a range. */
export function isClip(index: GraphIndex, node: Node): boolean {
  const op = unlessUnsupported(() => activationOf(index.view(node)))?.activation
  return op === 'relu' || op === 'clip'
}

const sigmoid: RealFunction = (x) => 1 / (1 + Math.exp(-x))

function realFunction({ activation, a, b }: Activation): RealFunction | null {
  switch (activation) {
    case 'none':
      return (x) => x
    case 'relu':
      return (x) => Math.max(x, 0)
    case 'clip':
      return (x) => Math.min(Math.max(x, a), b)
    case 'leakyRelu':
      return (x) => (x < 0 ? a * x : x)
    case 'sigmoid':
      return sigmoid
    case 'hardSigmoid':
      return (x) => Math.min(Math.max(a * x + b, 0), 1)
    case 'hardSwish':
      return (x) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1)
    case 'tanh':
      return Math.tanh
    case 'elu':
      return (x) => (x < 0 ? a * Math.expm1(x) : x)
    case 'silu':
      return (x) => x * sigmoid(x)
    case 'geluTanh':
      return (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
    case 'softplus':
      return (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
    case 'exp':
      return Math.exp
    case 'abs':
      return Math.abs
    case 'neg':
      return (x) => -x
    case 'floor':
      return Math.floor
    case 'ceil':
      return Math.ceil
    case 'affine':
      return (x) => a * x + b
    default:
      // The remaining ones are rare or have no value for some numbers: they run in float32.
      return null
  }
}

/** The bytes of `to` for each byte of `from`, as an unsigned number, after `functions` in their order. */
export function tableOf(from: Code, to: Code, functions: readonly RealFunction[]): Uint8Array {
  const [least] = codeRange[from.type]
  return Uint8Array.from({ length: 256 }, (_, byte) => {
    const stored = least < 0 && byte > 127 ? byte - 256 : byte
    const real = functions.reduce((x, f) => Math.fround(f(x)), realOf(from, stored))
    return storedOf(to, real) & 255
  })
}

/** The least and the largest integer of a result that passes through `clips`. */
export function rangeOf(code: Code, clips: readonly RealFunction[]): { readonly low: number; readonly high: number } {
  const through = (x: number): number => clips.reduce((value, clip) => clip(value), x)
  return { low: storedOf(code, through(-Infinity)), high: storedOf(code, through(Infinity)) }
}
