/** The second part of a model as an entry of the plan cache holds it: its file in a section, the rest in the header. */
import type { TensorInfo } from '../tensor.js'
import type { CompiledSplit } from './native.js'

/** A split without the bytes of its file. */
export interface WrittenSplit {
  readonly outputs: readonly string[]
  readonly why: string
  readonly boundary: readonly string[]
  readonly operators: readonly string[]
  readonly nodes: number
  readonly share: number
  /** The section with the file; null where the first part computes everything. */
  readonly tail: {
    readonly section: number
    readonly inputs: readonly TensorInfo[]
    readonly outputs: readonly string[]
  } | null
}

/** `section` is where the bytes of its file will lie. */
export function writtenSplit({ partition, outputs, why }: CompiledSplit, section: number): WrittenSplit {
  const { boundary, operators, nodes, share, tail } = partition
  return {
    ...{ outputs, why, boundary, operators, nodes, share },
    tail: tail && { section, inputs: tail.inputs, outputs: tail.outputs },
  }
}

/** Throws an Error where the section is not there. */
export function readSplit(written: WrittenSplit, sections: readonly Uint8Array[]): CompiledSplit {
  const { outputs, why, boundary, operators, nodes, share, tail } = written
  const bytes = tail ? sections[tail.section] : null
  if (bytes === undefined) throw new Error('it names a section that it does not have')
  return {
    outputs,
    why,
    partition: {
      ...{ boundary, operators, nodes, share },
      tail: tail && bytes ? { bytes, inputs: tail.inputs, outputs: tail.outputs } : null,
    },
  }
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)

/** Whether a value that was read has the form of a split; null has. */
export function isWrittenSplit(value: unknown): boolean {
  if (value === null) return true
  const { outputs, why, boundary, operators, nodes, share, tail } = (value ?? {}) as Record<string, unknown>
  const isShare = typeof share === 'number' && share >= 0 && share <= 1
  return [outputs, boundary, operators].every(isTexts) && isText(why) && isCount(nodes) && isShare && isTail(tail)
}

function isTail(value: unknown): boolean {
  if (value === null) return true
  const { section, inputs, outputs } = (value ?? {}) as Record<string, unknown>
  return isCount(section) && isTexts(outputs) && Array.isArray(inputs) && inputs.every(isInfo)
}

function isInfo(value: unknown): boolean {
  const { name, type, shape, layout } = (value ?? {}) as Record<string, unknown>
  // What the first part computes, and the picture, are floats.
  return isText(name) && type === 'float32' && isText(layout) && Array.isArray(shape) && shape.every(isCount)
}
