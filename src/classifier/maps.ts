/**
 * Regions from class maps: a classifier with global average pooling as a detector. It looks at the whole picture and at
 * overlapping parts of it; what the map of a likely class marks, at several levels, is a proposal; the best proposals are
 * looked at once more by themselves, and the score of a box is what the classifier says of it alone.
 */
import type { Classifier } from '../classifier.js'
import type { Prediction } from '../decision/prediction.js'
import { nothingLabel, type ScoredLabel, type Box } from '../decision/task.js'
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
  /** Pairs of overlapping boxes that are looked at together. */
  readonly joins: number
  /** Share of the better score that the classifier must give to both together. */
  readonly keeps: number
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
  joins: 16,
  keeps: 0.7,
  minScore: 0.3,
  overlap: 0.4,
  inside: 0.7,
  most: 20,
}

/** The score of a class in the whole picture from which it fills it. */
const fills = 0.4

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
  // The looks at parts come after the one at the whole picture, of which the embedding is.
  const { embedding } = classifier
  let vector: Float32Array | null = null
  const onWhole = (): void => {
    if ('read' in embedding) vector = embedding.read()
  }
  const view: Classifier['view'] = (wanted, topK = 5) =>
    new MapsView(classifier, { ...options, labels, topK, onWhole }, wanted ?? {})
  let whole: ClassifierView | null = null
  return {
    ...classifier,
    labels,
    task: 'detect',
    taskSentence: 'detect: regions of class maps, asked for',
    heat: { reason: 'a model that is to detect has none' },
    embedding: 'read' in embedding ? { ...embedding, read: () => vector ?? embedding.read() } : embedding,
    view,
    classify: (frame) => (whole ??= view()).classify(frame),
    close: () => Promise.resolve(whole?.close()),
  }
}

interface ViewOptions extends MapsOptions {
  readonly labels: readonly string[]
  readonly topK: number
  /** The whole picture was looked at, and its parts were not yet. */
  readonly onWhole: () => void
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
      this.#options.onWhole()
      const start = performance.now()
      const boxes = await this.#boxes(frame, first.prediction)
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

  async #boxes(frame: Frame, first: Prediction): Promise<Box[]> {
    const { scales, proposals, minScore, overlap, inside, most, labels } = this.#options
    const all = this.#proposalsOf(frame, this.#whole, first)
    // A class that fills the picture: its boxes may be parts of one thing.
    const filling = new Set(first.top.flatMap(({ index, score }) => (score >= fills ? [index] : [])))
    for (const scale of scales.filter((each) => each < 1))
      for (const part of partsOf(this.#wanted.roi, scale))
        await this.#look(frame, part, (view, prediction) => all.push(...this.#proposalsOf(frame, view, prediction)))
    const seen: Proposal[] = []
    for (const proposal of best(all, { overlap: 0.75, inside: 1.1, most: proposals })) {
      const answer = await this.#answer(frame, proposal)
      if (answer && answer.score >= minScore) seen.push({ ...proposal, index: answer.index, score: answer.score })
    }
    const whole = await this.#joined(frame, seen, filling)
    return best(whole, { overlap, inside, most }).map(({ index, score, x, y, width, height }) => ({
      index,
      label: labels[index]!,
      score,
      x,
      y,
      width,
      height,
    }))
  }

  /** What the classifier says of a part by itself. */
  async #answer(frame: Frame, part: Region): Promise<ScoredLabel | undefined> {
    let answer: ScoredLabel | undefined
    await this.#look(frame, part, (_, { top }) => {
      answer = top[0]
    })
    return answer
  }

  /** Parts of one thing become the whole of it, where the classifier sees the same in both. */
  async #joined(frame: Frame, parts: readonly Proposal[], filling: ReadonlySet<number>): Promise<readonly Proposal[]> {
    const { joins, keeps } = this.#options
    let all = parts.toSorted((a, b) => b.score - a.score)
    const tried = new Set<string>()
    for (let looks = 0; looks < joins; looks++) {
      const pair = nextPair(
        all.filter(({ index }) => filling.has(index)),
        tried,
      )
      if (!pair) break
      const [a, b] = pair
      const union = unionOf(a, b)
      const answer = await this.#answer(frame, union)
      if (answer?.index !== a.index || answer.score < keeps * Math.max(a.score, b.score)) continue
      const score = Math.max(a.score, b.score)
      all = [{ ...union, index: a.index, score }, ...all.filter((each) => insideOf(union, each) < 0.9)]
      all.sort((p, q) => q.score - p.score)
    }
    return all
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

/** Two parts of one class that overlap or touch, and were not tried yet. */
function nextPair(all: readonly Proposal[], tried: Set<string>): readonly [Proposal, Proposal] | null {
  for (const [i, a] of all.entries())
    for (const b of all.slice(i + 1)) {
      if (a.index !== b.index || insideOf(a, b) < 0.3) continue
      const key = [a, b].map(({ x, y, width, height }) => [x, y, width, height].join()).join()
      if (tried.has(key)) continue
      tried.add(key)
      return [a, b]
    }
  return null
}

function unionOf(a: Region, b: Region): Region {
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)]
  const [right, bottom] = [Math.max(a.x + a.width, b.x + b.width), Math.max(a.y + a.height, b.y + b.height)]
  return { x, y, width: right - x, height: bottom - y }
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
    if (kept.every((other) => overlapOfBoxes(other, each) <= overlap && insideOf(other, each) <= inside))
      kept.push(each)
  }
  return kept
}

/** The share of the smaller region that lies inside of the other. */
function insideOf(a: Region, b: Region): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x)
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y)
  return width > 0 && height > 0 ? (width * height) / Math.min(a.width * a.height, b.width * b.height) : 0
}
