/**
 * Regions from class maps: a classifier with global average pooling as a detector. It looks at the whole picture and at
 * overlapping parts of it; what the map of a likely class marks, at several levels, is a proposal; the best proposals are
 * looked at once more by themselves, and the score of a box is what the classifier says of it alone.
 */
import type { Classifier } from '../classifier.js'
import type { Prediction } from '../decision/prediction.js'
import { nothingLabel, type Box } from '../decision/task.js'
import { overlapOfBoxes } from '../decision/tracks.js'
import type { Classification, ClassifierView } from '../engine/classify.js'
import { GapcamError } from '../errors.js'
import type { Frame } from '../frame.js'
import { interpolated } from '../heat/focus.js'
import { regionsAbove } from '../heat/regions.js'
import { viewOf } from '../pixels/geometry.js'
import { meanColour } from '../pixels/shape.js'
import type { PreprocessSpec, Region } from '../pixels/spec.js'

export interface MapsOptions {
  /** Sides of the parts that are looked at, in shares of the frame's. */
  readonly scales: readonly number[]
  /** Levels of a map, in shares of its maximum: each gives regions of another size. */
  readonly levels: readonly number[]
  /** Proposals that are looked at by themselves. */
  readonly proposals: number
  /** Least score of a class in a part, so that its map is read. */
  readonly likely: number
  /** Least score of a box. */
  readonly minScore: number
  /** Overlap above which the lesser box goes. */
  readonly overlap: number
  /** Share of the smaller box inside of the other above which the lesser goes. */
  readonly inside: number
  readonly most: number
}

export const mapsDefaults: MapsOptions = {
  scales: [1, 0.6, 0.4],
  levels: [0.15, 0.3, 0.5],
  proposals: 24,
  likely: 0.15,
  minScore: 0.3,
  overlap: 0.4,
  inside: 0.7,
  most: 20,
}

/** A region that may hold a thing. */
interface Proposal extends Region {
  readonly index: number
  readonly score: number
}

/**
 * The classifier as a detector, on the same engine. Closing it leaves the classifier open. Throws MODEL_UNSUPPORTED where
 * the classifier was opened without heat maps, or has none.
 */
export function detectByMaps(classifier: Classifier, options: MapsOptions = mapsDefaults): Classifier {
  if (classifier.task !== 'classify') return classifier
  if ('reason' in classifier.heat)
    throw new GapcamError('MODEL_UNSUPPORTED', `model ${classifier.path}: detect: maps: ${classifier.heat.reason}`)
  const labels = [...classifier.labels, nothingLabel]
  const view: Classifier['view'] = (wanted, topK = 5) => new MapsView(classifier, { ...options, labels, topK }, wanted ?? {})
  let whole: ClassifierView | null = null
  return {
    ...classifier,
    labels,
    task: 'detect',
    taskSentence: 'detect: regions of class maps, asked for',
    heat: { reason: 'a model that is to detect has none' },
    view,
    classify: (frame) => (whole ??= view()).classify(frame),
    close: () => Promise.resolve(whole?.close()),
  }
}

interface ViewOptions extends MapsOptions {
  readonly labels: readonly string[]
  readonly topK: number
}

/** Looks at frames in one fixed way; see `ClassifierView`. */
class MapsView implements ClassifierView {
  readonly spec: PreprocessSpec
  readonly #classifier: Classifier
  readonly #options: ViewOptions
  readonly #wanted: Partial<PreprocessSpec>
  readonly #whole: ClassifierView

  constructor(classifier: Classifier, options: ViewOptions, wanted: Partial<PreprocessSpec>) {
    this.#classifier = classifier
    this.#options = options
    this.#wanted = wanted
    this.#whole = classifier.view({ ...wanted, ...this.#fitted() })
    this.spec = this.#whole.spec
  }

  get pixelPath(): string {
    return this.#whole.pixelPath
  }

  shown(width: number, height: number): Region {
    return this.#whole.shown(width, height)
  }

  close(): void {
    this.#whole.close()
  }

  async classify(frame: Frame, hooks: Parameters<ClassifierView['classify']>[1] = {}): Promise<Classification> {
    const first = await this.#whole.classify(frame, { ...hooks, onPixelsRead: () => undefined })
    try {
      if (!first.ok) return first
      const start = performance.now()
      const boxes = await this.#boxes(frame, this.#proposalsOf(frame, this.#whole, first.prediction))
      const { timings } = first.prediction
      const more = performance.now() - start
      const own = this.#prediction(first.prediction, boxes)
      return {
        ok: true,
        prediction: { ...own, timings: { ...timings, infer: timings.infer + more, total: timings.total + more } },
      }
    } finally {
      hooks.onPixelsRead?.(frame)
    }
  }

  /** All of a part is shown: what the classifier crops would be lost. */
  #fitted(): Partial<PreprocessSpec> {
    const spec = this.#classifier.preprocessing()
    return spec.resize === 'cover' ? { resize: 'contain', fill: meanColour(spec) } : {}
  }

  async #boxes(frame: Frame, ofWhole: readonly Proposal[]): Promise<Box[]> {
    const { scales, proposals, minScore, overlap, inside, most, labels } = this.#options
    const all = [...ofWhole]
    for (const scale of scales.filter((each) => each < 1))
      for (const part of partsOf(this.#wanted.roi, scale))
        await this.#look(frame, part, (view, prediction) => all.push(...this.#proposalsOf(frame, view, prediction)))
    const kept = best(all, { overlap: 0.75, inside: 1.1, most: proposals })
    const seen: Proposal[] = []
    for (const proposal of kept)
      await this.#look(frame, proposal, (_, { top }) => {
        const [answer] = top
        if (answer && answer.score >= minScore) seen.push({ ...proposal, index: answer.index, score: answer.score })
      })
    return best(seen, { overlap, inside, most }).map(({ index, score, x, y, width, height }) => ({
      index,
      label: labels[index]!,
      score,
      x,
      y,
      width,
      height,
    }))
  }

  /** Classifies a part of the frame, and reads what is wanted of the run. */
  async #look(
    frame: Frame,
    { x, y, width, height }: Region,
    read: (view: ClassifierView, prediction: Prediction) => void,
  ): Promise<void> {
    const view = this.#classifier.view({ ...this.#wanted, ...this.#fitted(), roi: { x, y, width, height } })
    try {
      const outcome = await view.classify(frame)
      if (outcome.ok) read(view, outcome.prediction)
    } finally {
      view.close()
    }
  }

  /** The regions that the maps of the likely classes of the last run mark. */
  #proposalsOf(frame: Frame, { spec }: ClassifierView, { top }: Prediction): Proposal[] {
    const { heat } = this.#classifier
    const { levels, likely } = this.#options
    if ('reason' in heat) return []
    const place = viewOf(spec, frame.width, frame.height)
    return top
      .filter(({ score }) => score >= likely)
      .flatMap(({ index, score }) => {
        const map = interpolated(heat.heat(index), 4)
        return levels.flatMap((level) =>
          regionsAbove(map, level).flatMap(({ share, ...region }) => {
            const seen = place.toFrame(region)
            return seen ? [{ ...seen, index, score: score * share }] : []
          }),
        )
      })
  }

  #prediction(first: Prediction, boxes: Box[]): Prediction {
    const { labels, topK } = this.#options
    const scores = new Float32Array(labels.length)
    for (const { index, score } of boxes) scores[index] = Math.max(scores[index]!, score)
    if (boxes.length === 0) scores[labels.length - 1] = 1
    const ranked = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, topK)
    return {
      ...first,
      labels,
      scores,
      logits: scores,
      top: ranked.map((index) => ({ index, label: labels[index]!, score: scores[index]! })),
      found: { task: 'detect', boxes },
    }
  }
}

/** Parts of this size that overlap by half, over the frame or the part of it that is asked for. */
function partsOf(roi: Region = { x: 0, y: 0, width: 1, height: 1 }, scale: number): Region[] {
  const steps = Math.ceil((1 - scale) / (scale / 2))
  const starts = Array.from({ length: steps + 1 }, (_, i) => ((1 - scale) * i) / steps)
  return starts.flatMap((v) =>
    starts.map((u) => ({
      x: roi.x + u * roi.width,
      y: roi.y + v * roi.height,
      width: scale * roi.width,
      height: scale * roi.height,
    })),
  )
}

/** The best that overlap with no better one, and do not lie inside of one another. */
function best(
  all: readonly Proposal[],
  { overlap, inside, most }: { readonly overlap: number; readonly inside: number; readonly most: number },
): Proposal[] {
  const kept: Proposal[] = []
  for (const each of all.toSorted((a, b) => b.score - a.score)) {
    if (kept.length === most) break
    if (kept.every((other) => overlapOfBoxes(other, each) <= overlap && insideOf(other, each) <= inside)) kept.push(each)
  }
  return kept
}

/** The share of the smaller region that lies inside of the other. */
function insideOf(a: Region, b: Region): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x)
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y)
  return width > 0 && height > 0 ? (width * height) / Math.min(a.width * a.height, b.width * b.height) : 0
}
