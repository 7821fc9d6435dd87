/**
 * From graph to steps, and from ONNX's order to NHWC, node by node in order: each operator's entry in the table asks
 * for its inputs in the form that suits it and says in which form its results are.
 */
import { fusedActivation, type Activation } from './activation.js'
import { DraftBuilder, maxRank, type ConstantData, type Draft, type DraftPort, type TensorId } from './draft.js'
import { Unsupported, type Graph, type Node, type UnsupportedNode } from './graph.js'
import type { Form, LowerContext } from './operators/context.js'
import { operatorTable } from './operators/table.js'
import type { PlanStep } from './plan.js'
import type { StepKind, StepParameters } from './steps.js'
import { ValueForms } from './value-forms.js'
import { NodeView, operandOf, type Operand } from './view.js'

/** A draft of the plan, or the nodes that are not covered. */
export type Lowered = { readonly draft: Draft } | { readonly unsupported: readonly UnsupportedNode[] }

/**
 * Lowers a prepared graph after the passes, or lists the nodes that the native engine does not cover. Outputs are in ONNX's
 * order; those named in `asComputed` stay channels last where they were computed so, which saves a copy.
 */
export function lowerGraph(graph: Graph, asComputed: ReadonlySet<string> = new Set()): Lowered {
  const lowering = new Lowering(graph)
  for (const node of graph.nodes) lowering.visit(node)
  return lowering.finish(asComputed)
}

/** Thrown for a node that lacks the result of an unsupported node. The reason is reported for that node. */
class MissingInput extends Unsupported {}

class Lowering {
  readonly #graph: Graph
  readonly #draft = new DraftBuilder()
  readonly #values: ValueForms
  readonly #inputs: DraftPort[] = []
  readonly #unsupported: UnsupportedNode[] = []

  constructor(graph: Graph) {
    this.#graph = graph
    this.#values = new ValueForms(graph, this.#draft)
    for (const input of graph.inputs) this.#addInput(input.name)
  }

  visit(node: Node): void {
    try {
      const operator = node.domain === '' || node.domain === 'gapcam' ? operatorTable.get(node.op) : undefined
      if (!operator) throw new Unsupported('the native engine does not have it')
      const view = this.#view(node, operator.takesBytes ?? false)
      operator.lower(new NodeContext(this.#draft, this.#values, view))
    } catch (error) {
      if (!(error instanceof MissingInput)) this.#refuse(node.name, node.op, error)
      for (const output of node.outputs) this.#values.forget(output)
    }
  }

  finish(asComputed: ReadonlySet<string>): Lowered {
    const formOf = (name: string): Form => (asComputed.has(name) ? this.#values.formOf(name) : 'plain')
    const outputs =
      this.#unsupported.length > 0 ? [] : this.#graph.outputs.flatMap(({ name }) => this.#output(name, formOf(name)))
    if (this.#unsupported.length > 0) return { unsupported: this.#unsupported }
    const { tensors, steps } = this.#draft
    return { draft: { tensors, steps, inputs: this.#inputs, outputs } }
  }

  #refuse(node: string, op: string, error: unknown): void {
    if (!(error instanceof Unsupported)) throw error
    this.#unsupported.push({ node, op, reason: error.message })
  }

  #addInput(name: string): void {
    const value = this.#graph.values.get(name)
    if (value?.type !== 'float32') {
      this.#unsupported.push({ node: name, op: 'input', reason: `its type is ${value?.type ?? 'unknown'}` })
      return
    }
    try {
      this.#checkRank(name)
      const form = this.#inputForm(name)
      const tensor = this.#values.define(name, form)
      this.#inputs.push({ name, tensor, layout: form === 'nhwc' ? 'nhwc' : 'none' })
    } catch (error) {
      this.#refuse(name, 'input', error)
    }
  }

  /**
   * An image arrives in NHWC, which nearly every operator wants, unless a Reshape reads it, or a Transpose that does not bring
   * its channels last.
   */
  #inputForm(name: string): Form {
    const readers = this.#graph.nodes.filter((node) => node.inputs.includes(name))
    const wantsPlanes = ({ op, attributes }: Node): boolean => {
      if (op !== 'Transpose') return op === 'Reshape'
      const { perm } = attributes
      return perm?.kind !== 'ints' || perm.value.join() !== '0,2,3,1'
    }
    return this.#values.shape(name).length === 4 && !readers.some(wantsPlanes) ? 'nhwc' : 'plain'
  }

  /** Inputs and outputs keep all of their sizes, so they are limited to a plan's rank. */
  #checkRank(name: string): void {
    const rank = this.#values.shape(name).length
    if (rank > maxRank) throw new Unsupported(`${name} has ${rank} dimensions, a plan has at most ${maxRank}`)
  }

  #output(name: string, form: Form): readonly DraftPort[] {
    try {
      this.#checkRank(name)
      return [{ name, tensor: this.#values.value(name, form), layout: form === 'nhwc' ? 'nhwc' : 'none' }]
    } catch (error) {
      this.#refuse(name, 'output', error)
      return []
    }
  }

  #view(node: Node, takesBytes: boolean): NodeView {
    const operands = node.inputs.map((name): Operand | null => {
      if (name === '') return null
      const operand = operandOf(name, this.#graph)
      if (!operand || !(operand.constant || this.#values.has(name))) throw new MissingInput()
      const isByte = takesBytes && this.#graph.values.get(name)?.code !== undefined
      if (!operand.constant && operand.type !== 'float32' && !isByte)
        throw new Unsupported(`it computes with ${operand.type}`)
      return operand
    })
    return new NodeView(node, this.#graph.opset, operands)
  }
}

/** What one operator sees of the lowering. */
class NodeContext implements LowerContext {
  readonly view: NodeView
  readonly activation: Activation
  readonly #draft: DraftBuilder
  readonly #values: ValueForms

  constructor(draft: DraftBuilder, values: ValueForms, view: NodeView) {
    this.#draft = draft
    this.#values = values
    this.view = view
    this.activation = fusedActivation(view.node)
  }

  formOf(i: number): Form {
    return this.#values.formOf(this.view.input(i).name)
  }

  input(i: number, form: Form): TensorId {
    return this.#values.value(this.view.input(i).name, form)
  }

  operand(i: number, form: Form, rank: number): TensorId {
    return this.#values.operand(this.view.input(i).name, form, rank)
  }

  constant(shape: readonly number[], data: ConstantData, zeroPoint = 0): TensorId {
    return this.#draft.constant(`${this.view.node.name} constant`, shape, data, zeroPoint)
  }

  output(i: number, form: Form): TensorId {
    return this.#values.define(this.view.node.outputs[i]!, form)
  }

  temporary(shape: readonly number[]): TensorId {
    const [output = ''] = this.view.node.outputs
    return this.#draft.tensor(`${this.view.node.name} part`, shape, this.#values.typeOf(output))
  }

  alias(i: number, form: Form, tensor: TensorId): void {
    this.#values.alias(this.view.node.outputs[i]!, form, tensor)
  }

  sizes(tensor: TensorId): readonly number[] {
    return this.#draft.shape(tensor)
  }

  step<K extends StepKind>(
    kind: K,
    inputs: readonly (TensorId | null)[],
    outputs: readonly (TensorId | null)[],
    parameters: StepParameters<K>,
  ): void {
    this.#draft.step({ kind, name: this.view.node.name, inputs, outputs, parameters } as PlanStep)
  }
}
