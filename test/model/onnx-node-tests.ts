/**
 * ONNX's backend node tests (PyPI onnx 1.22.0) as cases for the native engine. The first float32 input is fed, all other
 * inputs become constants. A case that needs something gapcam does not promise is left out with the reason.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openEngine } from '../../src/engine/select.js'
import { GapcamError } from '../../src/errors.js'
import { numbersOf, type Constant, type Graph } from '../../src/model/graph.js'
import { isCodeType } from '../../src/model/quantized/code.js'
import { readTensor } from '../../src/model/onnx/tensor.js'
import { parseModel } from '../../src/model/onnx/onnx.js'
import { foldedOperators, operatorTable } from '../../src/model/operators/table.js'
import { modelOf } from '../../src/library/model.js'
import { projectRoot } from '../shared.js'

export const folder = join(projectRoot, '.cache/onnx-node-tests')
export const caseNames = (): string[] =>
  readdirSync(folder)
    .filter((name) => name.startsWith('test_'))
    .sort()

export type Outcome = { readonly passed: true } | { readonly leftOut: string } | { readonly failed: string }

/** Runs one case natively and compares with its expected results. */
export async function runCase(name: string): Promise<Outcome> {
  const bytes = readFileSync(join(folder, name, 'model.onnx'))
  let graph: Graph
  try {
    graph = parseModel(bytes).graph
  } catch (error) {
    if (error instanceof GapcamError) return { leftOut: error.message }
    throw error
  }
  const inputs = graph.inputs.map((_, i) => tensorOf(name, `input_${i}.pb`))
  const outputs = graph.outputs.map((_, i) => tensorOf(name, `output_${i}.pb`))
  const why = unpromised(graph, inputs, outputs)
  if (why !== null) return { leftOut: why }
  return compute(withConstants(graph, inputs as Constant[]), bytes, inputs as Constant[], outputs as Constant[])
}

/** The reason why gapcam does not promise to run a case (types, ranks, operators), or null. */
function unpromised(
  graph: Graph,
  inputs: readonly (Constant | null)[],
  outputs: readonly (Constant | null)[],
): string | null {
  const strange = graph.nodes.find(
    ({ op, domain }) =>
      domain !== '' || !(operatorTable.has(op) || foldedOperators.includes(op) || quantizedOperators.has(op)),
  )
  if (strange) return `operator ${strange.domain === '' ? '' : `${strange.domain}.`}${strange.op}`
  const isQuantized = graph.nodes.some(({ op }) => quantizedOperators.has(op))
  if (!isQuantized && !graph.nodes.some(({ op }) => operatorTable.has(op))) return 'only operators that are folded'
  if ([...inputs, ...outputs].includes(null)) return 'tensors of a type that gapcam does not read, or sequences'
  const isInteger = ({ type }: Constant): boolean => isQuantized && isCodeType(type)
  const data = inputs[dataInput(inputs as Constant[])]
  if (!data || !(data.type === 'float32' || isInteger(data))) return `data of type ${inputs[0]?.type ?? 'none'}`
  const wrong = outputs.find((tensor) => tensor!.type !== 'float32' && !isInteger(tensor!))
  if (wrong) return `results of type ${wrong.type}`
  const rank = Math.max(...[...inputs, ...outputs].map((tensor) => tensor!.shape.length))
  return rank > 5 ? `rank ${rank}` : null
}

/** Operators that the compiler turns into operators on real numbers, or into steps on integers. */
const quantizedOperators: ReadonlySet<string> = new Set([
  'QuantizeLinear',
  'DequantizeLinear',
  'QLinearConv',
  'QLinearMatMul',
  'ConvInteger',
  'MatMulInteger',
  'DynamicQuantizeLinear',
])

/** The first input of floats; the first input where that holds the integers that a code stands for. */
function dataInput(inputs: readonly Constant[]): number {
  return isCodeType(inputs[0]?.type) ? 0 : inputs.findIndex((tensor) => tensor.type === 'float32')
}

function tensorOf(name: string, file: string): Constant | null {
  try {
    const tensor = readTensor(readFileSync(join(folder, name, 'test_data_set_0', file)), () => {
      throw new Error('external data')
    })
    return 'constant' in tensor ? tensor.constant : null
  } catch {
    return null
  }
}

function withConstants(graph: Graph, inputs: readonly Constant[]): Graph {
  const data = dataInput(inputs)
  const constants = new Map(graph.constants)
  graph.inputs.forEach(({ name }, i) => {
    if (i !== data) constants.set(name, inputs[i]!)
  })
  return { ...graph, constants, inputs: [{ ...graph.inputs[data]!, shape: inputs[data]!.shape }] }
}

async function compute(
  graph: Graph,
  bytes: Uint8Array,
  inputs: readonly Constant[],
  outputs: readonly Constant[],
): Promise<Outcome> {
  const loaded = { path: 'case', graph, bytes, sha256: '', producer: '', metadata: new Map(), externalFiles: [] }
  try {
    const model = modelOf(await openEngine(loaded, 'native', { threads: 1 }), graph)
    try {
      const { shape } = inputs[dataInput(inputs)]!
      const results = await model.run({
        shape: [...shape],
        data: Float32Array.from(numbersOf(inputs[dataInput(inputs)]!)),
      })
      const wrong = graph.outputs.flatMap(({ name }, i) => difference(results[name]!, outputs[i]!, name))
      return wrong.length === 0 ? { passed: true } : { failed: wrong.join('; ') }
    } finally {
      await model.close()
    }
  } catch (error) {
    if (error instanceof GapcamError) return { leftOut: error.message.replace(/^native engine: /, '') }
    throw error
  }
}

/** Tolerates a relative 1e-3 like ONNX's runner, and an absolute 1e-5 since some results have four digits. */
function difference(
  result: { shape: readonly number[]; data: ArrayLike<number | bigint> },
  expected: Constant,
  name: string,
): string[] {
  if (result.shape.join() !== expected.shape.join())
    return [`${name} has shape [${result.shape.join(', ')}] instead of [${expected.shape.join(', ')}]`]
  const right = numbersOf(expected)
  const at = right.findIndex((value, i) => {
    const got = Number(result.data[i])
    return !(
      Object.is(got, value) ||
      got === value ||
      (Number.isNaN(got) && Number.isNaN(value)) ||
      Math.abs(got - value) <= 1e-5 + 1e-3 * Math.abs(value)
    )
  })
  return at < 0 ? [] : [`${name}[${at}] is ${Number(result.data[at])} instead of ${right[at]}`]
}
