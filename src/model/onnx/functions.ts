/**
 * Functions that a model file defines for itself (FunctionProto), as PyTorch's exporter writes modules: each call becomes the nodes
 * of the function's body. Values inside get the name of the call in front, so that two calls stay apart. A function that cannot be
 * inlined stays a call, which the native engine then names as an operator that it does not know.
 */
import { GapcamError } from '../../errors.js'
import type { Attribute, Node } from '../graph.js'
import { readAttribute, readNode } from './node.js'
import { noExternal } from './tensor.js'
import { bytesField, intField, readMessage, stringField } from './wire.js'

/** A function of a model file. */
export interface ModelFunction {
  /** Domain and name. */
  readonly key: string
  /** Whether other functions have the same name. */
  readonly isOverloaded: boolean
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Attributes that a call may leave out. */
  readonly defaults: Readonly<Record<string, Attribute>>
  readonly body: readonly BodyNode[]
  /** The version of ai.onnx that the body is written for; null for none. */
  readonly opset: number | null
}

interface BodyNode {
  readonly node: Node
  /** Attributes that take the value of one of the call's: theirs by its own. */
  readonly references: ReadonlyMap<string, string>
}

/** More nodes than any model has: functions that call each other twice grow without bound. */
const mostNodes = 100_000

const keyOf = (domain: string, name: string): string => `${domain} ${name}`

/** Reads a FunctionProto. Throws MODEL_INVALID if it is damaged. */
export function readFunction(bytes: Uint8Array): ModelFunction {
  let [name, domain, isOverloaded] = ['', '', false]
  const [inputs, outputs, body]: [string[], string[], BodyNode[]] = [[], [], []]
  const defaults: Record<string, Attribute> = {}
  let opset: number | null = null
  readMessage(bytes, 'function', (field, reader) => {
    if (field === 1) name = stringField(reader, 'function')
    else if (field === 4) inputs.push(stringField(reader, 'function'))
    else if (field === 5) outputs.push(stringField(reader, 'function'))
    else if (field === 7) body.push(readBodyNode(bytesField(reader, 'function')))
    else if (field === 9) opset = readOpset(bytesField(reader, 'function')) ?? opset
    else if (field === 10) domain = stringField(reader, 'function')
    else if (field === 11) {
      const [attribute, value] = readAttribute(bytesField(reader, 'function'), noExternal)
      defaults[attribute] = value
    } else if (field === 13) isOverloaded = stringField(reader, 'function') !== ''
  })
  return { key: keyOf(domain, name), isOverloaded, inputs, outputs, defaults, body, opset }
}

/** OperatorSetIdProto: the version of ai.onnx; null for other domains. */
export function readOpset(bytes: Uint8Array): number | null {
  let domain = ''
  let version = 0
  readMessage(bytes, 'opset import', (field, reader) => {
    if (field === 1) domain = stringField(reader, 'opset import')
    else if (field === 2) version = intField(reader, 'opset import')
  })
  return domain === '' || domain === 'ai.onnx' ? version : null
}

/** A NodeProto of a body, whose attributes may name those of the call (AttributeProto.ref_attr_name). */
function readBodyNode(bytes: Uint8Array): BodyNode {
  const references = new Map<string, string>()
  readMessage(bytes, 'node', (field, reader) => {
    if (field !== 5) return
    let [own, other] = ['', '']
    readMessage(bytesField(reader, 'attribute'), 'attribute', (part, attribute) => {
      if (part === 1) own = stringField(attribute, 'attribute')
      else if (part === 21) other = stringField(attribute, 'attribute')
    })
    if (other !== '') references.set(own, other)
  })
  return { node: readNode(bytes, noExternal), references }
}

/** The nodes with every call replaced by the function's body. Throws MODEL_INVALID for functions that call themselves. */
export function inlineFunctions(
  nodes: readonly Node[],
  functions: readonly ModelFunction[],
  opset: number,
): readonly Node[] {
  if (functions.length === 0) return nodes
  const byKey = new Map(functions.map((each) => [each.key, each]))
  const result: Node[] = []
  let seen = 0
  const add = (node: Node, callers: readonly string[]): void => {
    if (++seen > mostNodes)
      throw new GapcamError('MODEL_INVALID', `its functions expand to more than ${mostNodes} nodes`)
    const called = byKey.get(keyOf(node.domain, node.op))
    if (!called || !isCovered(called, opset)) {
      result.push(node)
      return
    }
    if (callers.includes(called.key)) throw new GapcamError('MODEL_INVALID', `its function ${node.op} calls itself`)
    for (const inner of bodyOf(called, node)) add(inner, [...callers, called.key])
  }
  for (const node of nodes) add(node, [])
  return result
}

/** Whether a body means the same in the graph: written for its opset, and without graphs that would see the names inside. */
function isCovered({ body, opset, isOverloaded }: ModelFunction, graphOpset: number): boolean {
  const hasGraphs = body.some(({ node, references }) =>
    Object.entries(node.attributes).some(([name, { kind }]) => kind === 'unsupported' && !references.has(name)),
  )
  return !hasGraphs && !isOverloaded && (opset === null || opset === graphOpset)
}

/** The body of a function for one call. An input or output that the call leaves out is absent inside. */
function bodyOf({ inputs, outputs, defaults, body }: ModelFunction, call: Node): readonly Node[] {
  const prefix = call.name === '' ? (call.outputs.find((name) => name !== '') ?? call.op) : call.name
  const names = new Map<string, string>([['', '']])
  inputs.forEach((name, i) => names.set(name, call.inputs[i] ?? ''))
  const passed = outputs.filter((name) => inputs.includes(name))
  outputs.forEach((name, i) => {
    if (call.outputs[i] && !passed.includes(name)) names.set(name, call.outputs[i])
  })
  const nameOf = (name: string): string => names.get(name) ?? `${prefix}::${name}`
  const given = { ...defaults, ...call.attributes }
  const nodes = body.map(({ node, references }, i) => ({
    ...node,
    name: `${prefix}::${node.name || `${node.op}_${i}`}`,
    inputs: node.inputs.map(nameOf),
    outputs: node.outputs.map(nameOf),
    attributes: Object.fromEntries(
      Object.entries(node.attributes).flatMap(([name, value]) => {
        const reference = references.get(name)
        const taken = reference === undefined ? value : given[reference]
        return taken ? [[name, taken]] : []
      }),
    ),
  }))
  const copies = outputs.flatMap((name, i) =>
    passed.includes(name) && call.outputs[i]
      ? [
          {
            name: `${prefix}::${name}`,
            op: 'Identity',
            domain: '',
            attributes: {},
            inputs: [nameOf(name)],
            outputs: [call.outputs[i]],
          },
        ]
      : [],
  )
  return [...nodes, ...copies]
}
