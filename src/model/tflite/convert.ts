/**
 * From a TFLite model to the same graph as an ONNX file gives. Operators keep TFLite's order (channels last) with a pair
 * of transposes around each picture operator; a pass of the compiler moves these together, where they cancel. Every
 * operator that cannot be converted is named in one sentence.
 */
import { GapcamError } from '../../errors.js'
import type { Graph } from '../graph.js'
import { GraphBuilder } from './builder.js'
import type { TfliteModel, TfliteOperator } from './model.js'
import { converters } from './operators/table.js'

/** Converts a model. Throws MODEL_UNSUPPORTED or MODEL_INVALID. */
export function graphOfTflite(model: TfliteModel): Graph {
  refuseUnknown(model.operators)
  const builder = new GraphBuilder(model)
  for (const index of model.inputs) builder.input(index)
  for (const operator of model.operators) {
    const values = converters.get(operator.op)!({ builder, operator })
    operator.outputs.forEach((index, at) => {
      if (values[at] !== undefined) builder.set(index, values[at])
    })
  }
  return builder.build(model.description)
}

function refuseUnknown(operators: readonly TfliteOperator[]): void {
  const unknown = [...new Set(operators.map(({ op }) => op))].filter((op) => !converters.has(op))
  if (unknown.length === 0) return
  if (unknown.includes('CUSTOM edgetpu-custom-op'))
    throw new GapcamError('MODEL_UNSUPPORTED', 'it is compiled for a Coral Edge TPU', {
      hint: 'Take the .tflite file from which it was compiled: the one without _edgetpu in its name.',
    })
  throw new GapcamError('MODEL_UNSUPPORTED', `gapcam has no rule for the TFLite operators ${unknown.join(', ')}`, {
    hint: 'Export the model as ONNX, or without these operators: docs/operators.md lists those that are converted.',
  })
}
