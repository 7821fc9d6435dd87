/**
 * The template file of one output, with the last good one behind it. The file is read again when it has changed. A template
 * with an error does not replace the one in use, and where the one in use fails for some fields the last one that worked, else
 * gapcam's own form, takes its place: an event is never lost because of a template.
 */
import { readFileSync, statSync } from 'node:fs'
import { systemClock, type Clock } from '../clock.js'
import { fileFaultOf, GapcamError } from '../errors.js'
import type { Logger } from '../log.js'
import { parseTemplate, templateFault, type Fields, type Made, type Template } from './template.js'

export interface MappingOptions<Result> {
  /** Of the configuration, for messages, such as `webhook.templateFile`. */
  readonly key: string
  /** Undefined: gapcam's own form. */
  readonly file: string | undefined
  /** Fields that a template may name. */
  readonly names: readonly string[]
  /** Looks at the document before it is used; throws an error with one sentence. */
  readonly check?: ((document: unknown) => void) | undefined
  /** Takes what a template made; throws an error with one sentence. */
  readonly accept: (made: Made, fields: Fields) => Result
  /** gapcam's own form. */
  readonly plain: (fields: Fields) => Result
  readonly log: Pick<Logger, 'info' | 'warn'>
  readonly clock?: Clock | undefined
}

export interface Mapping<Result> {
  /** Never throws because of a template. */
  (fields: Fields): Result
  /** How often a template could not be used: at a change of the file, or for some fields. */
  faults(): number
}

/** The file is looked at no more often. */
const lookEveryMs = 1000

/** Opens it. Throws CONFIG_INVALID for a template with an error. */
export function openMapping<Result>(options: MappingOptions<Result>): Mapping<Result> {
  const { file, plain } = options
  if (file === undefined) return Object.assign((fields: Fields) => plain(fields), { faults: () => 0 })
  const mapping = new FileMapping(options, file)
  return Object.assign((fields: Fields) => mapping.apply(fields), { faults: () => mapping.faults })
}

class FileMapping<Result> {
  faults = 0
  readonly #options: MappingOptions<Result>
  readonly #file: string
  readonly #clock: Clock
  #template: Template
  /** The last one that made a result; null before. */
  #lastGood: Template | null = null
  #version: string
  #lookedMs: number
  /** What was said since the file changed: each fault once. */
  readonly #said = new Set<string>()

  constructor(options: MappingOptions<Result>, file: string) {
    this.#options = options
    this.#file = file
    this.#clock = options.clock ?? systemClock
    this.#version = versionOf(file)
    this.#lookedMs = this.#clock.now()
    try {
      this.#template = this.#read()
    } catch (error) {
      throw new GapcamError('CONFIG_INVALID', `${options.key}: ${file}: ${faultOf(error)}`, {
        hint: 'docs/outputs.md explains templates.',
      })
    }
  }

  apply(fields: Fields): Result {
    this.#look()
    const { accept, plain } = this.#options
    try {
      const result = accept(this.#template(fields), fields)
      this.#lastGood = this.#template
      return result
    } catch (error) {
      this.#tell(faultOf(error), this.#lastGood && this.#lastGood !== this.#template)
    }
    if (this.#lastGood && this.#lastGood !== this.#template)
      try {
        return accept(this.#lastGood(fields), fields)
      } catch {
        // Told above: neither has a result for these fields.
      }
    return plain(fields)
  }

  #look(): void {
    const nowMs = this.#clock.now()
    if (nowMs - this.#lookedMs < lookEveryMs) return
    this.#lookedMs = nowMs
    const version = versionOf(this.#file)
    if (version === this.#version) return
    this.#version = version
    this.#said.clear()
    const { key, log } = this.#options
    try {
      this.#template = this.#read()
      log.info({ output: key }, `${key}: ${this.#file} has changed and is in use`)
    } catch (error) {
      this.faults++
      log.warn({ output: key }, `${key}: ${this.#file} has changed: ${faultOf(error)}; the one before stays in use`)
    }
  }

  #read(): Template {
    const { names, check } = this.#options
    return parseTemplate(readFileSync(this.#file, 'utf8'), names, check)
  }

  #tell(fault: string, hasOther: boolean | null): void {
    this.faults++
    if (this.#said.has(fault) || this.#said.size >= 16) return
    this.#said.add(fault)
    const { key, log } = this.#options
    const instead = hasOther ? 'the last good one' : 'the form without a template'
    log.warn({ output: key }, `${key}: ${this.#file}: ${fault}; ${instead} is used instead`)
  }
}

/** Changes when the file does, and when it can no longer be looked at. */
function versionOf(file: string): string {
  try {
    const { ino, size, mtimeNs } = statSync(file, { bigint: true })
    return `${ino}/${size}/${mtimeNs}`
  } catch (error) {
    return faultOf(error)
  }
}

function faultOf(error: unknown): string {
  return typeof (error as NodeJS.ErrnoException).code === 'string' && (error as NodeJS.ErrnoException).syscall
    ? `it cannot be read: ${fileFaultOf(error)}`
    : templateFault(error)
}
