/** The report of `gapcam model info`: operators, parameters, work, memory, the head, and the steps of each node. */
import { elementCount, type InputSize } from '../tensor.js'
import { compilePlan, type Compiled } from './compile.js'
import { nameSeparator } from './depth-first.js'
import type { Graph, Node, Value } from './graph.js'
import { headOf, shapeIn, type Head } from './head.js'
import type { LoadedModel } from './onnx/onnx.js'
import type { PlanStep } from './plan.js'
import { prepareGraph, prepareNative, type PreparedGraph } from './prepare.js'
import type { ByteType } from './quantized/code.js'

/** What became of one node. */
export interface NodeReport {
  readonly node: string
  readonly op: string
  /** Kinds of the node's steps, or of the step of another node that absorbed it. Empty where it costs nothing. */
  readonly steps: readonly string[]
  /** Why the native engine does not cover it, or null. */
  readonly reason: string | null
}

interface PortReport {
  readonly name: string
  readonly type: string
  readonly shape: readonly unknown[]
}

/** The report of a model. Fields about steps and memory are null where the native engine does not cover it. */
export interface ModelReport {
  readonly file: string
  readonly sha256: string
  readonly producer: string
  readonly opset: number
  readonly inputs: readonly PortReport[]
  readonly outputs: readonly PortReport[]
  readonly operators: Readonly<Record<string, number>>
  readonly parameters: number
  /** Multiply-accumulates of convolutions and products. */
  readonly macs: number | null
  readonly native: boolean
  readonly steps: number | null
  /** Number of steps of each kind, with the function where a kind has several. */
  readonly stepKinds: Readonly<Record<string, number>> | null
  readonly arenaBytes: number | null
  readonly arenaLowerBoundBytes: number | null
  readonly head: Head
  readonly nodes: readonly NodeReport[]
}

/**
 * Compiles a model and reports on it; `bytes` as for `compilePlan`. Throws MODEL_INPUT_SIZE where the size is missing or
 * does not fit.
 */
export function reportModel(
  model: LoadedModel,
  inputSize: InputSize | undefined,
  bytes: ByteType | null = null,
): ModelReport {
  const prepared = prepareNative(model.graph, { inputSize })
  let fused = prepared.graph
  const compiled = compilePlan(prepared, {
    bytes,
    onPass: (_, after) => {
      fused = after
    },
  })
  const { graph } = prepared
  const isNative = 'plan' in compiled
  return {
    file: model.path,
    sha256: model.sha256,
    producer: model.producer,
    opset: graph.opset,
    inputs: graph.inputs.map(port),
    outputs: graph.outputs.map(({ name }) => port(graph.values.get(name) ?? { name })),
    operators: countOperators(model.graph),
    parameters: countParameters(graph),
    macs: macsOfGraph(graph),
    native: isNative,
    steps: isNative ? compiled.plan.steps.length : null,
    stepKinds: isNative ? counted(compiled.plan.steps.map(kindOf)) : null,
    arenaBytes: isNative ? compiled.plan.arenaBytes : null,
    arenaLowerBoundBytes: isNative ? compiled.lowerBoundBytes : null,
    head: headOf(graph),
    nodes: nodeReports(prepared, compiled, fused),
  }
}

const port = ({ name, type, shape }: Value): PortReport => ({ name, type: type ?? 'unknown', shape: shape ?? [] })

/** Multiply-accumulates of convolutions and products at an input size, or null where a shape is not known. */
export function macsOf(model: LoadedModel, inputSize: InputSize | undefined): number | null {
  return macsOfGraph(prepareGraph(model.graph, { inputSize }).graph)
}

function macsOfGraph(graph: Graph): number | null {
  let macs = 0
  for (const node of graph.nodes) {
    const weights = shapeIn(graph, node.inputs[1])
    const output = shapeIn(graph, node.outputs[0])
    if (node.op === 'Conv' && weights && output) macs += elementCount(output) * elementCount(weights.slice(1))
    else if ((node.op === 'Gemm' || node.op === 'MatMul') && output) {
      const x = shapeIn(graph, node.inputs[0])
      if (x) macs += elementCount(output) * (x.at(-1) ?? 1)
    } else if (node.op === 'Conv') return null
  }
  return macs
}

const countOperators = (graph: Graph): Record<string, number> => counted(graph.nodes.map(({ op }) => op))

/** How often each name occurs, the most frequent first. */
function counted(names: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])))
}

/** A step's kind, with its function where the kind has several. */
function kindOf(step: PlanStep): string {
  switch (step.kind) {
    case 'binary':
    case 'qbinary':
    case 'pool2d':
    case 'reduce':
      return `${step.kind} ${step.parameters.op}`
    case 'elementwise':
      return `${step.kind} ${step.parameters.activation}`
    default:
      return step.kind
  }
}

/** Counts weights of any type but int64, which shapes have. */
function countParameters(graph: Graph): number {
  let count = 0
  for (const { type, shape } of graph.constants.values()) if (type !== 'int64') count += elementCount(shape)
  return count
}

/** Each node with its steps: its own, or those of the node that makes its result after the passes or reads it. */
function nodeReports({ graph, unsupported }: PreparedGraph, compiled: Compiled, fused: Graph): NodeReport[] {
  const reasons = new Map(
    [...unsupported, ...('unsupported' in compiled ? compiled.unsupported : [])].map(({ node, reason }) => [
      node,
      reason,
    ]),
  )
  const steps = 'plan' in compiled ? compiled.plan.steps : []
  const kindsOf = (name: string): string[] =>
    steps.filter((step) => step.name.split(nameSeparator).includes(name)).map(({ kind }) => kind)
  const makers = new Map(fused.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)))
  const absorbedBy = (node: Node): readonly string[] => {
    const maker = node.outputs.map((output) => makers.get(output)).find((found) => found !== undefined)
    const reader = graph.nodes.find(({ inputs }) => inputs.includes(node.outputs[0]!))
    return maker ? kindsOf(maker.name) : reader ? stepsOf(reader) : []
  }
  const stepsOf = (node: Node): readonly string[] => {
    const own = kindsOf(node.name)
    return own.length > 0 ? own : absorbedBy(node)
  }
  return graph.nodes.map((node) => ({
    node: node.name,
    op: node.op,
    steps: stepsOf(node),
    reason: reasons.get(node.name) ?? null,
  }))
}
