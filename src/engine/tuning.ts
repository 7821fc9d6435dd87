/**
 * The result of `gapcam tune` for one model on one machine: a small file beside the model. The native engine applies it
 * each time it opens the model. A file made for another model, size or machine is ignored, and one sentence says so.
 */
import { readFileSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { GapcamError, messageOf } from '../errors.js'
import type { PreparedGraph } from '../model/prepare.js'

/** Raised when the compiler groups steps differently, because step names then mean something else. */
export const tuningVersion = 1

export interface Tuning {
  /** Format version. */
  readonly version: number
  /** Length of the model file in bytes. */
  readonly modelBytes: number
  /** The shape of each input, for example 1x3x224x224. */
  readonly inputs: readonly string[]
  readonly target: string
  readonly processor: string
  /** The fastest number of threads; `--threads auto` uses it. */
  readonly threads: number
  /** Names of step groups that are faster as separate steps. */
  readonly separate: readonly string[]
  /** Median milliseconds of an inference without and with these choices, measured in the same run. */
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

// Checked by hand: opening a model must not load a schema library.
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

/** The tuning that applies and one sentence about it; null and '' if there is no file. */
export interface TuningFound {
  readonly tuning: Tuning | null
  readonly sentence: string
}

export interface TuningFacts {
  readonly modelBytes: number
  readonly target: string
  readonly inputs: readonly string[]
}

/** The shapes of a prepared graph's inputs, in the form that a tuning stores. */
export const inputSizes = ({ graph }: PreparedGraph): string[] =>
  graph.inputs.map(({ shape }) => shape?.join('x') ?? '')

export const tuningFile = (model: string): string => `${model.replace(/\.onnx$/, '')}.tune.json`

/** Reads the tuning beside a model. Never throws: an unusable file is ignored, and the sentence says why. */
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
  if (typeof parsed === 'string') return { tuning: null, sentence: `${name} ignored: ${parsed}` }
  const other = mismatch(parsed, facts)
  if (other !== null) return { tuning: null, sentence: `${name} ignored: ${other}` }
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

/** The processor's name as the kernel reports it; on Arm the implementer and part numbers. */
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

/** Writes the tuning atomically and resolves with the file's name. Rejects with TUNING_NOT_WRITTEN. */
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
