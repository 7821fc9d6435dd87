/** All operators that are converted, by TFLite's name; docs/operators.md lists them from here. */
import { convolutions } from './convolution.js'
import { elementwise } from './elementwise.js'
import { movements } from './movement.js'
import { reductions } from './reduction.js'
import type { Converter } from './converter.js'

export const converters: ReadonlyMap<string, Converter> = new Map(
  Object.entries({ ...convolutions, ...elementwise, ...movements, ...reductions }),
)
