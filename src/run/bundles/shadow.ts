/**
 * A candidate computes beside the model that serves, on a share of the frames: the serving model's answer comes first and is
 * what the node publishes; then the candidate sees the same frame. A frame costs more time only when the candidate looks. Where both
 * look at clips, the candidate sees all frames of one clip, and the answers to its last one are compared.
 */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AgreementCounter, objectionTo, type Agreement, type Answer, type ConfirmRule } from '../../bundle/agreement.js'
import type { Classifier } from '../../classifier.js'
import type { Classification, ClassifierView } from '../../engine/classify.js'
import { messageOf } from '../../errors.js'
import { makeFolder } from '../../folder.js'
import type { Frame } from '../../frame.js'
import type { Logger } from '../../log.js'
import { encodeJpeg } from '../../pixels/jpeg.js'
import { rgbOf } from '../../pixels/rgb.js'
import { rgbLevels } from '../../pixels/spec.js'
import type { OwnWish } from '../zones/models.js'

/** How much a candidate may look; `models.shadow` of the configuration. */
export interface ShadowOptions {
  /** One of this many frames. */
  readonly every: number
  /** Largest share of the time that the candidate may compute. */
  readonly budget: number
  /** Where the candidate lets the rule decide; default a person confirms. */
  readonly rule?: ConfirmRule | undefined
  /** Pictures on which the labels differ are kept here, the last twelve; default nowhere. */
  readonly folder?: string | undefined
  /** Opens the candidate once more for zones that want it in another way; without it only the model as it is is compared. */
  readonly open?: ((wish: OwnWish) => Promise<Classifier>) | undefined
  readonly log: Pick<Logger, 'warn'>
}

/** What a candidate has shown so far. */
export interface ShadowReport extends Agreement {
  readonly elapsedMs: number
  /** What speaks against a confirmation by rule, or why nothing is compared; null without a rule, and when it may serve. */
  readonly objection: string | null
  /** The rule is there, and nothing speaks against it. */
  readonly isGood: boolean
}

/** A picture on which the labels differ. */
export interface ShadowPicture {
  /** 0 to 11; the next picture with this number takes its place. */
  readonly number: number
  readonly file: string
  readonly atMs: number
  /** The label of the model that serves. */
  readonly from: string
  /** The label of the candidate. */
  readonly to: string
}

export interface Shadow {
  /** The serving model, with the candidate behind each view of it. */
  readonly classifier: Classifier
  report(): ShadowReport
  /** The pictures that were kept since the start, newest first. */
  pictures(): readonly ShadowPicture[]
  /** The serving model as it was opened for a wish, with the candidate behind it, where it can be opened so. It closes both. */
  behind(serving: Classifier, wish: OwnWish): Promise<Classifier>
  /** Closes the candidate, not the serving model. */
  close(): Promise<void>
}

/** Puts `candidate` behind `serving`; it is closed at once where the two cannot be compared. */
export async function openShadow(serving: Classifier, candidate: Classifier, options: ShadowOptions): Promise<Shadow> {
  const fault = comparisonFault(serving, candidate)
  if (fault !== null) {
    await candidate.close()
    return idleShadow(serving, fault, options)
  }
  const watch = new Watch(options)
  const { open, log } = options
  const joined = (model: Classifier, other: Classifier): Classifier => ({
    ...model,
    view: (spec, topK) => watch.behind(model.view(spec, topK), other.view(spec, 1), other.clip?.frames ?? null),
  })
  return {
    classifier: joined(serving, candidate),
    report: () => watch.report(),
    pictures: () => watch.pictures,
    async behind(model, wish) {
      const other = await open?.(wish).catch((error: unknown) => {
        log.warn(`the candidate cannot be opened for another zone: ${messageOf(error)}`)
      })
      if (!other) return model
      const why = comparisonFault(model, other)
      if (why !== null) log.warn(why)
      const both = why === null ? joined(model, other) : model
      return {
        ...both,
        async close() {
          await other.close()
          await model.close()
        },
      }
    },
    close: () => candidate.close(),
  }
}

/** A candidate that is not compared, and why: the report says it. */
export function idleShadow(serving: Classifier, why: string, { log }: Pick<ShadowOptions, 'log'>): Shadow {
  log.warn(why)
  const startMs = performance.now()
  const nothing = new AgreementCounter().report()
  return {
    classifier: serving,
    report: () => ({
      ...nothing,
      elapsedMs: Math.round(performance.now() - startMs),
      objection: why,
      isGood: false,
    }),
    pictures: () => [],
    behind: (model) => Promise.resolve(model),
    close: () => Promise.resolve(),
  }
}

/** Why the answers of two models say nothing about each other; null where they do. */
function comparisonFault(serving: Classifier, candidate: Classifier): string | null {
  if (serving.task === candidate.task) return null
  return `the candidate is not compared: it is for another task (${candidate.taskSentence}) than the model that serves (${serving.taskSentence})`
}

const mostPictures = 12
const mostSide = 640
const pictureEveryMs = 10_000

class Watch {
  readonly #counter = new AgreementCounter()
  readonly #options: ShadowOptions
  readonly #startMs = performance.now()
  #frames = 0
  #spentMs = 0
  #hasFailed = false
  #pictures: readonly ShadowPicture[] = []
  #kept = 0
  #lastPictureMs = -Infinity

  constructor(options: ShadowOptions) {
    this.#options = options
  }

  get pictures(): readonly ShadowPicture[] {
    return this.#pictures
  }

  /** `frames`: those of a clip, where the candidate looks at clips. */
  behind(serving: ClassifierView, candidate: ClassifierView, frames: number | null): ClassifierView {
    const clips = frames === null ? null : new ClipTurns(frames, this.#options.every)
    const isDue = (frame: Frame): boolean =>
      clips ? clips.isDue(() => this.#hasBudget()) && candidate.isDue?.(frame) === true : this.#isDue()
    return {
      ...serving,
      classify: async (frame, hooks = {}) => {
        if (!isDue(frame)) return serving.classify(frame, hooks)
        // The frame stays until both have read its pixels.
        const own = await serving.classify(frame, { ...hooks, onPixelsRead: () => undefined })
        try {
          const isCompared = await this.#compare(candidate, frame, own)
          clips?.took(isCompared)
        } finally {
          hooks.onPixelsRead?.(frame)
        }
        return own
      },
      close() {
        candidate.close()
        serving.close()
      },
    }
  }

  #isDue(): boolean {
    return ++this.#frames % this.#options.every === 0 && this.#hasBudget()
  }

  #hasBudget(): boolean {
    return this.#spentMs <= (performance.now() - this.#startMs) * this.#options.budget
  }

  /** Whether the two answers were compared: not while one of them has no whole clip. */
  async #compare(candidate: ClassifierView, frame: Frame, own: Classification): Promise<boolean> {
    const serving = answerIn(own)
    if (!serving && !isShort(own)) return false
    const start = performance.now()
    let outcome: Classification | null = null
    try {
      outcome = await candidate.classify(frame)
    } catch (error) {
      if (!this.#hasFailed) this.#options.log.warn(`the candidate fails: ${messageOf(error)}`)
      this.#hasFailed = true
    }
    this.#spentMs += performance.now() - start
    if (!serving || (outcome && isShort(outcome))) return false
    const other = outcome && answerIn(outcome)
    if (this.#counter.add(serving, other) && other) await this.#keepPicture(frame, serving.label, other.label)
    return true
  }

  /** Writes the frame as `NUMBER.jpg`. A folder that cannot be written costs the picture only. */
  async #keepPicture(frame: Frame, from: string, to: string): Promise<void> {
    const { folder } = this.#options
    if (folder === undefined || performance.now() - this.#lastPictureMs < pictureEveryMs) return
    this.#lastPictureMs = performance.now()
    const scale = Math.min(1, mostSide / Math.max(frame.width, frame.height))
    const [width, height] = [Math.round(frame.width * scale), Math.round(frame.height * scale)]
    try {
      const { data: rgb } = await rgbOf(frame, rgbLevels(width, height))
      const number = this.#kept % mostPictures
      // What is there at first shows other candidates.
      if (this.#kept++ === 0) await rm(folder, { recursive: true, force: true })
      await makeFolder(folder, 0o700)
      const file = join(folder, `${number}.jpg`)
      await writeFile(file, await encodeJpeg({ rgb, width, height }))
      const others = this.#pictures.filter((picture) => picture.number !== number)
      this.#pictures = [{ number, file, atMs: Date.now(), from, to }, ...others]
    } catch (error) {
      this.#options.log.warn(`a picture of the shadow is not kept: ${messageOf(error)}`)
    }
  }

  report(): ShadowReport {
    const agreement = this.#counter.report()
    const elapsedMs = Math.round(performance.now() - this.#startMs)
    const { rule } = this.#options
    const objection = rule ? objectionTo(agreement, rule, elapsedMs) : null
    return { ...agreement, elapsedMs, objection, isGood: rule !== undefined && objection === null }
  }
}

function answerIn(outcome: Classification): Answer | null {
  if (!outcome.ok) return null
  const [best] = outcome.prediction.top
  return best ? { label: best.label, score: best.score, ms: outcome.prediction.timings.infer } : null
}

const isShort = (outcome: Classification): boolean => !outcome.ok && outcome.reason === 'clip_short'

/** A clip that takes more frames than so many times its own has too slow a camera. */
const mostClips = 3

/** Which frames a candidate over clips sees: all of one clip, then those of `every` - 1 clips not. */
class ClipTurns {
  readonly #frames: number
  readonly #every: number
  #rest = 0
  /** Frames of the present clip that it has seen; null: it rests. */
  #seen: number | null = null

  constructor(frames: number, every: number) {
    this.#frames = frames
    this.#every = every
  }

  isDue(hasBudget: () => boolean): boolean {
    if (this.#seen !== null) return true
    if (this.#rest-- > 0 || !hasBudget()) return false
    this.#seen = 0
    return true
  }

  took(isCompared: boolean): void {
    this.#seen!++
    if (!isCompared && this.#seen! < mostClips * this.#frames) return
    this.#seen = null
    this.#rest = (this.#every - 1) * this.#frames
  }
}
