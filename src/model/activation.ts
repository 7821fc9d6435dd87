/**
 * Functions of one element. A node that computes one becomes a step, or a pass fuses it into the node before it
 * as attributes that no model file has. This file reads and writes both.
 */
import { floatAttribute, stringAttribute, type Attribute, type Node } from './graph.js'
import { elementwiseOps, type ElementwiseOp } from './steps.js'
import type { NodeView } from './view.js'

/** A function of the step table with its parameters. */
export interface Activation {
  readonly activation: ElementwiseOp
  readonly a: number
  readonly b: number
}

/** The identity. */
export const noActivation: Activation = { activation: 'none', a: 0, b: 0 }

/** Operators without parameters. SiLU exists only inside the compiler. */
const plainFunctions: Readonly<Record<string, ElementwiseOp>> = {
  Relu: 'relu',
  Sigmoid: 'sigmoid',
  HardSwish: 'hardSwish',
  Tanh: 'tanh',
  Softplus: 'softplus',
  Softsign: 'softsign',
  Exp: 'exp',
  Sqrt: 'sqrt',
  Erf: 'erf',
  Log: 'log',
  Abs: 'abs',
  Neg: 'neg',
  Reciprocal: 'reciprocal',
  Floor: 'floor',
  Ceil: 'ceil',
  SiLU: 'silu',
}

/** Operators with parameters. Null where the parameters are not covered. */
const functionsOf: Readonly<Record<string, (view: NodeView) => Activation | null>> = {
  Clip: clip,
  LeakyRelu: (view) => ({ activation: 'leakyRelu', a: view.float('alpha', 0.01), b: 0 }),
  Elu: (view) => ({ activation: 'elu', a: view.float('alpha', 1), b: 0 }),
  Selu: (view) => ({
    activation: 'selu',
    a: view.float('alpha', 1.67326319217681884765625),
    b: view.float('gamma', 1.05070102214813232421875),
  }),
  HardSigmoid: (view) => ({ activation: 'hardSigmoid', a: view.float('alpha', 0.2), b: view.float('beta', 0.5) }),
  Gelu: (view) => ({ activation: view.text('approximate', 'none') === 'tanh' ? 'geluTanh' : 'gelu', a: 0, b: 0 }),
  Swish: (view) => (view.float('alpha', 1) === 1 ? { activation: 'silu', a: 0, b: 0 } : null),
}

/** Operators that are one function of the step table. */
export const functionOps: readonly string[] = [...Object.keys(plainFunctions), ...Object.keys(functionsOf)]

/** Operators of one tensor (and constants) in which each result depends on one element. Mish takes three steps. */
export const unaryOps: readonly string[] = [...functionOps, 'Mish']

/** The function that a node computes, or null where it computes something else. */
export function activationOf(view: NodeView): Activation | null {
  const { op } = view.node
  const plain = plainFunctions[op]
  return plain ? { activation: plain, a: 0, b: 0 } : (functionsOf[op]?.(view) ?? null)
}

function clip(view: NodeView): Activation {
  const bound = (i: number, name: string, fallback: number): number =>
    view.optional(i) ? (view.numbers(i, 'bounds')[0] ?? fallback) : view.float(name, fallback)
  return { activation: 'clip', a: bound(1, 'min', -Infinity), b: bound(2, 'max', Infinity) }
}

const nameAttribute = 'gapcam.activation'

/** The attributes by which a node carries a fused activation. */
export function fusedAttributes({ activation, a, b }: Activation): Readonly<Record<string, Attribute>> {
  return {
    [nameAttribute]: { kind: 'string', value: activation },
    'gapcam.a': { kind: 'float', value: a },
    'gapcam.b': { kind: 'float', value: b },
  }
}

/** Whether a pass fused an activation into a node. */
export function hasFusedActivation(node: Node): boolean {
  return node.attributes[nameAttribute] !== undefined
}

/** The activation that a pass fused into a node, or none. */
export function fusedActivation(node: Node): Activation {
  const name = stringAttribute(node, nameAttribute, 'none')
  const activation = elementwiseOps.find((op): op is ElementwiseOp => op === name) ?? 'none'
  return activation === 'none'
    ? noActivation
    : { activation, a: floatAttribute(node, 'gapcam.a', 0), b: floatAttribute(node, 'gapcam.b', 0) }
}
