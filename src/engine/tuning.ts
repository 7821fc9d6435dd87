/**
 * What `gapcam tune` found out about one model on one machine, in a small file beside the model. The native engine
 * follows it wherever the model is opened; one that was made for something else is left aside, with a sentence.
 */
import { readFileSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { z } from 'zod'
import { GapcamError, messageOf } from '../errors.js'
import type { PreparedGraph } from '../model/prepare.js'

/** Raised when the compiler groups steps in another way, so that old names would say something else. */
const formatVersion = 1

const schema = z.strictObject({
  version: z.literal(formatVersion).describe('of this format'),
  modelBytes: z.int().min(1).describe('length of the model file'),
  inputs: z.array(z.string()).describe('sizes of each input, such as 1x3x224x224'),
  target: z.string(),
  processor: z.string(),
  threads: z.int().min(1).max(64).describe('the fastest count; --threads auto takes it'),
  separate: z.array(z.string()).describe('groups of steps that are faster one by one'),
  defaultMs: z.number().describe('median of an inference before'),
  tunedMs: z.number().describe('and with these choices, in the same run'),
})

export type Tuning = z.infer<typeof schema>

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
export const inputSizes = ({ graph }: PreparedGraph): string[] => graph.inputs.map(({ shape }) => shape?.join('x') ?? '')

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
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  return `its ${issue?.path.join('.') || 'content'} is not as it should be`
}

function mismatch(tuning: Tuning, { modelBytes, target, inputs }: TuningFacts): string | null {
  if (tuning.modelBytes !== modelBytes) return `it was made for a model of ${tuning.modelBytes} bytes, this one has ${modelBytes}`
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
  return value('model name') ?? (parts.length > 0 ? `implementer ${value('CPU implementer') ?? '?'} part ${parts.join(' and ')}` : 'unknown')
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

export const tuningVersion = formatVersion
