/** Compiles a model for the native engine with the tuning beside it, or says in one sentence why it is not covered. */
import { compilePlan } from '../model/compile.js'
import type { UnsupportedNode } from '../model/graph.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import { serializeOutline } from '../model/plan.js'
import { onlyOutputs, prepareNative } from '../model/prepare.js'
import { bytesFor } from './bytes.js'
import type { EngineOptions } from './engine.js'
import type { CompiledModel } from './native.js'
import { inputSizes, readTuning } from './tuning.js'

/**
 * The compiled model, whose constants are views of the model's file; or why the native engine does not cover it. For CUDA
 * all of it is float32.
 */
export function compileModel(
  model: LoadedModel,
  options: EngineOptions,
  { target, isForCuda }: { readonly target: string; readonly isForCuda: boolean },
): CompiledModel | { readonly why: string } {
  const prepared = prepareNative(
    onlyOutputs(model.graph, wantedOutputs(model, options)),
    options.inputSize ? { inputSize: options.inputSize } : {},
  )
  const { tuning, sentence } = readTuning(model.path, {
    modelBytes: model.bytes.length,
    target,
    inputs: inputSizes(prepared),
  })
  const compiled = compilePlan(prepared, {
    bytes: isForCuda ? null : bytesFor(target, options.integers),
    byteInputs: options.byteInputs ?? false,
    isObserved: options.isObserved ?? false,
    precision: options.precision === 'fp16' && !isForCuda ? 'fp16' : 'fp32',
    ...(options.extraOutputs ? { extraOutputs: options.extraOutputs } : {}),
    ...(tuning ? { separate: tuning.separate } : {}),
  })
  if ('unsupported' in compiled) return { why: uncovered(compiled.unsupported) }
  const { plan } = compiled
  return {
    outline: serializeOutline(plan),
    constants: plan.constants,
    tuned: { threads: tuning?.threads ?? null, sentence },
  }
}

/** The outputs that are asked for, and those further ones that are outputs of the file and no inner values. */
function wantedOutputs(
  { graph }: LoadedModel,
  { outputs, extraOutputs = [] }: EngineOptions,
): readonly string[] | undefined {
  const further = extraOutputs.filter((name) => graph.outputs.some((output) => output.name === name))
  return outputs && [...new Set([...outputs, ...further])]
}

/** One sentence about the nodes that the native engine does not cover: the operators, and the reason of the first. */
function uncovered(nodes: readonly UnsupportedNode[]): string {
  const [first] = nodes
  const operators = [...new Set(nodes.map(({ op }) => op))].filter((op) => op !== 'input')
  const which =
    operators.length > 0 ? `${operators.slice(0, 6).join(', ')}${operators.length > 6 ? ', …' : ''} not covered; ` : ''
  return `${which}${first?.node}: ${first?.reason}`
}
