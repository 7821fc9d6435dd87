/**
 * Splits a model that the native engine does not cover as a whole: the body, from the inputs to values that it can compute,
 * and the tail, which is the rest. The body ends as late as it can. Whatever kind of node is not covered, this is the way.
 */
import { elementCount, imageLayout, type InputSize, type TensorInfo } from '../tensor.js'
import { compilePlan } from './compile.js'
import type { Constant, Graph, Node } from './graph.js'
import { fileNodes, writeTail, type FileNode, type Tail } from './onnx/tail.js'
import type { LoadedModel } from './onnx/onnx.js'
import { onlyOutputs, prepareNative, type PreparedGraph } from './prepare.js'
import { inSinglePrecision } from './single.js'

/** A model in two parts. */
export interface Partition {
  /** Values that the body computes, in float32: inputs of the tail, and outputs of the model. */
  readonly boundary: readonly string[]
  /** The file with the tail. Null: the body computes everything that is wanted. */
  readonly tail: {
    readonly bytes: Uint8Array
    readonly inputs: readonly TensorInfo[]
    readonly outputs: readonly string[]
  } | null
  /** Operators of the tail, and how many nodes it has. */
  readonly operators: readonly string[]
  readonly nodes: number
  /** Share of the known multiply-adds that the body does. */
  readonly share: number
}

/** Nodes that compute enough to be worth a body. */
const heavy = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul'])
/** Each round takes nodes out of the body that the compiler refused. */
const mostRounds = 12

/** Splits a model, or says why there is nothing to gain. `outputs`: the names that are wanted. */
export function partitionModel(
  model: LoadedModel,
  outputs: readonly string[],
  options: { readonly inputSize?: InputSize | undefined },
): Partition | { readonly why: string } {
  if (inSinglePrecision(model.graph) !== model.graph) return { why: 'it computes in half or double precision' }
  const whole = prepareNative(onlyOutputs(model.graph, outputs), options)
  const file = fileNodes(model)
  const refused = new Set(whole.unsupported.map(({ node }) => node))
  for (let round = 0; round < mostRounds; round++) {
    const cut = cutOf(whole.graph, file, { outputs, refused })
    if (cut.boundary.length === 0) return { why: 'nothing of it is covered' }
    const body = onlyOutputs(whole.graph, cut.boundary)
    const compiled = compilePlan({ graph: body, unsupported: [] })
    if ('plan' in compiled) return partitionOf(model, whole, body, cut)
    const more = compiled.unsupported.filter(({ node }) => !refused.has(node))
    if (more.length === 0) return { why: `${compiled.unsupported[0]?.node}: ${compiled.unsupported[0]?.reason}` }
    for (const { node } of more) refused.add(node)
  }
  return { why: 'too many of its nodes are not covered' }
}

interface Cut {
  readonly boundary: readonly string[]
  readonly tailInputs: readonly string[]
  readonly tailOutputs: readonly string[]
  readonly made: ReadonlySet<string>
  readonly constants: ReadonlyMap<string, Constant>
}

/** Walks from the outputs towards the inputs, and stops at every value that the body can give. */
function cutOf(
  graph: Graph,
  file: ReadonlyMap<string, FileNode>,
  { outputs, refused }: { readonly outputs: readonly string[]; readonly refused: ReadonlySet<string> },
): Cut {
  const covered = coveredValues(graph, refused)
  const inputs = new Set(graph.inputs.map(({ name }) => name))
  const [boundary, tailInputs, made] = [new Set<string>(), new Set<string>(), new Set<string>()]
  const constants = new Map<string, Constant>()
  const tailOutputs = outputs.filter((name) => !covered.has(name))
  for (const name of outputs) if (covered.has(name)) boundary.add(name)
  const open = [...tailOutputs]
  const seen = new Set(open)
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const node = file.get(name)
    if (!node) continue
    for (const output of node.outputs) made.add(output)
    for (const read of node.reads) {
      if (seen.has(read)) continue
      seen.add(read)
      const known = graph.constants.get(read)
      if (covered.has(read) && file.has(read)) {
        boundary.add(read)
        tailInputs.add(read)
      } else if (inputs.has(read)) tailInputs.add(read)
      else if (known && file.has(read)) constants.set(read, known)
      else open.push(read)
    }
  }
  return { boundary: [...boundary], tailInputs: [...tailInputs], tailOutputs, made, constants }
}

/** The values that only covered nodes make, in float32 and of known size. */
function coveredValues(graph: Graph, refused: ReadonlySet<string>): ReadonlySet<string> {
  const covered = new Set(graph.inputs.map(({ name }) => name))
  const made = new Set<string>()
  for (const node of graph.nodes) {
    const isGiven = node.inputs.every((name) => name === '' || covered.has(name) || graph.constants.has(name))
    if (refused.has(node.name) || !isGiven || !node.outputs.every((name) => name === '' || isKnown(graph, name)))
      continue
    for (const output of node.outputs) {
      covered.add(output)
      made.add(output)
    }
  }
  return made
}

function isKnown({ values }: Graph, name: string): boolean {
  const value = values.get(name)
  return value?.type === 'float32' && value.shape?.every((size) => typeof size === 'number' && size > 0) === true
}

function partitionOf(
  model: LoadedModel,
  whole: PreparedGraph,
  body: Graph,
  cut: Cut,
): Partition | { readonly why: string } {
  const { graph } = whole
  const inBody = new Set(body.nodes.flatMap(({ outputs }) => outputs))
  const rest = graph.nodes.filter(({ outputs }) => outputs.some((name) => cut.made.has(name) && !inBody.has(name)))
  const [own, all] = [macsOf(body, body.nodes), macsOf(graph, graph.nodes)]
  if (!body.nodes.some(({ op }) => heavy.has(op)) || own < all / 2) return { why: 'too little of it is covered' }
  const inputs = cut.tailInputs.map((name): TensorInfo => {
    const { type = 'float32', shape = [] } =
      graph.values.get(name) ?? graph.inputs.find((input) => input.name === name)!
    return { name, type, shape: shape as readonly number[], layout: imageLayout(shape as readonly number[]) }
  })
  const tail: Tail = { inputs, outputs: cut.tailOutputs, made: cut.made, constants: cut.constants }
  return {
    boundary: cut.boundary,
    tail: cut.tailOutputs.length === 0 ? null : { bytes: writeTail(model, tail), inputs, outputs: cut.tailOutputs },
    operators: [...new Set(rest.map(({ op }) => op))],
    nodes: rest.length,
    share: all === 0 ? 1 : own / all,
  }
}

/** Multiply-adds of the nodes whose sizes are known. */
function macsOf({ values, constants }: Graph, nodes: readonly Node[]): number {
  let sum = 0
  for (const { op, inputs, outputs } of nodes) {
    const output = values.get(outputs[0] ?? '')?.shape
    const weights = constants.get(inputs[1] ?? '')?.shape
    if (!heavy.has(op) || !weights || !output?.every((size): size is number => typeof size === 'number')) continue
    sum += elementCount(output) * elementCount(op === 'Conv' ? weights.slice(1) : weights.slice(0, 1))
  }
  return sum
}
