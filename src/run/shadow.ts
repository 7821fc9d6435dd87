/**
 * A candidate computes beside the model that serves, on a share of the frames: the serving model's answer comes first and is
 * what the node publishes; then the candidate sees the same frame. A frame costs more time only when the candidate looks.
 */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AgreementCounter, objectionTo, type Agreement, type Answer, type ConfirmRule } from '../bundle/agreement.js'
import type { Classifier } from '../classifier.js'
import type { Classification, ClassifierView } from '../engine/classify.js'
import { messageOf } from '../errors.js'
import { makeFolder } from '../folder.js'
import type { Frame } from '../frame.js'
import type { Logger } from '../log.js'
import { encodeJpeg } from '../pixels/jpeg.js'
import { createPreprocessor } from '../pixels/preprocess.js'
import { rgbLevels } from '../pixels/spec.js'

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
  readonly log: Pick<Logger, 'warn'>
}

/** What a candidate has shown so far. */
export interface ShadowReport extends Agreement {
  readonly elapsedMs: number
  /** What speaks against a confirmation by rule; null without a rule, and when it may serve. */
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
  /** Closes the candidate, not the serving model. */
  close(): Promise<void>
}

/** Puts `candidate` behind `serving`. */
export function openShadow(serving: Classifier, candidate: Classifier, options: ShadowOptions): Shadow {
  const watch = new Watch(options)
  return {
    classifier: {
      ...serving,
      view: (spec, topK) => watch.behind(serving.view(spec, topK), candidate.view(spec, 1)),
    },
    report: () => watch.report(),
    pictures: () => watch.pictures,
    close: () => candidate.close(),
  }
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

  behind(serving: ClassifierView, candidate: ClassifierView): ClassifierView {
    return {
      spec: serving.spec,
      pixelPath: serving.pixelPath,
      shown: (width, height) => serving.shown(width, height),
      ...(serving.isDue ? { isDue: serving.isDue } : {}),
      classify: async (frame, hooks = {}) => {
        if (!this.#isDue()) return serving.classify(frame, hooks)
        // The frame stays until both have read its pixels.
        const own = await serving.classify(frame, { ...hooks, onPixelsRead: () => undefined })
        try {
          await this.#compare(candidate, frame, own)
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
    if (++this.#frames % this.#options.every !== 0) return false
    return this.#spentMs <= (performance.now() - this.#startMs) * this.#options.budget
  }

  async #compare(candidate: ClassifierView, frame: Frame, own: Classification): Promise<void> {
    const serving = answerIn(own)
    if (!serving) return
    const start = performance.now()
    let other: Answer | null = null
    try {
      other = answerIn(await candidate.classify(frame))
    } catch (error) {
      if (!this.#hasFailed) this.#options.log.warn(`the candidate fails: ${messageOf(error)}`)
      this.#hasFailed = true
    }
    this.#spentMs += performance.now() - start
    if (this.#counter.add(serving, other) && other) await this.#keepPicture(frame, serving.label, other.label)
  }

  /** Writes the frame as `NUMBER.jpg`. A folder that cannot be written costs the picture only. */
  async #keepPicture(frame: Frame, from: string, to: string): Promise<void> {
    const { folder } = this.#options
    if (folder === undefined || performance.now() - this.#lastPictureMs < pictureEveryMs) return
    this.#lastPictureMs = performance.now()
    const scale = Math.min(1, mostSide / Math.max(frame.width, frame.height))
    const [width, height] = [Math.round(frame.width * scale), Math.round(frame.height * scale)]
    const pass = createPreprocessor(rgbLevels(width, height))
    try {
      const rgb = new Uint8Array(3 * width * height)
      await pass.run(frame, rgb)
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
    } finally {
      pass.close()
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
