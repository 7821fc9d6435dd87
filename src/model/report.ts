/** What `gapcam model info` tells of a model: operators, parameters, work, memory, its head, and each node's step. */
import { elementCount } from '../tensor.js'
import { compilePlan, type Compiled } from './compile.js'
import { groupedNames } from './depth-first.js'
import type { Graph, Node } from './graph.js'
import type { LoadedModel } from './onnx/onnx.js'
import type { PlanStep } from './plan.js'
import { prepareGraph, prepareNative, type PreparedGraph } from './prepare.js'
import type { InputSize } from '../tensor.js'

export interface Head {
  /** 'gap' where a mean over the map feeds the classifier, 'flatten' where every place of the map has weights. */
  readonly kind: 'gap' | 'flatten' | 'other'
  /** Weights and biases of the classifier. */
  readonly parameters: number | null
  /** What the other kind of head would cost on the same map. */
  readonly otherKindParameters: number | null
}

export interface NodeReport {
  readonly node: string
  readonly op: string
  /** The steps that it became, or the step of another node that took it in; empty where it costs nothing. */
  readonly steps: readonly string[]
  readonly reason: string | null
}

export interface ModelReport {
  readonly file: string
  readonly sha256: string
  readonly producer: string
  readonly opset: number
  readonly inputs: readonly { readonly name: string; readonly type: string; readonly shape: readonly unknown[] }[]
  readonly outputs: readonly { readonly name: string; readonly type: string; readonly shape: readonly unknown[] }[]
  readonly operators: Readonly<Record<string, number>>
  readonly parameters: number
  readonly macs: number | null
  readonly native: boolean
  readonly steps: number | null
  /** How many steps of each kind; with the function where a kind has several. */
  readonly stepKinds: Readonly<Record<string, number>> | null
  readonly arenaBytes: number | null
  readonly arenaLowerBoundBytes: number | null
  readonly head: Head
  readonly nodes: readonly NodeReport[]
}

export function reportModel(model: LoadedModel, inputSize: InputSize | undefined): ModelReport {
  const prepared = prepareNative(model.graph, inputSize ? { inputSize } : {})
  let fused = prepared.graph
  const compiled = compilePlan(prepared, {
    onPass: (_, after) => {
      fused = after
    },
  })
  const { graph } = prepared
  const isNative = 'plan' in compiled
  const port = ({
    name,
    type,
    shape,
  }: {
    name: string
    type?: string
    shape?: readonly unknown[]
  }): { name: string; type: string; shape: readonly unknown[] } => ({
    name,
    type: type ?? 'unknown',
    shape: shape ?? [],
  })
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

/** Multiply-accumulates of convolutions and products at a size; null where a shape is not known. */
export function macsOf(model: LoadedModel, inputSize: InputSize | undefined): number | null {
  return macsOfGraph(prepareGraph(model.graph, inputSize ? { inputSize } : {}).graph)
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

function shapeIn(graph: Graph, name: string | undefined): readonly number[] | null {
  const shape = name === undefined ? undefined : (graph.constants.get(name)?.shape ?? graph.values.get(name)?.shape)
  return shape?.every((size): size is number => typeof size === 'number') ? shape : null
}

const countOperators = (graph: Graph): Record<string, number> => counted(graph.nodes.map(({ op }) => op))

/** How often each name is there, the most frequent first. */
function counted(names: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])))
}

/** A step's kind, with its function where the kind alone says little. */
function kindOf(step: PlanStep): string {
  switch (step.kind) {
    case 'binary':
    case 'pool2d':
    case 'reduce':
      return `${step.kind} ${step.parameters.op}`
    case 'elementwise':
      return `${step.kind} ${step.parameters.activation}`
    default:
      return step.kind
  }
}

/** Floating-point and quantised weights; shapes and other integers do not count. */
function countParameters(graph: Graph): number {
  let count = 0
  for (const { type, shape } of graph.constants.values()) if (type !== 'int64') count += elementCount(shape)
  return count
}

/** The head: what stands between the last feature map and the classifier's weights. */
function headOf(graph: Graph): Head {
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  const classifier = graph.nodes.findLast(({ op }) => op === 'Gemm' || op === 'MatMul' || op === 'Conv')
  if (!classifier) return { kind: 'other', parameters: null, otherKindParameters: null }
  const parameters = classifier.inputs
    .slice(1)
    .reduce((sum, name) => sum + elementCount(shapeIn(graph, name) ?? [0]), 0)
  const classes = shapeIn(graph, classifier.outputs[0])?.[1] ?? 0
  const source = mapBefore(graph, makers, classifier)
  if (!source) return { kind: 'other', parameters, otherKindParameters: null }
  const [, channels = 0, height = 0, width = 0] = source.shape
  const other = source.kind === 'gap' ? channels * height * width * classes + classes : channels * classes + classes
  return { kind: source.kind, parameters, otherKindParameters: other }
}

/** The feature map that the classifier's input was pooled or flattened from. */
function mapBefore(
  graph: Graph,
  makers: ReadonlyMap<string, Node>,
  classifier: Node,
): { kind: 'gap' | 'flatten'; shape: readonly number[] } | null {
  // SqueezeNet's order: a convolution makes the classes, and GAP comes after it.
  const after = graph.nodes.find((node) => isGap(node) && reaches(makers, node.inputs[0]!, classifier))
  if (after) return { kind: 'gap', shape: shapeIn(graph, classifier.inputs[0]) ?? [] }
  let name = classifier.inputs[0]!
  for (let node = makers.get(name); node; node = makers.get(name)) {
    const shape = shapeIn(graph, node.inputs[0])
    if (isGap(node)) return { kind: 'gap', shape: shape ?? [] }
    const flattens = ['Flatten', 'Reshape'].includes(node.op) && shape?.length === 4
    if (flattens && shape[2]! * shape[3]! > 1) return { kind: 'flatten', shape }
    if (
      !['Flatten', 'Reshape', 'Squeeze', 'Dropout', 'Identity', 'Relu', 'HardSwish', 'Clip', 'Gemm', 'Conv'].includes(
        node.op,
      )
    )
      return null
    name = node.inputs[0]!
  }
  return null
}

const isGap = ({ op }: Node): boolean => op === 'GlobalAveragePool' || op === 'ReduceMean'

function reaches(makers: ReadonlyMap<string, Node>, value: string, target: Node): boolean {
  for (let node = makers.get(value); node; node = makers.get(node.inputs[0]!)) {
    if (node === target) return true
    if (!['Relu', 'Clip', 'Identity', 'Dropout'].includes(node.op)) return false
  }
  return false
}

/** A node's own step; else that of the node which makes its result after the passes, or which reads it. */
function nodeReports({ graph, unsupported }: PreparedGraph, compiled: Compiled, fused: Graph): NodeReport[] {
  const reasons = new Map(
    [...unsupported, ...('unsupported' in compiled ? compiled.unsupported : [])].map(({ node, reason }) => [
      node,
      reason,
    ]),
  )
  const steps = 'plan' in compiled ? compiled.plan.steps : []
  const kindsOf = (name: string): string[] =>
    steps.filter((step) => step.name.split(groupedNames).includes(name)).map(({ kind }) => kind)
  const makers = new Map(fused.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)))
  const takenIn = (node: Node): readonly string[] => {
    const maker = node.outputs.map((output) => makers.get(output)).find((found) => found !== undefined)
    const reader = graph.nodes.find(({ inputs }) => inputs.includes(node.outputs[0]!))
    return maker ? kindsOf(maker.name) : reader ? stepsOf(reader) : []
  }
  const stepsOf = (node: Node): readonly string[] => {
    const own = kindsOf(node.name)
    return own.length > 0 ? own : takenIn(node)
  }
  return graph.nodes.map((node) => ({
    node: node.name,
    op: node.op,
    steps: stepsOf(node),
    reason: reasons.get(node.name) ?? null,
  }))
}
