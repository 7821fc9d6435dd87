/** The operator table: what the native engine computes. docs/operators.md is generated from it. */
import { evaluators } from '../folding/evaluators.js'
import type { Operator } from './context.js'
import { elementwiseOperators } from './elementwise.js'
import { linearOperators } from './linear.js'
import { movementOperators } from './movement.js'
import { normalizationOperators } from './normalization.js'
import { poolOperators } from './pool.js'
import { quantizedOperators } from './quantized.js'
import { resampleOperators } from './resample.js'
import { transposedOperators } from './transposed.js'

/** Operators by name. */
export const operatorTable: ReadonlyMap<string, Operator> = new Map(
  [
    linearOperators,
    transposedOperators,
    poolOperators,
    elementwiseOperators,
    movementOperators,
    resampleOperators,
    normalizationOperators,
    quantizedOperators,
  ]
    .flat()
    .map((operator) => [operator.op, operator]),
)

/** Operators that only passes make. Model files do not have them. */
export const internalOperators: readonly string[] = [
  'ChannelShuffle',
  'ChannelNormalization',
  'SiLU',
  'RoundSmall',
  ...quantizedOperators.map(({ op }) => op),
]

/** Operators without a step. They must be folded, so all their inputs must be constant. */
export const foldedOperators: readonly string[] = ['Constant', ...evaluators.keys()].filter(
  (op) => !operatorTable.has(op),
)
