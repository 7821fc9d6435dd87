/**
 * What `gapcam tune` found out about one model on one machine, in a small file beside the model. The native engine
 * follows it wherever the model is opened; one that was made for something else is left aside, with a sentence.
 */
import { readFileSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { GapcamError, messageOf } from '../errors.js'
import type { PreparedGraph } from '../model/prepare.js'

/** Raised when the compiler groups steps in another way, so that old names would say something else. */
export const tuningVersion = 1

export interface Tuning {
  /** Of this format. */
  readonly version: number
  /** Length of the model file. */
  readonly modelBytes: number
  /** Sizes of each input, such as 1x3x224x224. */
  readonly inputs: readonly string[]
  readonly target: string
  readonly processor: string
  /** The fastest count; `--threads auto` takes it. */
  readonly threads: number
  /** Groups of steps that are faster one by one. */
  readonly separate: readonly string[]
  /** Median of an inference before, and with these choices in the same run. */
  readonly defaultMs: number
  readonly tunedMs: number
}

const isCount =
  (most: number) =>
  (value: unknown): boolean =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most
const isText = (value: unknown): boolean => typeof value === 'string'
const areTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)
const isTime = (value: unknown): boolean => typeof value === 'number' && value >= 0

// By hand: a library that opens a model should not have to load one that checks schemas.
const checks: Readonly<Record<keyof Tuning, (value: unknown) => boolean>> = {
  version: (value) => value === tuningVersion,
  modelBytes: isCount(Number.MAX_SAFE_INTEGER),
  inputs: areTexts,
  target: isText,
  processor: isText,
  threads: isCount(64),
  separate: areTexts,
  defaultMs: isTime,
  tunedMs: isTime,
}

/** A tuning that fits, and one sentence of it; null and '' where there is none. */
export interface TuningFound {
  readonly tuning: Tuning | null
  readonly sentence: string
}

export interface TuningFacts {
  readonly modelBytes: number
  readonly target: string
  readonly inputs: readonly string[]
}

/** The sizes of a prepared graph's inputs, as a tuning names them. */
export const inputSizes = ({ graph }: PreparedGraph): string[] =>
  graph.inputs.map(({ shape }) => shape?.join('x') ?? '')

export const tuningFile = (model: string): string => `${model.replace(/\.onnx$/, '')}.tune.json`

/** Never throws: a file that cannot be used is left aside. */
export function readTuning(model: string, facts: TuningFacts): TuningFound {
  const file = tuningFile(model)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return { tuning: null, sentence: '' }
  }
  const name = basename(file)
  const parsed = parse(text)
  if (typeof parsed === 'string') return { tuning: null, sentence: `${name} left aside: ${parsed}` }
  const other = mismatch(parsed, facts)
  if (other !== null) return { tuning: null, sentence: `${name} left aside: ${other}` }
  return { tuning: parsed, sentence: `tuned by ${name}` }
}

function parse(text: string): Tuning | string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'it is not JSON'
  }
  if (typeof value !== 'object' || value === null) return 'it is not an object'
  const wrong = Object.entries(checks).find(([key, check]) => !check((value as Record<string, unknown>)[key]))
  return wrong ? `its ${wrong[0]} is not as it should be` : (value as Tuning)
}

function mismatch(tuning: Tuning, { modelBytes, target, inputs }: TuningFacts): string | null {
  if (tuning.modelBytes !== modelBytes)
    return `it was made for a model of ${tuning.modelBytes} bytes, this one has ${modelBytes}`
  if (tuning.target !== target) return `it was made for target ${tuning.target}`
  const processor = processorName()
  if (tuning.processor !== processor) return `it was made on ${tuning.processor}, this is ${processor}`
  return tuning.inputs.join() === inputs.join() ? null : `it was made for inputs of ${tuning.inputs.join(' and ')}`
}

/** What the kernel calls the processor: its name, or implementer and part on Arm. */
export function processorName(file = '/proc/cpuinfo'): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return 'unknown'
  }
  const value = (key: string): string | undefined => new RegExp(`^${key}\\s*:\\s*(.+)$`, 'm').exec(text)?.[1]?.trim()
  const parts = [...new Set([...text.matchAll(/^CPU part\s*:\s*(\S+)/gm)].map(([, part]) => part!))].sort()
  return (
    value('model name') ??
    (parts.length > 0 ? `implementer ${value('CPU implementer') ?? '?'} part ${parts.join(' and ')}` : 'unknown')
  )
}

/** Whole or not at all. Rejects with TUNING_NOT_WRITTEN; gives the file's name. */
export async function writeTuning(model: string, tuning: Tuning): Promise<string> {
  const file = tuningFile(model)
  const part = `${file}.${process.pid}`
  try {
    await writeFile(part, `${JSON.stringify(tuning, null, 2)}\n`)
    await rename(part, file)
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined)
    throw new GapcamError('TUNING_NOT_WRITTEN', `${file} cannot be written: ${messageOf(error)}`, { cause: error })
  }
  return file
}
