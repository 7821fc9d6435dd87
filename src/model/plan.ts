/**
 * The plan is the result of the compiler and the input of an executor. It is plain data here, and one little-endian
 * buffer on its way to the native side, whose reader trusts nothing in it. docs/plan-format.md describes the buffer.
 */
import { GapcamError } from '../errors.js'
import type { Layout } from '../tensor.js'
import {
  binaryOps,
  elementwiseOps,
  parameterWords,
  planTypes,
  poolOps,
  reduceOps,
  stepKinds,
  stepTable,
  tensorBytes,
  windowOps,
  wordBytes,
  type PlanType,
  type StepKind,
  type StepParameters,
} from './steps.js'

/** Version of the buffer. The native reader accepts only this one. */
export const planVersion = 1

/** A tensor with its place. */
export interface PlanTensor {
  readonly name: string
  readonly type: PlanType
  /** Up to 5 sizes of at least 1. Tensors are dense and row-major, images are NHWC. */
  readonly shape: readonly number[]
  readonly storage: 'arena' | 'constant'
  /** Bytes from the start of the arena or of the constants, a multiple of 64. */
  readonly offset: number
  readonly scale: number
  readonly zeroPoint: number
}

/** One operation, with the tensors and parameters of its kind's row in the step table. */
export type PlanStep = {
  readonly [K in StepKind]: {
    readonly kind: K
    /** The node (or nodes) of the model that the step computes, for profiles and errors. */
    readonly name: string
    /** Indices into `tensors`. Null is an optional tensor that is absent. */
    readonly inputs: readonly (number | null)[]
    readonly outputs: readonly (number | null)[]
    readonly parameters: StepParameters<K>
  }
}[StepKind]

/** An input or output of the plan. */
export interface PlanPort {
  readonly name: string
  readonly tensor: number
  /** 'nhwc' where the model's input or output is NCHW and the plan's tensor is NHWC. */
  readonly layout: Layout
}

/** A compiled model. */
export interface Plan {
  readonly tensors: readonly PlanTensor[]
  readonly steps: readonly PlanStep[]
  readonly inputs: readonly PlanPort[]
  readonly outputs: readonly PlanPort[]
  readonly arenaBytes: number
  /** Pieces with their offsets: views of the model file, or memory that a pass computed. */
  readonly constants: readonly { readonly offset: number; readonly bytes: Uint8Array }[]
  readonly constantBytes: number
}

const magic = 0x4e4c5047 // "GPLN"
const headerBytes = 64
const tensorRecord = 64
const stepRecord = 32
const portRecord = 16
const absent = 0xffffffff
const layouts: readonly Layout[] = ['none', 'nchw', 'nhwc']

/**
 * The plan as one buffer: header · tensors · inputs · outputs · steps · words · strings · padding to 64 · constants.
 *
 * header  magic, version, counts of tensors, inputs, outputs, steps, words, string bytes (8 × u32),
 *         arenaBytes u64, constantBytes u64, constantsAt u64, reserved u64
 * tensor  type u8, storage u8 (0 arena, 1 constant), rank u8, 0 u8, sizes 5 × u32 (unused ones 1), offset u64,
 *         byteLength u64, scale f32, zeroPoint i32, nameAt u32, nameLength u32, 2 × u32 zero
 * port    tensor u32, nameAt u32, nameLength u32, layout u32 (0 none, 1 nchw, 2 nhwc)
 * step    kind u32, inputs u32, outputs u32, wordsAt u32, words u32, nameAt u32, nameLength u32, packing u32 (0: the
 *         target's own). Its words: input indices, output indices (0xffffffff absent), then the parameters.
 */
export function serializePlan(plan: Plan): Uint8Array<ArrayBuffer> {
  const { buffer, constantsAt } = serialize(plan, plan.constantBytes)
  new DataView(buffer.buffer).setBigUint64(48, BigInt(constantsAt), true)
  for (const chunk of plan.constants) buffer.set(chunk.bytes, constantsAt + chunk.offset)
  return buffer
}

/** The buffer without the constants (constantsAt is 0), for the addon, which takes them as views of the model file. */
export function serializeOutline(plan: Plan): Uint8Array<ArrayBuffer> {
  return serialize(plan, 0).buffer
}

function serialize(plan: Plan, room: number): { buffer: Uint8Array<ArrayBuffer>; constantsAt: number } {
  const strings = new StringTable()
  const words = new WordPool()
  const steps = plan.steps.map((step) => ({ step, name: strings.add(step.name), ...words.addStep(step) }))
  const tensorNames = plan.tensors.map((t) => strings.add(t.name))
  const ports = [...plan.inputs, ...plan.outputs]
  const portNames = ports.map((p) => strings.add(p.name))
  const text = strings.bytes()

  const tensorsAt = headerBytes
  const portsAt = tensorsAt + plan.tensors.length * tensorRecord
  const stepsAt = portsAt + ports.length * portRecord
  const wordsAt = stepsAt + plan.steps.length * stepRecord
  const stringsAt = wordsAt + words.length * wordBytes
  const constantsAt = align64(stringsAt + text.length)
  const buffer = new Uint8Array(constantsAt + room)
  const view = new DataView(buffer.buffer)

  const header = [
    magic,
    planVersion,
    plan.tensors.length,
    plan.inputs.length,
    plan.outputs.length,
    plan.steps.length,
    words.length,
    text.length,
  ]
  header.forEach((word, i) => view.setUint32(i * wordBytes, word, true))
  view.setBigUint64(32, BigInt(plan.arenaBytes), true)
  view.setBigUint64(40, BigInt(plan.constantBytes), true)

  plan.tensors.forEach((tensor, i) => writeTensor(view, tensorsAt + i * tensorRecord, tensor, tensorNames[i]!))
  ports.forEach((port, i) => {
    const name = portNames[i]!
    const fields = [port.tensor, name.at, name.length, layouts.indexOf(port.layout)]
    fields.forEach((word, j) => view.setUint32(portsAt + i * portRecord + j * wordBytes, word, true))
  })
  steps.forEach(({ step, name, at, count }, i) => {
    const fields = [
      stepKinds.indexOf(step.kind),
      step.inputs.length,
      step.outputs.length,
      at,
      count,
      name.at,
      name.length,
      0,
    ]
    fields.forEach((word, j) => view.setUint32(stepsAt + i * stepRecord + j * wordBytes, word, true))
  })
  words.write(view, wordsAt)
  buffer.set(text, stringsAt)
  return { buffer, constantsAt }
}

/** The next multiple of 64, the alignment of everything in a plan's memory. */
export function align64(bytes: number): number {
  return Math.ceil(bytes / 64) * 64
}

function writeTensor(view: DataView, at: number, tensor: PlanTensor, name: { at: number; length: number }): void {
  const rank = tensor.shape.length
  if (rank > 5)
    throw new GapcamError('MODEL_UNSUPPORTED', `tensor ${tensor.name} has ${rank} dimensions, a plan has at most 5`)
  view.setUint8(at, planTypes.indexOf(tensor.type))
  view.setUint8(at + 1, tensor.storage === 'constant' ? 1 : 0)
  view.setUint8(at + 2, rank)
  for (let i = 0; i < 5; i++) view.setUint32(at + 4 + i * wordBytes, tensor.shape[i] ?? 1, true)
  view.setBigUint64(at + 24, BigInt(tensor.offset), true)
  view.setBigUint64(at + 32, BigInt(tensorBytes(tensor)), true)
  view.setFloat32(at + 40, tensor.scale, true)
  view.setInt32(at + 44, tensor.zeroPoint, true)
  view.setUint32(at + 48, name.at, true)
  view.setUint32(at + 52, name.length, true)
}

/** Names of tensors, ports and steps, one after the other. */
class StringTable {
  readonly #parts: Uint8Array[] = []
  #length = 0

  add(text: string): { at: number; length: number } {
    const bytes = new TextEncoder().encode(text)
    const at = this.#length
    this.#parts.push(bytes)
    this.#length += bytes.length
    return { at, length: bytes.length }
  }

  bytes(): Uint8Array {
    const out = new Uint8Array(this.#length)
    let at = 0
    for (const part of this.#parts) {
      out.set(part, at)
      at += part.length
    }
    return out
  }
}

type Word = { readonly type: 'u' | 'i' | 'f'; readonly value: number }

/** Tensor numbers and parameters of all steps. */
class WordPool {
  readonly #words: Word[] = []

  get length(): number {
    return this.#words.length
  }

  addStep(step: PlanStep): { at: number; count: number } {
    const at = this.#words.length
    for (const index of [...step.inputs, ...step.outputs]) this.#words.push({ type: 'u', value: index ?? absent })
    const parameters = step.parameters as Readonly<Record<string, number | string | readonly number[]>>
    for (const [name, type] of Object.entries(stepTable[step.kind].parameters)) {
      const value = parameters[name]
      const encoded = encodeParameter(type, value)
      if (encoded.length !== parameterWords(type as never))
        throw new TypeError(
          `Expected ${type} for ${step.kind}.${name} but received ${String(value)} of type ${typeof value}`,
        )
      this.#words.push(...encoded)
    }
    return { at, count: this.#words.length - at }
  }

  write(view: DataView, at: number): void {
    this.#words.forEach(({ type, value }, i) => {
      if (type === 'f') view.setFloat32(at + i * wordBytes, value, true)
      else if (type === 'i') view.setInt32(at + i * wordBytes, value, true)
      else view.setUint32(at + i * wordBytes, value, true)
    })
  }
}

const enumerations: Readonly<Record<string, readonly string[]>> = {
  'e:elementwise': elementwiseOps,
  'e:binary': binaryOps,
  'e:pool': poolOps,
  'e:window': windowOps,
  'e:reduce': reduceOps,
}

function encodeParameter(type: string, value: number | string | readonly number[] | undefined): Word[] {
  const members = enumerations[type]
  if (members)
    return typeof value === 'string' && members.includes(value) ? [{ type: 'u', value: members.indexOf(value) }] : []
  const letter = type[0] as Word['type']
  const values = typeof value === 'number' ? [value] : Array.isArray(value) ? (value as readonly number[]) : []
  return values.map((v) => ({ type: letter, value: v }))
}
